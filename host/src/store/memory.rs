//! A store in memory. No call waits for more than the lock of a shard.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hotsocket_sandbox::key_value::{
    BucketId, Condition, Found, KeyValue, Life, Listing, Reply, StoreError,
};
use hotsocket_sandbox::limit_counters::LimitCounters;
use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::time::Instant;

use super::shard::{From, Shard, Time};
use super::usage::{StoreLimits, Usage};
use super::{Store, StoreStatus, sweep};

/// Locks; more than a machine has threads that would wait for each other.
const SHARDS: usize = 64;
/// Buckets; each takes some bytes of every shard.
const MAX_BUCKETS: usize = 1000;
/// What `""` is as well.
const DEFAULT_BUCKET: &str = "default";
/// The longest time to live: as good as for ever, and no sum with it overflows.
const MAX_LIFE: Time = 1 << 60;

/// See the module's documentation. Clones are the same store.
#[derive(Clone)]
pub struct Memory(Arc<Table>);

/// What the clones share.
pub(super) struct Table {
    pub shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    buckets: RwLock<HashMap<Box<str>, BucketId>>,
    pub usage: Usage,
    /// The store's clock begins here. It is the sessions' clock, in `hotsocket test`
    /// that of the script.
    began: Instant,
    /// The sweeper runs.
    pub is_swept: AtomicBool,
}

impl Memory {
    pub fn new(limits: StoreLimits, reached: Arc<LimitCounters>) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default());
        Memory(Arc::new(Table {
            shards: shards.collect(),
            hasher: RandomState::new(),
            buckets: RwLock::default(),
            usage: Usage::new(limits, reached),
            began: Instant::now(),
            is_swept: AtomicBool::new(false),
        }))
    }

    /// Remove everything.
    pub fn clear(&self) {
        let table = &*self.0;
        for shard in &table.shards {
            shard.lock().clear(&table.usage);
        }
    }
}

impl Table {
    pub fn now(&self) -> Time {
        millis(Instant::now().saturating_duration_since(self.began))
    }

    fn shard(&self, bucket: BucketId, key: &str) -> Result<MutexGuard<'_, Shard>, StoreError> {
        let hash = self.hasher.hash_one((bucket, key)) as usize;
        let shard = self.shards.get(hash % SHARDS);
        // There is one for each remainder.
        let shard = shard.ok_or_else(|| StoreError::other("no such shard"))?;
        Ok(shard.lock())
    }

    /// When a key with this life is gone, if it would have been gone then.
    fn end(&self, life: Life, was: Option<Time>) -> Option<Time> {
        match life {
            Life::Forever => None,
            Life::Unchanged => was,
            Life::For(time) => Some(self.now() + millis(time).min(MAX_LIFE)),
        }
    }

    fn set(
        &self,
        (bucket, key): (BucketId, &str),
        value: Arc<[u8]>,
        when: Condition,
        life: Life,
    ) -> Result<bool, StoreError> {
        let end = |was| self.end(life, was);
        let now = (|| self.now(), &self.usage);
        self.shard(bucket, key)?
            .set((bucket, key), value, when, end, now)
    }

    fn increment(&self, bucket: BucketId, key: &str, delta: i64) -> Result<i64, StoreError> {
        let now = || self.now();
        let mut shard = self.shard(bucket, key)?;
        let number = match shard.find(bucket, key, now) {
            None => 0,
            Some(entry) => std::str::from_utf8(&entry.value)
                .ok()
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| StoreError::other("the value is not a number"))?,
        };
        let sum = i64::checked_add(number, delta);
        let sum = sum.ok_or_else(|| StoreError::other("the sum is out of range"))?;
        let value = Arc::from(sum.to_string().into_bytes());
        let at = (bucket, key);
        shard.set(at, value, Condition::Always, |was| was, (now, &self.usage))?;
        Ok(sum)
    }

    fn keys(
        &self,
        bucket: BucketId,
        prefix: &str,
        cursor: Option<&str>,
        most: usize,
    ) -> Result<Listing, StoreError> {
        let (first, mut after) = match cursor.map(parse_cursor) {
            None => (0, From::Start),
            Some(Some((shard, key))) => (shard, From::After(key)),
            Some(None) => return Err(StoreError::other("not a cursor")),
        };
        let (now, most) = (self.now(), most.max(1));
        let mut keys = Vec::new();
        for (number, shard) in self.shards.iter().enumerate().skip(first) {
            let room = most - keys.len();
            let from = std::mem::replace(&mut after, From::Start);
            let last = shard
                .lock()
                .list(bucket, prefix, from, (room, now), &mut keys);
            if let Some(last) = last {
                let cursor = Some(format!("{number}:{last}"));
                return Ok(Listing { keys, cursor });
            }
            if keys.len() >= most {
                break;
            }
        }
        Ok(Listing { keys, cursor: None })
    }
}

