//! What calls do with keys whose time is over.

use std::cell::Cell;

use futures_util::FutureExt;
use tempfile::TempDir;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn limits(max_size: usize) -> StoreLimits {
    StoreLimits {
        max_size,
        max_keys: 10_000,
    }
}

fn memory() -> Memory {
    Memory::new(limits(100 << 20), Arc::default())
}

/// One in a file, with room for four short keys.
async fn in_file(dir: &TempDir) -> Memory {
    let file = StoreFile {
        path: dir.path().join("store"),
        sync: StoreSync::Always,
    };
    let opened = Memory::open(limits(800), Arc::default(), file).await;
    opened.expect("a store")
}

fn bucket(store: &Memory) -> BucketId {
    store.0.buckets.open("").expect("a bucket")
}

/// Put keys in whose time is over.
fn fill(store: &Memory, count: usize) {
    let (table, bucket) = (&*store.0, bucket(store));
    for number in 0..count {
        let key = number.to_string();
        let (mut shard, at) = table.shard(bucket, &key).expect("a shard");
        shard
            .insert(at, b"", Some(0), &table.usage)
            .expect("enough room");
    }
}

fn set(store: &Memory, key: &str, value: &[u8], life: Life) -> Reply<bool> {
    store.set(bucket(store), key, value, Condition::Always, life)
}

async fn until(mut condition: impl FnMut() -> bool) {
    let met = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    let met = tokio::time::timeout(PATIENCE, met).await;
    met.expect("it comes to pass");
}

async fn until_gone(store: &Memory, key: &str) {
    let bucket = bucket(store);
    until(|| matches!(store.get(bucket, key), Reply::Ready(Ok(None)))).await;
}

/// Its time is over while the call runs. It would begin again without an end, and with its
/// old sum.
#[test]
fn a_number_that_was_found_keeps_its_end() {
    let store = memory();
    let (table, bucket) = (&*store.0, bucket(&store));
    let (mut shard, at) = table.shard(bucket, "n").expect("a shard");
    let inserted = shard.insert(at, b"7", Some(2), &table.usage);
    inserted.expect("enough room");
    let time = Cell::new(0);
    let clock = || {
        time.set(time.get() + 1);
        time.get()
    };
    let sum = increment(&mut shard, at, 1, (once(clock), &table.usage));
    assert_eq!(sum, Ok(8));
    assert_eq!(shard.find(at, || 1).and_then(|entry| entry.end), Some(2));
    assert!(shard.find(at, || 2).is_none());
}

#[test]
fn a_call_that_lists_looks_at_so_many_keys_only() {
    let store = memory();
    fill(&store, 5000);
    assert!(matches!(
        set(&store, "there", b"", Life::Forever),
        Reply::Ready(Ok(true))
    ));
    let (mut found, mut calls, mut cursor) = (Vec::new(), 0, None::<String>);
    loop {
        let listed = store.0.keys(bucket(&store), "", cursor.as_deref(), 1000);
        let listing = listed.expect("keys");
        calls += 1;
        found.extend(listing.keys);
        cursor = listing.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((found.len(), calls), (1, 6));
}

/// Also where no shard has enough for that.
#[test]
fn the_sweeper_gives_way() {
    let store = memory();
    fill(&store, 1000);
    assert!(sweep::round(&store.0).now_or_never().is_none());
    assert_eq!(store.0.usage.keys(), 1000 - sweep::SLICE);
}

/// Nobody makes a call meanwhile.
#[tokio::test]
async fn keys_that_ended_while_the_server_was_down_take_no_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = in_file(&dir).await;
    for key in ["a", "b", "c", "d"] {
        let life = Life::For(Duration::from_millis(1));
        let is_set = set(&store, key, b"", life).wait().await;
        assert_eq!(is_set, Ok(true));
    }
    until_gone(&store, "d").await;
    store.close().await;
    let store = in_file(&dir).await;
    until(|| store.status().bytes == 0).await;
    let is_set = set(&store, "e", b"", Life::Forever).wait().await;
    assert_eq!(is_set, Ok(true));
}

#[tokio::test]
async fn what_a_call_that_fails_has_removed_takes_no_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = in_file(&dir).await;
    let life = Life::For(Duration::from_millis(1));
    assert_eq!(set(&store, "k", b"", life).wait().await, Ok(true));
    until_gone(&store, "k").await;
    let large = set(&store, "k", &[0; 1000], Life::Forever).wait().await;
    assert!(large.is_err());
    until(|| store.status().bytes == 0).await;
}
