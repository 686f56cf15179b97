//! Writes what changes in a store to its file, behind what its guests do.
//!
//! One thread cuts all changes since the last time, of all shards at one moment, and
//! writes them as one batch. So the file always has what the store had at some moment, and
//! what changes often is written once. If a batch cannot be written, its changes go into
//! the next one, and those who wait for it learn why.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};

use hotsocket_sandbox::key_value::StoreError;
use tokio::sync::watch;

use super::file::{File, FileError};
use super::memory::Table;
use super::shard::{Changes, Time};
use super::usage::size_of;

/// Between the first change and its batch, with [`StoreSync::EverySecond`]; what it takes to
/// write the batch before is a part of it. The rest of the second is for writing it.
const INTERVAL: Duration = Duration::from_millis(500);
/// Between a batch that could not be written and the next.
const RETRY: Duration = Duration::from_secs(1);

/// When a change is on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreSync {
    /// Before its call returns.
    Always,
    /// About a second later, and what it takes to write a batch twice.
    #[default]
    #[value(name = "1s")]
    EverySecond,
}

/// Where a store is kept.
#[derive(Clone, Debug)]
pub struct StoreFile {
    pub path: PathBuf,
    pub sync: StoreSync,
}

/// The side of the thread that calls see.
pub struct Journal {
    sync: StoreSync,
    path: PathBuf,
    /// Something has changed since the last batch was cut.
    is_dirty: AtomicBool,
    /// The batch that a change made now belongs to. It changes while all shards are
    /// locked.
    batch: AtomicU64,
    done: watch::Sender<Done>,
    /// Batches that could not be written.
    pub errors: AtomicU64,
    is_stopping: AtomicBool,
    thread: OnceLock<Thread>,
}

/// How far the thread is.
#[derive(Clone, Debug, Default)]
struct Done {
    /// The last batch that is on the disk, with all before it.
    written: u64,
    /// The last one that could not be written, and why.
    failed: u64,
    why: Arc<str>,
    /// There will be no more.
    is_over: bool,
}

impl Journal {
    pub fn new(file: &StoreFile) -> Self {
        Journal {
            sync: file.sync,
            path: file.path.clone(),
            is_dirty: AtomicBool::new(false),
            batch: AtomicU64::new(1),
            done: watch::Sender::default(),
            errors: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
            thread: OnceLock::new(),
        }
    }

    pub fn sync(&self) -> StoreSync {
        self.sync
    }

    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The batch of a change that is being made. Call it while its shard is locked.
    pub fn batch(&self) -> u64 {
        self.batch.load(Ordering::Relaxed)
    }

    /// Something has changed.
    pub fn wake(&self) {
        if !self.is_dirty.load(Ordering::Relaxed) && !self.is_dirty.swap(true, Ordering::AcqRel) {
            self.unpark();
        }
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Wait until a batch is on the disk.
    pub fn written(&self, batch: u64) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let mut done = self.done.subscribe();
        async move {
            let is_there =
                |done: &Done| done.written >= batch || done.failed >= batch || done.is_over;
            let why = match done.wait_for(is_there).await {
                Ok(done) if done.written >= batch => return Ok(()),
                Ok(done) if done.failed >= batch => Arc::clone(&done.why),
                _ => "the server stops".into(),
            };
            let why = format!("changed, but not yet in the file: {why}");
            Err(StoreError::other(why))
        }
    }

    /// Write what has changed, and end the thread.
    pub async fn close(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.unpark();
        let mut done = self.done.subscribe();
        let _ = done.wait_for(|done| done.is_over).await;
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::Release);
        self.unpark();
    }
}

/// Start the thread for a table that has this journal.
///
/// # Errors
/// When the system refuses a thread.
pub fn start(table: &Arc<Table>, journal: &Journal, file: File) -> std::io::Result<()> {
    let table = Arc::downgrade(table);
    let writer = thread::Builder::new().name("store".to_owned());
    let writer = writer.spawn(move || Writer { file, table }.run())?;
    let _ = journal.thread.set(writer.thread().clone());
    Ok(())
}

/// What the thread has.
struct Writer {
    file: File,
    /// Gone when nobody uses the store any more.
    table: Weak<Table>,
}

