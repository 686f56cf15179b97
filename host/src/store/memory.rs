//! A store in memory, which may be kept in a file. No call waits for more than the lock of
//! a shard, unless it is to wait for the file.

use std::cell::OnceCell;
use std::hash::RandomState;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hotsocket_sandbox::key_value::{
    BucketId, Condition, Found, KeyValue, Life, Listing, Reply, StoreError,
};
use hotsocket_sandbox::limit_counters::LimitCounters;
use hotsocket_sandbox::run_on_thread;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::buckets::Buckets;
use super::file::{File, FileError, Row};
use super::journal::{self, Journal, StoreFile, StoreSync, WallClock};
use super::shard::{At, Shard, Start, Time};
use super::usage::{StoreLimits, Usage};
use super::{Store, StoreStatus, sum, sweep};

/// Locks; more than a machine has threads that would wait for each other.
const SHARDS: usize = 64;
/// The longest time to live: as good as for ever, and no sum with it overflows.
const MAX_LIFE: Time = 1 << 60;

/// See the module's documentation. Clones are the same store.
#[derive(Clone)]
pub struct Memory(Arc<Table>);

/// What the clones share.
pub(super) struct Table {
    pub shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    pub buckets: Buckets,
    pub usage: Usage,
    /// The store's clock begins here. It is the sessions' clock, in `hotsocket test`
    /// that of the script.
    began: Instant,
    /// The sweeper runs.
    pub is_swept: AtomicBool,
    /// Set once, before the first call, if the store is kept in a file.
    pub journal: OnceLock<Journal>,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the store {} {error}", .path.display())]
    File { path: PathBuf, error: FileError },
    #[error("no thread for the store: {0}")]
    Thread(std::io::Error),
}

