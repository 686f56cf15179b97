//! What guests pass to the functions of the store, checked: names, keys and values within
//! their limits, and changes only where they may be made.

use std::sync::Arc;

use wasmtime::AsContext;
use wasmtime::StoreContextMut;
use wasmtime::component::{Resource, WasmList, WasmStr};
use wasmtime_wasi::ResourceTableError;

use super::{Bucket, BucketId, KeyValue, MAX_BUCKET_NAME, MAX_KEY, MAX_VALUE, Reply, StoreError};
use crate::bindings::store::wasi::keyvalue::store::Error;
use crate::bounded_text::BoundedText;
use crate::store_data::StoreData;

pub type Caller<'a> = StoreContextMut<'a, StoreData>;
pub type Text = BoundedText<WasmStr>;
pub type Bytes = WasmList<u8>;
pub type In = Resource<Bucket>;

/// Why a call has not begun.
pub enum Refused {
    /// The guest gets this error.
    Error(StoreError),
    /// The guest traps.
    Trap(wasmtime::Error),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Refused::Error(error)
    }
}

impl From<wasmtime::Error> for Refused {
    fn from(error: wasmtime::Error) -> Self {
        Refused::Trap(error)
    }
}

impl From<ResourceTableError> for Refused {
    fn from(error: ResourceTableError) -> Self {
        Refused::Trap(error.into())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchStore => Error::NoSuchStore,
            StoreError::AccessDenied => Error::AccessDenied,
            StoreError::Other(why) => Error::Other(why.into_owned()),
        }
    }
}

pub type Begun<T> = Result<Reply<T>, Refused>;
pub type Answer<R> = Result<R, Error>;

pub fn key_value<'a>(caller: &'a Caller<'_>) -> Result<&'a Arc<dyn KeyValue>, StoreError> {
    let store = caller.data().key_value();
    store.ok_or(StoreError::NoSuchStore)
}

/// Where nothing may be changed.
pub fn may_change(caller: &Caller<'_>) -> Result<(), StoreError> {
    let data = caller.data();
    match data.connection.is_some() && !data.hibernation.is_saving() {
        true => Ok(()),
        false => Err(StoreError::AccessDenied),
    }
}

pub fn bucket_name(caller: &Caller<'_>, name: &Text) -> Result<String, Refused> {
    let name = name.text.to_str(caller)?;
    match name.len() <= MAX_BUCKET_NAME {
        true => Ok(name.into_owned()),
        false => Err(StoreError::NoSuchStore.into()),
    }
}

/// The bucket of a name. Where nothing may be changed it is only looked up: a name takes a
/// place for good.
pub fn open(caller: &Caller<'_>, name: &str) -> Result<BucketId, StoreError> {
    let store = key_value(caller)?;
    match may_change(caller) {
        Ok(()) => store.open(name),
        Err(_) => Ok(store.find(name)?.unwrap_or(BucketId::NONE)),
    }
}

/// The bucket that a handle stands for; [`BucketId::NONE`] only where nothing may be changed.
pub fn bucket_id(caller: &Caller<'_>, bucket: &In) -> Result<BucketId, Refused> {
    match caller.data().handles.get(bucket)? {
        Bucket::Known(bucket) => Ok(*bucket),
        Bucket::Unknown(name) => Ok(open(caller, name)?),
    }
}

/// A key as the guest has it in its memory.
pub fn key_of<'a>(
    caller: &'a Caller<'_>,
    key: &Text,
) -> Result<std::borrow::Cow<'a, str>, Refused> {
    let key = key.text.to_str(caller)?;
    match key.len() {
        1..=MAX_KEY => Ok(key),
        _ => Err(StoreError::other("a key has from 1 to 1,024 bytes").into()),
    }
}

/// A value as the guest has it in its memory.
pub fn value_of<'a>(caller: &'a Caller<'_>, value: &Bytes) -> Result<&'a [u8], Refused> {
    match value.len() <= MAX_VALUE {
        true => Ok(value.as_le_slice(caller.as_context())),
        false => Err(StoreError::other("a value has at most 1 MiB").into()),
    }
}

pub fn place<'a>(
    caller: &'a Caller<'_>,
    bucket: &In,
    key: &Text,
) -> Result<(BucketId, std::borrow::Cow<'a, str>), Refused> {
    Ok((bucket_id(caller, bucket)?, key_of(caller, key)?))
}

/// Do something with a key.
pub fn at<T>(
    caller: &Caller<'_>,
    bucket: &In,
    key: &Text,
    run: impl FnOnce(&dyn KeyValue, BucketId, &str) -> Reply<T>,
) -> Begun<T> {
    let (bucket, key) = place(caller, bucket, key)?;
    Ok(run(&**key_value(caller)?, bucket, &key))
}

/// The same for what changes it.
pub fn change<T>(
    caller: &Caller<'_>,
    bucket: &In,
    key: &Text,
    run: impl FnOnce(&dyn KeyValue, BucketId, &str) -> Reply<T>,
) -> Begun<T> {
    may_change(caller)?;
    at(caller, bucket, key, run)
}
