//! `wasi:keyvalue/batch`: several keys in one call.

use std::sync::Arc;

use wasmtime::component::WasmList;

use super::parameters::{
    Begun, Bytes, Caller, In, Refused, Text, key_of, key_value, may_change, value_of,
};
use super::{BucketId, Condition, KeyValue, Life, MAX_KEYS, Reply, StoreError};

/// The values that one call gives, in bytes.
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
        // Those that wait count when they are there; then all of them are in memory.
        if let Reply::Ready(Ok(Some(found))) = &reply {
            room = take(room, found.value.len())?;
        }
        replies.push(reply.map(|found| Some((key, found?.value))));
    }
    match Reply::all(replies) {
        ready @ Reply::Ready(_) => Ok(ready),
        Reply::Pending(all) => Ok(Reply::Pending(Box::pin(async move {
            let all = all.await?;
            let found = all.iter().flatten();
            let mut sizes = found.map(|(_, value)| value.len());
            sizes.try_fold(MAX_VALUES, take)?;
            Ok(all)
        }))),
    }
}

pub fn set(caller: &mut Caller<'_>, (bucket, pairs): (In, WasmList<(Text, Bytes)>)) -> Begun<()> {
    may_change(caller)?;
    let pairs = all(caller, &pairs)?;
    let (store, bucket) = opened(caller, &bucket)?;
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
    let bucket = caller.data().handles.get(bucket)?.0;
    Ok((Arc::clone(key_value(caller)?), bucket))
}

fn take(room: usize, size: usize) -> Result<usize, StoreError> {
    let left = room.checked_sub(size);
    left.ok_or_else(|| StoreError::other("the values have more than 16 MiB together"))
}
