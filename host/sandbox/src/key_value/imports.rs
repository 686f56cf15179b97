//! The functions that a guest imports from `wasi:keyvalue`, and how those of the store
//! are linked.
//!
//! Each is linked in one of two ways. Where the store never waits, a function returns at
//! once, and its guest may be called directly; where it may, the function is one that
//! waits, and its guest is called on fibers (see [`crate::call_mode`]).

use std::sync::Arc;

use wasmtime::component::{
    ComponentNamedList, ComponentType, Lift, LinkerInstance, Lower, Resource, ResourceType,
};

use super::parameters::{
    Answer, Begun, Bytes, Caller, In, Refused, Text, at, bucket_id, bucket_name, change, key_value,
    may_change, open, place, value_of,
};
use super::{
    Bucket, BucketId, Cas, Condition, Found, KeyValue, Life, Listing, MAX_KEYS, Reply, StoreError,
};
use crate::bindings::store::wasi::keyvalue::atomics::CasError;
use crate::bindings::store::wasi::keyvalue::store::Error;
use crate::store_data::StoreData;

/// Link a function: `begin` starts the call, and `end` makes the guest's result of what
/// it gives.
pub(super) fn call<A, T, R>(
    instance: &mut LinkerInstance<'_, StoreData>,
    may_wait: bool,
    name: &str,
    begin: impl Fn(&mut Caller<'_>, A) -> Begun<T> + Copy + Send + Sync + 'static,
    end: impl Fn(&mut Caller<'_>, Result<T, StoreError>) -> wasmtime::Result<R>
    + Copy
    + Send
    + Sync
    + 'static,
) -> wasmtime::Result<()>
where
    A: ComponentNamedList + Lift + Send + 'static,
    T: Send + 'static,
    R: Lower + ComponentType + Send + Sync + 'static,
{
    let begin = move |caller: &mut Caller<'_>, params: A| match begin(caller, params) {
        Ok(reply) => Ok(reply),
        Err(Refused::Error(error)) => Ok(Reply::Ready(Err(error))),
        Err(Refused::Trap(error)) => Err(error),
    };
    if may_wait {
        instance.func_wrap_async(name, move |mut caller: Caller<'_>, params: A| {
            Box::new(async move {
                let result = begin(&mut caller, params)?.wait().await;
                Ok((end(&mut caller, result)?,))
            })
        })
    } else {
        instance.func_wrap(name, move |mut caller: Caller<'_>, params: A| {
            let result = match begin(&mut caller, params)? {
                Reply::Ready(result) => result,
                Reply::Pending(_) => Err(StoreError::other("the store would have to wait")),
            };
            Ok((end(&mut caller, result)?,))
        })
    }
}

/// The result as it is.
pub(super) fn as_is<T>(
    _: &mut Caller<'_>,
    result: Result<T, StoreError>,
) -> wasmtime::Result<Answer<T>> {
    Ok(result.map_err(Error::from))
}

/// Link `store`.
pub fn link_store(
    store: &mut LinkerInstance<'_, StoreData>,
    may_wait: bool,
) -> wasmtime::Result<()> {
    store.resource(
        "bucket",
        ResourceType::host::<Bucket>(),
        |mut caller, rep| {
            let bucket = Resource::<Bucket>::new_own(rep);
            caller.data_mut().handles.remove(bucket)?;
            Ok(())
        },
    )?;
    call(
        store,
        may_wait,
        "open",
        |caller, (name,): (Text,)| {
            let name = bucket_name(caller, &name)?;
            let bucket = match open(caller, &name)? {
                BucketId::NONE => Bucket::Unknown(name.into()),
                bucket => Bucket::Known(bucket),
            };
            Ok(Reply::Ready(Ok(bucket)))
        },
        |caller, opened| match opened {
            Ok(bucket) => Ok(Ok(caller.data_mut().handles.add(bucket)?)),
            Err(error) => Ok(Err(Error::from(error))),
        },
    )?;
    call(
        store,
        may_wait,
        "[method]bucket.get",
        |caller, (bucket, key): (In, Text)| {
            let reply = at(caller, &bucket, &key, |store, bucket, key| {
                store.get(bucket, key)
            })?;
            Ok(reply.map(|found| found.map(|found| found.value.shared())))
        },
        as_is,
    )?;
    call(
        store,
        may_wait,
        "[method]bucket.set",
        |caller, (bucket, key, value): (In, Text, Bytes)| {
            let value = value_of(caller, &value)?;
            let reply = change(caller, &bucket, &key, |store, bucket, key| {
                store.set(bucket, key, value, Condition::Always, Life::Forever)
            })?;
            Ok(reply.map(drop))
        },
        as_is,
    )?;
    call(
        store,
        may_wait,
        "[method]bucket.delete",
        |caller, (bucket, key): (In, Text)| {
            let reply = change(caller, &bucket, &key, |store, bucket, key| {
                store.delete(bucket, key)
            })?;
            Ok(reply.map(drop))
        },
        as_is,
    )?;
    call(
        store,
        may_wait,
        "[method]bucket.exists",
        |caller, (bucket, key): (In, Text)| {
            let reply = at(caller, &bucket, &key, |store, bucket, key| {
                store.get(bucket, key)
            })?;
            Ok(reply.map(|found| found.is_some()))
        },
        as_is,
    )?;
    call(
        store,
        may_wait,
        "[method]bucket.list-keys",
        |caller, (bucket, cursor): (In, Option<Text>)| {
            list(caller, &bucket, "", cursor.as_ref(), MAX_KEYS)
        },
        key_response,
    )
}