impl Writer {
    fn run(mut self) {
        let (mut is_failing, mut took) = (false, Duration::ZERO);
        loop {
            let Some(table) = self.table.upgrade() else {
                return;
            };
            let Some(journal) = table.journal.get() else {
                return;
            };
            let is_stopping = journal.is_stopping.load(Ordering::Acquire);
            if !journal.is_dirty.load(Ordering::Acquire) || is_failing && is_stopping {
                if is_stopping {
                    if is_failing {
                        // It names the file.
                        let why = Arc::clone(&journal.done.borrow().why);
                        tracing::error!(kind = "store", "the last changes are lost: {why}");
                    }
                    // Whoever has waited for the end may open it.
                    drop(self.file);
                    journal.done.send_modify(|done| done.is_over = true);
                    return;
                }
                // Not to keep it, should nobody else.
                drop(table);
                thread::park();
                // What changes from now on has not waited for a batch.
                took = Duration::ZERO;
                continue;
            }
            wait(journal, pause(is_failing, journal.sync, took));
            let began = Instant::now();
            journal.is_dirty.store(false, Ordering::Release);
            let (batch, changes) = cut(&table, journal);
            let written = self.write(&table, &changes);
            match &written {
                Ok(()) => {
                    forget(&table, &changes);
                    journal.done.send_modify(|done| done.written = batch);
                }
                Err(error) => {
                    let why = format!("{} {error}", self.file.path().display());
                    give_back(&table, changes);
                    journal.is_dirty.store(true, Ordering::Release);
                    journal.errors.fetch_add(1, Ordering::Relaxed);
                    if !is_failing {
                        tracing::error!(
                            kind = "store",
                            "{why}; changes stay in memory, and it is tried again"
                        );
                    }
                    journal.done.send_modify(|done| {
                        done.failed = batch;
                        done.why = why.into();
                    });
                }
            }
            if written.is_ok() && is_failing {
                let path = self.file.path().display();
                tracing::info!(kind = "store", "{path} is written again");
            }
            is_failing = written.is_err();
            took = began.elapsed();
        }
    }

    fn write(&mut self, table: &Table, changes: &[Changes]) -> Result<(), FileError> {
        if changes.iter().all(Changes::is_empty) {
            return Ok(());
        }
        let clock = WallClock::now(table);
        let names = table.buckets.names();
        let all = changes.iter().flatten();
        self.file.write(all.filter_map(|((bucket, key), now)| {
            let bucket = names.get(bucket.0 as usize)?;
            let now = now.as_ref();
            let now = now.map(|saved| (saved.end.map(|end| clock.wall(end)), &*saved.value));
            Some((&**bucket, key.as_str(), now))
        }))
    }
}

/// Before the next batch, if the one before took so long.
fn pause(is_failing: bool, sync: StoreSync, took: Duration) -> Duration {
    match (is_failing, sync) {
        (true, _) => RETRY,
        // Changes have waited while it was written.
        (false, StoreSync::EverySecond) => INTERVAL.saturating_sub(took),
        (false, StoreSync::Always) => Duration::ZERO,
    }
}

/// Wait so long, unless the server stops.
fn wait(journal: &Journal, time: Duration) {
    let until = Instant::now() + time;
    while !journal.is_stopping.load(Ordering::Acquire) {
        match until.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => thread::park_timeout(left),
            _ => return,
        }
    }
}

/// Take what has changed in all shards, at one moment.
fn cut(table: &Table, journal: &Journal) -> (u64, Vec<Changes>) {
    let mut shards: Vec<_> = table.shards.iter().map(|shard| shard.lock()).collect();
    let batch = journal.batch.fetch_add(1, Ordering::Relaxed);
    let changes = shards.iter_mut().map(|shard| shard.take_changes());
    (batch, changes.collect())
}

/// Changes are in the file: keys that are gone count no more.
fn forget(table: &Table, changes: &[Changes]) {
    let all = changes.iter().flatten();
    let gone = all.filter(|(_, now)| now.is_none());
    let sizes = gone.map(|((_, key), _)| size_of(key, 0));
    table.usage.remove_gone(sizes.sum());
}

fn give_back(table: &Table, changes: Vec<Changes>) {
    for (shard, changes) in table.shards.iter().zip(changes) {
        shard.lock().give_back(changes, &table.usage);
    }
}

/// What the store's clock and the system's show at the same moment.
#[derive(Clone, Copy)]
pub struct WallClock {
    store: Time,
    /// Milliseconds since 1970.
    system: u64,
}

impl WallClock {
    pub fn now(table: &Table) -> Self {
        let system = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let system = system.unwrap_or_default().as_millis();
        WallClock {
            store: table.now(),
            system: u64::try_from(system).unwrap_or(u64::MAX),
        }
    }

    /// What the system's clock shows then. Not 0.
    fn wall(self, end: Time) -> u64 {
        let from_now = end.saturating_sub(self.store);
        self.system.saturating_add(from_now).max(1)
    }

    /// The reverse; `None` if it is over.
    pub fn store(self, end: u64) -> Option<Time> {
        let from_now = end.checked_sub(self.system).filter(|left| *left > 0)?;
        Some(self.store.saturating_add(from_now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_takes_long_delays_the_next_one_no_more() {
        let pause = |took| pause(false, StoreSync::EverySecond, Duration::from_millis(took));
        assert_eq!(pause(0), INTERVAL);
        assert_eq!(pause(400), INTERVAL - Duration::from_millis(400));
        assert_eq!(pause(5000), Duration::ZERO);
    }
}
