//! Several keys in one call: `wasi:keyvalue/batch`, and `get-values` of `hotsocket:store`.

use std::sync::Arc;

use wasmtime::component::{ComponentType, Lower, WasmList};

use super::parameters::{
    Begun, Bytes, Caller, In, Refused, Text, bucket_id, key_of, key_value, may_change, value_of,
};
use super::{BucketId, Condition, Found, KeyValue, Life, MAX_KEYS, Reply, StoreError};

/// The values that one call gives, or sets, in bytes.
const MAX_VALUES: usize = 16 << 20;

type Pair = (Arc<str>, Arc<[u8]>);

pub fn get(
    caller: &mut Caller<'_>,
    (bucket, keys): (In, WasmList<Text>),
) -> Begun<Vec<Option<Pair>>> {
    let keys = all(caller, &keys)?;
    let keys = keys.iter().map(|key| Ok(Arc::from(&*key_of(caller, key)?)));
    let keys = keys.collect::<Result<Vec<Arc<str>>, Refused>>()?;
    let (store, bucket) = opened(caller, &bucket)?;
    let mut room = MAX_VALUES;
    let mut replies = Vec::with_capacity(keys.len());
    for key in keys {
        let reply = store.get(bucket, &key);
        // Those that wait count when they are there.
        if let Reply::Ready(Ok(Some(found))) = &reply {
            room = take(room, found.value.len())?;
        }
        replies.push(reply.map(|found| Some((key, found?.value.shared()))));
    }
    if all_ready(&replies) {
        return Ok(Reply::all(replies));
    }
    Ok(Reply::Pending(Box::pin(async move {
        let (mut room, mut all) = (MAX_VALUES, Vec::with_capacity(replies.len()));
        for reply in replies {
            let found = reply.wait().await?;
            if let Some((_, value)) = &found {
                room = take(room, value.len())?;
            }
            all.push(found);
        }
        Ok(all)
    })))
}

/// Values as `get-values` gives them.
#[derive(Default, ComponentType, Lower)]
#[component(record)]
pub struct Values {
    #[component(name = "lengths")]
    lengths: Vec<Option<u32>>,
    #[component(name = "bytes")]
    bytes: Vec<u8>,
}

impl Values {
    /// Add one, if it is the first or there are at most so many bytes with it. Gives
    /// whether it was added.
    fn push(&mut self, found: Option<&Found>, most: usize) -> bool {
        let value = found.map(|found| &*found.value);
        let size = self.bytes.len() + value.map_or(0, <[u8]>::len);
        let fits = size <= most || self.lengths.is_empty();
        if fits {
            self.bytes.extend_from_slice(value.unwrap_or_default());
            // It has at most `MAX_VALUE` bytes.
            self.lengths.push(value.map(|value| value.len() as u32));
        }
        fits
    }
}

pub fn get_values(
    caller: &mut Caller<'_>,
    (bucket, keys, most): (In, WasmList<Text>, u32),
) -> Begun<Values> {
    let keys = all(caller, &keys)?;
    let (store, bucket) = opened(caller, &bucket)?;
    let most = usize::try_from(most).map_or(MAX_VALUES, |most| most.min(MAX_VALUES));
    let mut values = Values::default();
    values.lengths.reserve_exact(keys.len());
    let mut later = Vec::new();
    for key in &keys {
        let reply = store.get(bucket, &key_of(caller, key)?);
        match reply {
            Reply::Ready(found) if later.is_empty() => {
                if !values.push(found?.as_ref(), most) {
                    break;
                }
            }
            reply => later.push(reply),
        }
    }
    if later.is_empty() {
        return Ok(Reply::Ready(Ok(values)));
    }
    Ok(Reply::Pending(Box::pin(async move {
        for reply in later {
            if !values.push(reply.wait().await?.as_ref(), most) {
                break;
            }
        }
        Ok(values)
    })))
}

pub fn set(caller: &mut Caller<'_>, (bucket, pairs): (In, WasmList<(Text, Bytes)>)) -> Begun<()> {
    may_change(caller)?;
    let pairs = all(caller, &pairs)?;
    let (store, bucket) = opened(caller, &bucket)?;
    // A list may have the same bytes a thousand times, and each is copied.
    let mut sizes = pairs.iter().map(|(_, value)| value.len());
    sizes.try_fold(MAX_VALUES, take)?;
    let mut replies = Vec::with_capacity(pairs.len());
    for (key, value) in &pairs {
        let (key, value) = (key_of(caller, key)?, value_of(caller, value)?);
        replies.push(store.set(bucket, &key, value, Condition::Always, Life::Forever));
    }
    Ok(Reply::all(replies).map(drop))
}

pub fn delete(caller: &mut Caller<'_>, (bucket, keys): (In, WasmList<Text>)) -> Begun<()> {
    may_change(caller)?;
    let keys = all(caller, &keys)?;
    let (store, bucket) = opened(caller, &bucket)?;
    let mut replies = Vec::with_capacity(keys.len());
    for key in &keys {
        replies.push(store.delete(bucket, &key_of(caller, key)?));
    }
    Ok(Reply::all(replies).map(drop))
}

/// The elements of a list that is not too long.
fn all<T: wasmtime::component::Lift>(
    caller: &mut Caller<'_>,
    list: &WasmList<T>,
) -> Result<Vec<T>, Refused> {
    if list.len() > MAX_KEYS {
        return Err(StoreError::other("one call takes at most 1,000 keys").into());
    }
    let listed = list.iter(caller)?;
    Ok(listed.collect::<wasmtime::Result<_>>()?)
}

fn opened(caller: &Caller<'_>, bucket: &In) -> Result<(Arc<dyn KeyValue>, BucketId), Refused> {
    let bucket = bucket_id(caller, bucket)?;
    Ok((Arc::clone(key_value(caller)?), bucket))
}

fn all_ready<T>(replies: &[Reply<T>]) -> bool {
    replies.iter().all(|reply| matches!(reply, Reply::Ready(_)))
}

fn take(room: usize, size: usize) -> Result<usize, StoreError> {
    let left = room.checked_sub(size);
    left.ok_or_else(|| StoreError::other("the values have more than 16 MiB together"))
}