/// Link `atomics`.
pub fn link_atomics(
    atomics: &mut LinkerInstance<'_, StoreData>,
    may_wait: bool,
) -> wasmtime::Result<()> {
    atomics.resource("cas", ResourceType::host::<Cas>(), |mut caller, rep| {
        let cas = Resource::<Cas>::new_own(rep);
        caller.data_mut().handles.remove(cas)?;
        Ok(())
    })?;
    call(
        atomics,
        may_wait,
        "increment",
        |caller, (bucket, key, delta): (In, Text, i64)| {
            change(caller, &bucket, &key, |store, bucket, key| {
                store.increment(bucket, key, delta)
            })
        },
        as_is,
    )?;
    call(
        atomics,
        may_wait,
        "[static]cas.new",
        |caller, (bucket, key): (In, Text)| {
            let (bucket, key) = place(caller, &bucket, &key)?;
            let key = Box::from(key);
            let reply = key_value(caller)?.get(bucket, &key);
            Ok(reply.map(move |found| Cas {
                bucket,
                key,
                revision: revision(found.as_ref()),
            }))
        },
        |caller, looked| match looked {
            Ok(cas) => Ok(Ok(caller.data_mut().handles.add(cas)?)),
            Err(error) => Ok(Err(Error::from(error))),
        },
    )?;
    call(
        atomics,
        may_wait,
        "[method]cas.current",
        |caller, (cas,): (Resource<Cas>,)| {
            let Cas { bucket, key, .. } = caller.data().handles.get(&cas)?;
            let reply = key_value(caller)?.get(*bucket, key);
            // The handle is the guest's, so nobody drops it meanwhile.
            let cas = cas.rep();
            Ok(reply.map(move |found| (cas, found)))
        },
        |caller, looked: Result<(u32, Option<Found>), _>| match looked {
            Ok((cas, found)) => {
                let cas = Resource::<Cas>::new_borrow(cas);
                caller.data_mut().handles.get_mut(&cas)?.revision = revision(found.as_ref());
                Ok(Ok(found.map(|found| found.value.shared())))
            }
            Err(error) => Ok(Err(Error::from(error))),
        },
    )?;
    call(
        atomics,
        may_wait,
        "swap",
        |caller, (cas, value): (Resource<Cas>, Bytes)| {
            let cas = caller.data_mut().handles.remove(cas)?;
            let value = value_of(caller, &value)?;
            may_change(caller)?;
            if cas.bucket == BucketId::NONE {
                // It was made where nothing may be changed.
                return Err(StoreError::AccessDenied.into());
            }
            let store = Arc::clone(key_value(caller)?);
            let when = Condition::IfRevision(cas.revision);
            let swapped = store.set(cas.bucket, &cas.key, value, when, Life::Unchanged);
            Ok(look_again(store, cas, swapped))
        },
        |caller, swapped| match swapped {
            Ok(None) => Ok(Ok(())),
            Ok(Some(cas)) => {
                let cas = caller.data_mut().handles.add(cas)?;
                Ok(Err(CasError::CasFailed(cas)))
            }
            Err(error) => Ok(Err(CasError::StoreError(Error::from(error)))),
        },
    )
}

/// `None` if it was swapped; else the handle for another try.
fn look_again(store: Arc<dyn KeyValue>, cas: Cas, swapped: Reply<bool>) -> Reply<Option<Cas>> {
    let again = |cas: Cas, found: Option<Found>| {
        Some(Cas {
            revision: revision(found.as_ref()),
            ..cas
        })
    };
    match swapped {
        Reply::Ready(Ok(true)) => Reply::Ready(Ok(None)),
        Reply::Ready(Err(error)) => Reply::Ready(Err(error)),
        Reply::Ready(Ok(false)) => {
            let found = store.get(cas.bucket, &cas.key);
            found.map(move |found| again(cas, found))
        }
        Reply::Pending(swapped) => Reply::Pending(Box::pin(async move {
            if swapped.await? {
                return Ok(None);
            }
            let found = store.get(cas.bucket, &cas.key).wait().await?;
            Ok(again(cas, found))
        })),
    }
}

fn revision(found: Option<&Found>) -> u64 {
    found.map_or(0, |found| found.revision)
}

/// Link `batch`.
pub fn link_batch(
    batch: &mut LinkerInstance<'_, StoreData>,
    may_wait: bool,
) -> wasmtime::Result<()> {
    call(batch, may_wait, "get-many", super::batch::get, as_is)?;
    call(batch, may_wait, "set-many", super::batch::set, as_is)?;
    call(batch, may_wait, "delete-many", super::batch::delete, as_is)
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct KeyResponse {
    #[component(name = "keys")]
    keys: Vec<Arc<str>>,
    #[component(name = "cursor")]
    cursor: Option<String>,
}

pub(super) fn key_response(
    _: &mut Caller<'_>,
    listing: Result<Listing, StoreError>,
) -> wasmtime::Result<Answer<KeyResponse>> {
    let response = |Listing { keys, cursor }| KeyResponse { keys, cursor };
    Ok(listing.map(response).map_err(Error::from))
}

pub(super) fn list(
    caller: &Caller<'_>,
    bucket: &In,
    prefix: &str,
    cursor: Option<&Text>,
    most: usize,
) -> Begun<Listing> {
    let bucket = bucket_id(caller, bucket)?;
    let cursor = cursor
        .map(|cursor| cursor.text.to_str(caller))
        .transpose()?;
    Ok(key_value(caller)?.keys(bucket, prefix, cursor.as_deref(), most))
}
