//! The calls of the store to the host, one thin function each.

use std::time::Duration;

use super::{Condition, Life, Page, StoreError, Values};
use crate::bindings::store::hotsocket::store::store as extension;
use crate::bindings::store::wasi::keyvalue::{atomics, batch, store};

type Result<T> = std::result::Result<T, StoreError>;

pub(super) struct Bucket(store::Bucket);
pub(super) struct Cas(atomics::Cas);

impl From<store::Error> for StoreError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NoSuchStore => StoreError::NoSuchBucket,
            store::Error::AccessDenied => StoreError::AccessDenied,
            store::Error::Other(why) => StoreError::Other(why),
        }
    }
}

fn life_to(life: Life) -> extension::Lifetime {
    match life {
        Life::Forever => extension::Lifetime::Forever,
        Life::Unchanged => extension::Lifetime::Unchanged,
        Life::For(time) => {
            let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            extension::Lifetime::Milliseconds(time)
        }
    }
}

fn life_from(life: extension::Lifetime) -> Life {
    match life {
        extension::Lifetime::Forever => Life::Forever,
        extension::Lifetime::Unchanged => Life::Unchanged,
        extension::Lifetime::Milliseconds(time) => Life::For(Duration::from_millis(time)),
    }
}

impl Bucket {
    pub(super) fn open(name: &str) -> Result<Self> {
        Ok(Bucket(store::open(name)?))
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(key)?)
    }

    pub(super) fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.0.exists(key)?)
    }

    pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        Ok(self.0.set(key, value)?)
    }

    pub(super) fn set_with(
        &self,
        key: &str,
        value: &[u8],
        when: Condition,
        life: Life,
    ) -> Result<bool> {
        let when = match when {
            Condition::Always => extension::Condition::Always,
            Condition::IfAbsent => extension::Condition::IfAbsent,
            Condition::IfPresent => extension::Condition::IfPresent,
        };
        Ok(extension::set(&self.0, key, value, when, life_to(life))?)
    }

    pub(super) fn delete(&self, key: &str) -> Result<bool> {
        Ok(extension::delete(&self.0, key)?)
    }

    pub(super) fn increment(&self, key: &str, delta: i64) -> Result<i64> {
        Ok(atomics::increment(&self.0, key, delta)?)
    }

    pub(super) fn cas(&self, key: &str) -> Result<Cas> {
        Ok(Cas(atomics::Cas::new(&self.0, key)?))
    }

    pub(super) fn life(&self, key: &str) -> Result<Option<Life>> {
        Ok(extension::life(&self.0, key)?.map(life_from))
    }

    pub(super) fn set_life(&self, key: &str, life: Life) -> Result<bool> {
        Ok(extension::set_life(&self.0, key, life_to(life))?)
    }

    pub(super) fn keys(&self, prefix: &str, cursor: Option<&str>, most: u32) -> Result<Page> {
        let page = extension::keys(&self.0, prefix, cursor, most)?;
        Ok(Page {
            keys: page.keys,
            cursor: page.cursor,
        })
    }

    pub(super) fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        let found = batch::get_many(&self.0, keys)?.into_iter();
        Ok(found.map(|pair| pair.map(|(_, value)| value)).collect())
    }

    pub(super) fn get_values(&self, keys: &[&str], most: u32) -> Result<Values> {
        let found = extension::get_values(&self.0, keys, most)?;
        let extension::Values { lengths, bytes } = found;
        Ok(Values { lengths, bytes })
    }

    pub(super) fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        Ok(batch::set_many(&self.0, pairs)?)
    }

    pub(super) fn delete_many(&self, keys: &[&str]) -> Result<()> {
        Ok(batch::delete_many(&self.0, keys)?)
    }
}

impl Cas {
    pub(super) fn current(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.0.current()?)
    }

    /// `Some` if the value has changed.
    pub(super) fn swap(self, value: &[u8]) -> Result<Option<Self>> {
        match atomics::swap(self.0, value) {
            Ok(()) => Ok(None),
            Err(atomics::CasError::CasFailed(next)) => Ok(Some(Cas(next))),
            Err(atomics::CasError::StoreError(error)) => Err(error.into()),
        }
    }
}
