//! How many keys and bytes a store has, and how many it may have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hotsocket_sandbox::key_value::StoreError;
use hotsocket_sandbox::limit_counters::{Limit, LimitCounters};

use crate::size;

/// What a key takes besides its own bytes and its value's: their allocations, if they are
/// too long to lie in the table, and its places in the tables of a shard.
const OVERHEAD: usize = 192;
/// A key of more bytes does not lie in the tables.
const SHORT_KEY: usize = 24;
/// How often such a key is kept: among the entries, in their order, by its end, and in what
/// waits for the file.
const COPIES: usize = 4;

/// How much may be stored in all buckets together.
#[derive(Clone, Copy, Debug)]
pub struct StoreLimits {
    /// As [`size_of`] counts them.
    pub max_size: usize,
    pub max_keys: usize,
}

/// What a key counts, with a value of so many bytes.
pub fn size_of(key: &str, value: usize) -> usize {
    let copies = match key.len() <= SHORT_KEY {
        true => 1,
        false => COPIES,
    };
    key.len() * copies + value + OVERHEAD
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Usage {
    keys: AtomicUsize,
    bytes: AtomicUsize,
    limits: StoreLimits,
    reached: Arc<LimitCounters>,
}

impl Usage {
    pub fn new(limits: StoreLimits, reached: Arc<LimitCounters>) -> Self {
        Usage {
            keys: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            limits,
            reached,
        }
    }

    /// One more key of this size.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn add_key(&self, size: usize) -> Result<(), StoreError> {
        let most = self.limits.max_keys;
        // Looked at before its bytes are taken: what fails takes nothing meanwhile from
        // others that would fit, unless the last place goes just now.
        if self.keys() < most {
            self.resize(0, size)?;
            if add(&self.keys, 1, most) {
                return Ok(());
            }
            self.bytes.fetch_sub(size, Ordering::Relaxed);
        }
        self.reached.count(Limit::StoreKeys);
        let why = format!("the store has {most} keys already (--max-store-keys)");
        Err(StoreError::other(why))
    }

    /// A key of this size is gone.
    pub fn remove_key(&self, size: usize) {
        self.keys.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(size, Ordering::Relaxed);
    }

    /// What has had this size gets that one.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn resize(&self, from: usize, to: usize) -> Result<(), StoreError> {
        if to <= from {
            // What keeps its size changes nothing that other threads count with.
            if to < from {
                self.bytes.fetch_sub(from - to, Ordering::Relaxed);
            }
            return Ok(());
        }
        if add(&self.bytes, to - from, self.limits.max_size) {
            return Ok(());
        }
        self.reached.count(Limit::StoreSize);
        let most = size::show(self.limits.max_size);
        let why = format!("the store is full: it may have {most} (--max-store-size)");
        Err(StoreError::other(why))
    }

    /// A key that was removed is still to be removed from the file. It takes no more than
    /// it has before, so that there is room for it.
    pub fn add_gone(&self, size: usize) {
        self.bytes.fetch_add(size, Ordering::Relaxed);
    }

    /// It has been, or is there again.
    pub fn remove_gone(&self, size: usize) {
        self.bytes.fetch_sub(size, Ordering::Relaxed);
    }

    pub fn keys(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Whether so much more is still within the limit; then it is added.
fn add(to: &AtomicUsize, more: usize, limit: usize) -> bool {
    let sum = |now: usize| now.checked_add(more).filter(|sum| *sum <= limit);
    to.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn usage(max_size: usize, max_keys: usize) -> Usage {
        let limits = StoreLimits { max_size, max_keys };
        Usage::new(limits, Arc::new(LimitCounters::default()))
    }

    /// Neither of its bytes nor of the last key.
    #[test]
    fn what_does_not_fit_disturbs_nobody() {
        const TIMES: usize = 100_000;
        for (usage, size) in [(usage(1000, 10), 2000), (usage(1000, 1), 2000)] {
            thread::scope(|scope| {
                scope.spawn(|| (0..TIMES).for_each(|_| assert!(usage.add_key(size).is_err())));
                for _ in 0..TIMES {
                    assert!(usage.add_key(500).is_ok(), "{usage:?}");
                    usage.remove_key(500);
                }
            });
            assert_eq!((usage.keys(), usage.bytes()), (0, 0));
        }
    }

    #[test]
    fn a_key_beyond_a_limit_takes_nothing() {
        let usage = usage(1000, 2);
        assert!(usage.add_key(600).is_ok());
        let full = usage.add_key(401).expect_err("too many bytes").to_string();
        assert!(full.contains("--max-store-size"), "{full}");
        assert!(usage.add_key(400).is_ok());
        let full = usage.add_key(1).expect_err("too many keys").to_string();
        assert!(full.contains("--max-store-keys"), "{full}");
        assert_eq!((usage.keys(), usage.bytes()), (2, 1000));
    }
}
