//! What a shard does with its memory.

use std::sync::Arc;

use hotsocket_sandbox::limit_counters::LimitCounters;

use super::*;
use crate::store::usage::StoreLimits;

/// Otherwise a bucket after the other that is filled and emptied would take any amount.
#[test]
fn a_table_shrinks_with_what_is_in_it() -> Result<(), StoreError> {
    let limits = StoreLimits {
        max_size: 100 << 20,
        max_keys: 100_000,
    };
    let usage = Usage::new(limits, Arc::new(LimitCounters::default()));
    let hasher = RandomState::new();
    let mut shard = Shard::new(hasher.clone());
    let keys: Vec<_> = (0..10_000).map(|number: u32| number.to_string()).collect();
    let at = |key| At::new(&hasher, BucketId(0), key);
    for key in &keys {
        shard.insert(at(key), b"", None, &usage)?;
    }
    for key in keys.iter().skip(1) {
        assert!(shard.remove(at(key), &usage));
    }
    let capacity = shard
        .buckets
        .first()
        .map(|bucket| bucket.entries.capacity());
    assert!(
        capacity.is_some_and(|capacity| capacity <= 16),
        "{capacity:?}"
    );
    assert!(shard.find(at("0"), || 0).is_some());
    Ok(())
}
