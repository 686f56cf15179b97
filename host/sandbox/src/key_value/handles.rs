//! What the handles stand for that an instance has of the store.

use wasmtime::component::Resource;
use wasmtime_wasi::{ResourceTable, ResourceTableError};

use super::BucketId;
use crate::wasi::MAX_HANDLES;

/// `wasi:keyvalue/store.bucket`.
#[derive(Clone, Debug)]
pub enum Bucket {
    Known(BucketId),
    /// Of a name that the store did not know, opened where nothing may be changed.
    Unknown(Box<str>),
}

/// `wasi:keyvalue/atomics.cas`: a key, and the value that it was seen with.
#[derive(Clone, Debug)]
pub struct Cas {
    pub bucket: BucketId,
    pub key: Box<str>,
    /// [`Found::revision`](super::Found::revision), or 0.
    pub revision: u64,
}

/// The handles of one instance. In a box, and made at the first use, as few guests ever
/// have one.
#[derive(Default)]
pub struct Handles(Option<Box<ResourceTable>>);

impl Handles {
    pub fn add<T: Send + 'static>(&mut self, what: T) -> Result<Resource<T>, ResourceTableError> {
        let table = self.0.get_or_insert_with(|| {
            let mut table = ResourceTable::new();
            table.set_max_capacity(MAX_HANDLES);
            Box::new(table)
        });
        table.push(what)
    }

    pub fn get<T: 'static>(&self, handle: &Resource<T>) -> Result<&T, ResourceTableError> {
        let table = self.0.as_ref().ok_or(ResourceTableError::NotPresent)?;
        table.get(handle)
    }

    pub fn get_mut<T: 'static>(
        &mut self,
        handle: &Resource<T>,
    ) -> Result<&mut T, ResourceTableError> {
        let table = self.0.as_mut().ok_or(ResourceTableError::NotPresent)?;
        table.get_mut(handle)
    }

    pub fn remove<T: 'static>(&mut self, handle: Resource<T>) -> Result<T, ResourceTableError> {
        let table = self.0.as_mut().ok_or(ResourceTableError::NotPresent)?;
        table.delete(handle)
    }
}