impl Memory {
    /// A store that ends with the server.
    pub fn new(limits: StoreLimits, reached: Arc<LimitCounters>) -> Self {
        let hasher = RandomState::new();
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::new(hasher.clone())));
        Memory(Arc::new(Table {
            shards: shards.collect(),
            hasher,
            buckets: Buckets::default(),
            usage: Usage::new(limits, reached),
            began: Instant::now(),
            is_swept: AtomicBool::new(false),
            journal: OnceLock::new(),
        }))
    }

    /// A store with what a file has, and that is kept in it. The file is made if it is
    /// not there.
    ///
    /// # Errors
    /// When the file is in use, is none of ours, or has more than there may be.
    pub async fn open(
        limits: StoreLimits,
        reached: Arc<LimitCounters>,
        file: StoreFile,
    ) -> Result<Self, OpenError> {
        let opened = run_on_thread("store", None, move || {
            let store = Memory::new(limits, reached);
            store.load(&file)?;
            Ok(store)
        });
        let store = opened.await.map_err(OpenError::Thread)??;
        let mut shards = store.0.shards.iter();
        if shards.any(|shard| shard.lock().has_ends()) {
            sweep::start(&store.0);
        }
        Ok(store)
    }

    fn load(&self, file: &StoreFile) -> Result<(), OpenError> {
        let kept = self.read(&file.path).map_err(|error| OpenError::File {
            path: file.path.clone(),
            error,
        })?;
        let journal = self.0.journal.get_or_init(|| Journal::new(file));
        journal::start(&self.0, journal, kept).map_err(OpenError::Thread)?;
        // Keys whose time was over are still in the file, and count until they are not.
        journal.wake();
        Ok(())
    }

    /// Take over what a file has. From then on changes are kept for it.
    fn read(&self, path: &Path) -> Result<File, FileError> {
        let mut file = File::open(path)?;
        let table = &*self.0;
        let clock = WallClock::now(table);
        let mut over = Vec::new();
        file.read(|row: Row<'_>| {
            let bucket = table.buckets.open(row.bucket)?;
            let end = row.end.map(|end| clock.store(end));
            if end == Some(None) {
                over.push((bucket, Box::<str>::from(row.key)));
                return Ok(());
            }
            let (mut shard, at) = table.shard(bucket, row.key)?;
            shard.insert(at, row.value, end.flatten(), &table.usage)
        })?;
        for shard in &table.shards {
            shard.lock().keep_changes();
        }
        for (bucket, key) in &over {
            let (mut shard, at) = table.shard(*bucket, key)?;
            shard.note(at, &table.usage);
        }
        Ok(file)
    }

    /// Remove everything. For `hotsocket test`.
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

    /// The same, rounded up: a life that begins now is never shorter than it was said.
    fn now_rounded_up(&self) -> Time {
        let passed = Instant::now().saturating_duration_since(self.began);
        millis(passed + Duration::from_nanos(999_999))
    }

    /// The shard of a key, and how the key is found in it.
    fn shard<'a>(
        &self,
        bucket: BucketId,
        key: &'a str,
    ) -> Result<(MutexGuard<'_, Shard>, At<'a>), StoreError> {
        let at = At::new(&self.hasher, bucket, key);
        let shard = self.shards.get((at.hash >> 48) as usize % SHARDS);
        // There is one for each remainder.
        let shard = shard.ok_or_else(|| StoreError::other("no such shard"))?;
        Ok((shard.lock(), at))
    }

    /// When a key with this life is gone, if it would have been gone then.
    fn end(&self, life: Life, was: Option<Time>, now: impl Fn() -> Time) -> Option<Time> {
        match life {
            Life::Forever => None,
            Life::Unchanged => was,
            Life::For(time) => Some(match millis(time).min(MAX_LIFE) {
                0 => now(),
                time => self.now_rounded_up() + time,
            }),
        }
    }

    /// Something has changed, for which nobody waits.
    pub fn note_changes(&self) {
        if let Some(journal) = self.journal.get() {
            journal.wake();
        }
    }

    /// Do something with a key that may change it: `run` gives its result, and whether it
    /// did. The reply is there when the change is as safe as it is to be.
    fn change<T: Send + 'static>(
        &self,
        (bucket, key): (BucketId, &str),
        run: impl FnOnce(&mut Shard, At<'_>, &dyn Fn() -> Time) -> Result<(T, bool), StoreError>,
    ) -> Reply<T> {
        let (mut shard, at) = match self.shard(bucket, key) {
            Ok(found) => found,
            Err(error) => return Reply::Ready(Err(error)),
        };
        let result = run(&mut shard, at, &once(|| self.now()));
        // A call that fails may have removed a key whose time was over.
        let is_changed = match &result {
            Ok((_, is_changed)) => *is_changed,
            Err(_) => shard.has_changes(),
        };
        let journal = self.journal.get().filter(|_| is_changed);
        let journal = journal.map(|journal| (journal, journal.batch()));
        drop(shard);
        let result = result.map(|(result, _)| result);
        let Some((journal, batch)) = journal else {
            return Reply::Ready(result);
        };
        journal.wake();
        match (journal.sync(), result) {
            (StoreSync::Always, Ok(result)) => {
                let written = journal.written(batch);
                Reply::Pending(Box::pin(async move {
                    written.await?;
                    Ok(result)
                }))
            }
            (_, result) => Reply::Ready(result),
        }
    }

    fn keys(
        &self,
        bucket: BucketId,
        prefix: &str,
        cursor: Option<&str>,
        most: usize,
    ) -> Result<Listing, StoreError> {
        let (first, mut after) = match cursor.map(parse_cursor) {
            None => (0, Start::First),
            Some(Some((shard, key))) => (shard, Start::After(key)),
            Some(None) => return Err(StoreError::other("not a cursor")),
        };
        // Of all shards together, whether they are still there or not: one call must not
        // look at all that has ever been set.
        let mut room = most.max(1);
        let (now, mut keys) = (self.now(), Vec::new());
        for (number, shard) in self.shards.iter().enumerate().skip(first) {
            let from = std::mem::replace(&mut after, Start::First);
            let room = (&mut room, now);
            let last = shard.lock().list(bucket, prefix, from, room, &mut keys);
            if let Some(last) = last {
                let cursor = Some(format!("{number}:{last}"));
                return Ok(Listing { keys, cursor });
            }
        }
        Ok(Listing { keys, cursor: None })
    }
}

