//! The buckets of a store: name spaces for keys, numbered in the order in which guests
//! first name them.

use std::collections::HashMap;
use std::sync::Arc;

use hotsocket_sandbox::key_value::{BucketId, StoreError};
use parking_lot::RwLock;

/// Each takes some bytes of every shard.
const MAX_BUCKETS: usize = 1000;
/// What `""` is as well.
const DEFAULT_BUCKET: &str = "default";

/// See the module's documentation.
#[derive(Default)]
pub struct Buckets(RwLock<Known>);

#[derive(Default)]
struct Known {
    ids: HashMap<Arc<str>, BucketId>,
    /// By their numbers.
    names: Vec<Arc<str>>,
}

impl Buckets {
    /// The bucket of this name, which exists as soon as it is named.
    ///
    /// # Errors
    /// When there are too many.
    pub fn open(&self, name: &str) -> Result<BucketId, StoreError> {
        if let Some(bucket) = self.find(name) {
            return Ok(bucket);
        }
        let name = full(name);
        let mut known = self.0.write();
        // Another call may have come before this one.
        if let Some(bucket) = known.ids.get(name) {
            return Ok(*bucket);
        }
        let count = known.names.len();
        if count >= MAX_BUCKETS {
            let why = format!("the store has {MAX_BUCKETS} buckets already");
            return Err(StoreError::other(why));
        }
        let (name, bucket) = (Arc::<str>::from(name), BucketId(count as u32));
        known.names.push(Arc::clone(&name));
        known.ids.insert(name, bucket);
        Ok(bucket)
    }

    /// The bucket of this name, if it exists. Names are never given back, so one that is only
    /// asked for takes no place.
    pub fn find(&self, name: &str) -> Option<BucketId> {
        self.0.read().ids.get(full(name)).copied()
    }

    pub fn name(&self, bucket: BucketId) -> Option<Arc<str>> {
        self.0.read().names.get(bucket.0 as usize).cloned()
    }

    /// All of them, by their numbers.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.0.read().names.clone()
    }
}

fn full(name: &str) -> &str {
    match name {
        "" => DEFAULT_BUCKET,
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_looked_up_takes_no_place() -> Result<(), StoreError> {
        let buckets = Buckets::default();
        assert_eq!(buckets.find(""), None);
        for number in 0..MAX_BUCKETS {
            assert_eq!(buckets.find("other"), None);
            buckets.open(&number.to_string())?;
        }
        assert_eq!(buckets.find("7"), Some(BucketId(7)));
        assert!(buckets.open("other").is_err());
        Ok(())
    }
}