/// The number of a shard, and the last key of it that was looked at.
fn parse_cursor(cursor: &str) -> Option<(usize, &str)> {
    let (shard, key) = cursor.split_once(':')?;
    let shard = shard.parse().ok()?;
    (shard < SHARDS).then_some((shard, key))
}

fn millis(time: Duration) -> Time {
    Time::try_from(time.as_millis()).unwrap_or(Time::MAX)
}

impl KeyValue for Memory {
    fn may_wait(&self) -> bool {
        false
    }

    fn open(&self, name: &str) -> Result<BucketId, StoreError> {
        let name = if name.is_empty() {
            DEFAULT_BUCKET
        } else {
            name
        };
        if let Some(bucket) = self.0.buckets.read().get(name) {
            return Ok(*bucket);
        }
        let mut buckets = self.0.buckets.write();
        let next = u32::try_from(buckets.len()).unwrap_or(u32::MAX);
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(name) {
            let why = format!("the store has {MAX_BUCKETS} buckets already");
            return Err(StoreError::other(why));
        }
        Ok(*buckets.entry(name.into()).or_insert(BucketId(next)))
    }

    fn get(&self, bucket: BucketId, key: &str) -> Reply<Option<Found>> {
        let shard = self.0.shard(bucket, key);
        Reply::Ready(shard.map(|shard| shard.get(bucket, key, || self.0.now())))
    }

    fn set(
        &self,
        bucket: BucketId,
        key: &str,
        value: Arc<[u8]>,
        when: Condition,
        life: Life,
    ) -> Reply<bool> {
        let set = self.0.set((bucket, key), value, when, life);
        if matches!(life, Life::For(_)) {
            sweep::start(&self.0);
        }
        Reply::Ready(set)
    }

    fn delete(&self, bucket: BucketId, key: &str) -> Reply<bool> {
        let now = || self.0.now();
        let delete = |mut shard: MutexGuard<'_, Shard>| {
            let was_there = shard.find(bucket, key, now).is_some();
            shard.remove(bucket, key, &self.0.usage);
            was_there
        };
        Reply::Ready(self.0.shard(bucket, key).map(delete))
    }

    fn increment(&self, bucket: BucketId, key: &str, delta: i64) -> Reply<i64> {
        Reply::Ready(self.0.increment(bucket, key, delta))
    }

    fn life(&self, bucket: BucketId, key: &str) -> Reply<Option<Life>> {
        let now = self.0.now();
        let life = |shard: MutexGuard<'_, Shard>| {
            let entry = shard.find(bucket, key, || now)?;
            let left = entry.end.map(|end| Duration::from_millis(end - now));
            Some(left.map_or(Life::Forever, Life::For))
        };
        Reply::Ready(self.0.shard(bucket, key).map(life))
    }

    fn set_life(&self, bucket: BucketId, key: &str, life: Life) -> Reply<bool> {
        let now = || self.0.now();
        let set = |mut shard: MutexGuard<'_, Shard>| {
            let was = match shard.find(bucket, key, now) {
                Some(entry) => entry.end,
                None => return false,
            };
            let end = self.0.end(life, was);
            shard.set_end(bucket, key, end, (now, &self.0.usage))
        };
        let set = self.0.shard(bucket, key).map(set);
        if matches!(life, Life::For(_)) {
            sweep::start(&self.0);
        }
        Reply::Ready(set)
    }

    fn keys(
        &self,
        bucket: BucketId,
        prefix: &str,
        cursor: Option<&str>,
        most: usize,
    ) -> Reply<Listing> {
        Reply::Ready(self.0.keys(bucket, prefix, cursor, most))
    }
}

impl Store for Memory {
    fn status(&self) -> StoreStatus {
        StoreStatus {
            keys: self.0.usage.keys(),
            bytes: self.0.usage.bytes(),
        }
    }
}