/// A clock that is read when it is first asked, and shows the same time from then on. A call
/// that reads it twice may find a key, and find that its time is over after that.
fn once(now: impl Fn() -> Time) -> impl Fn() -> Time {
    let read = OnceCell::new();
    move || *read.get_or_init(&now)
}

/// Add to a number, with a clock that shows one time.
fn increment(
    shard: &mut Shard,
    at: At<'_>,
    delta: i64,
    (now, usage): (impl Fn() -> Time, &Usage),
) -> Result<i64, StoreError> {
    let number = shard.find(at, &now).map(|entry| &*entry.value);
    let sum = sum(number, delta)?;
    let (value, always) = (sum.to_string(), Condition::Always);
    shard.set(at, value.as_bytes(), always, |was| was, (now, usage))?;
    Ok(sum)
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
        let journal = self.0.journal.get();
        journal.is_some_and(|journal| journal.sync() == StoreSync::Always)
    }

    fn open(&self, name: &str) -> Result<BucketId, StoreError> {
        self.0.buckets.open(name)
    }

    fn find(&self, name: &str) -> Result<Option<BucketId>, StoreError> {
        Ok(self.0.buckets.find(name))
    }

    fn get(&self, bucket: BucketId, key: &str) -> Reply<Option<Found>> {
        let shard = self.0.shard(bucket, key);
        Reply::Ready(shard.map(|(shard, at)| shard.get(at, || self.0.now())))
    }

    fn set(
        &self,
        bucket: BucketId,
        key: &str,
        value: &[u8],
        when: Condition,
        life: Life,
    ) -> Reply<bool> {
        let table = &self.0;
        let reply = table.change((bucket, key), |shard, at, now| {
            let end = |was| table.end(life, was, now);
            let set = shard.set(at, value, when, end, (now, &table.usage))?;
            Ok((set, set))
        });
        if matches!(life, Life::For(_)) {
            sweep::start(table);
        }
        reply
    }

    fn delete(&self, bucket: BucketId, key: &str) -> Reply<bool> {
        self.0.change((bucket, key), |shard, at, now| {
            let was_there = shard.find(at, now).is_some();
            let is_removed = shard.remove(at, &self.0.usage);
            Ok((was_there, is_removed))
        })
    }

    fn increment(&self, bucket: BucketId, key: &str, delta: i64) -> Reply<i64> {
        self.0.change((bucket, key), |shard, at, now| {
            let sum = increment(shard, at, delta, (now, &self.0.usage))?;
            Ok((sum, true))
        })
    }

    fn life(&self, bucket: BucketId, key: &str) -> Reply<Option<Life>> {
        let life = |(shard, at): (MutexGuard<'_, Shard>, At<'_>)| {
            let entry = shard.find(at, || self.0.now())?;
            let left = |end: Time| end.saturating_sub(self.0.now_rounded_up());
            let left = entry.end.map(|end| Duration::from_millis(left(end)));
            Some(left.map_or(Life::Forever, Life::For))
        };
        Reply::Ready(self.0.shard(bucket, key).map(life))
    }

    fn set_life(&self, bucket: BucketId, key: &str, life: Life) -> Reply<bool> {
        let table = &self.0;
        let reply = table.change((bucket, key), |shard, at, now| {
            let Some(entry) = shard.find(at, now) else {
                return Ok((false, false));
            };
            let end = table.end(life, entry.end, now);
            let is_set = shard.set_end(at, end, (now, &table.usage));
            Ok((is_set, is_set))
        });
        if matches!(life, Life::For(_)) {
            sweep::start(table);
        }
        reply
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
        let journal = self.0.journal.get();
        StoreStatus {
            keys: self.0.usage.keys(),
            bytes: self.0.usage.bytes(),
            file: journal.map(|journal| journal.path().to_owned()),
            errors: journal.map_or(0, |journal| journal.errors.load(Ordering::Relaxed)),
            nats: None,
        }
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            if let Some(journal) = self.0.journal.get() {
                journal.close().await;
            }
        })
    }
}

#[cfg(test)]
mod tests;
