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
        let name = if name.is_empty() {
            DEFAULT_BUCKET
        } else {
            name
        };
        if let Some(bucket) = self.0.read().ids.get(name) {
            return Ok(*bucket);
        }
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

    pub fn name(&self, bucket: BucketId) -> Option<Arc<str>> {
        self.0.read().names.get(bucket.0 as usize).cloned()
    }

    /// All of them, by their numbers.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.0.read().names.clone()
    }
}
