//! A part of the store's keys, behind one lock.
//!
//! A bucket's keys are in a hash map, by which each is found, and in order, by which
//! those with a prefix are; keys with an end are in order of their ends. All of them
//! share a key's text. With a file, what has changed since the last batch was cut is in
//! [`Shard::unsaved`].

use std::collections::{BTreeSet, HashMap, hash_map};
use std::ops::Bound;
use std::sync::Arc;

use hotsocket_sandbox::key_value::{BucketId, Condition, Found, StoreError};

use super::usage::{Usage, size_of};

/// A time of the store's clock, in milliseconds.
pub type Time = u64;

#[derive(Debug, Default)]
pub struct Shard {
    /// By their numbers.
    buckets: Vec<Bucket>,
    /// Of the last change.
    revision: u64,
    /// Keys with an end, the next one first.
    ends: BTreeSet<(Time, BucketId, Arc<str>)>,
    /// What is to be written to the file; `None` without one.
    unsaved: Option<Changes>,
}

/// Keys with what they are now. Those that are gone count as keys without a value until
/// that is in the file: or who sets and removes keys without end would fill the memory.
pub type Changes = HashMap<(BucketId, Arc<str>), Option<Saved>>;

/// What a file keeps of a key.
#[derive(Clone, Debug)]
pub struct Saved {
    pub value: Arc<[u8]>,
    pub end: Option<Time>,
}

#[derive(Debug, Default)]
struct Bucket {
    entries: HashMap<Arc<str>, Entry>,
    order: BTreeSet<Arc<str>>,
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub value: Arc<[u8]>,
    revision: u64,
    /// When it is gone; `None`: never.
    pub end: Option<Time>,
}

/// Where a shard's part of a list begins.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    First,
    After(&'a str),
}

impl Shard {
    /// A key that is there now.
    pub fn find(&self, bucket: BucketId, key: &str, now: impl Fn() -> Time) -> Option<&Entry> {
        let entry = self.bucket(bucket)?.entries.get(key)?;
        let is_over = entry.end.is_some_and(|end| end <= now());
        (!is_over).then_some(entry)
    }

    pub fn get(&self, bucket: BucketId, key: &str, now: impl Fn() -> Time) -> Option<Found> {
        let Entry {
            value, revision, ..
        } = self.find(bucket, key, now)?;
        Some(Found {
            value: Arc::clone(value),
            revision: *revision,
        })
    }

    /// Set a value if the condition holds, with `end` of the end that the key has had.
    ///
    /// # Errors
    /// When there is no room for it. Nothing has changed then.
    pub fn set(
        &mut self,
        (bucket, key): (BucketId, &str),
        value: Arc<[u8]>,
        when: Condition,
        end: impl FnOnce(Option<Time>) -> Option<Time>,
        (now, usage): (impl Fn() -> Time, &Usage),
    ) -> Result<bool, StoreError> {
        let old = self.find(bucket, key, &now);
        let revision = old.map_or(0, |entry| entry.revision);
        let holds = match when {
            Condition::Always => true,
            Condition::IfAbsent => revision == 0,
            Condition::IfPresent => revision != 0,
            Condition::IfRevision(expected) => revision == expected,
        };
        if !holds {
            return Ok(false);
        }
        let end = end(old.and_then(|entry| entry.end));
        if end.is_some_and(|end| end <= now()) {
            self.remove(bucket, key, usage);
            return Ok(true);
        }
        if old.is_none() {
            // What may be there is over.
            self.remove(bucket, key, usage);
            self.insert((bucket, key), value, end, usage)?;
            return Ok(true);
        }
        let revision = self.revision + 1;
        let Some(entry) = self.entry(bucket, key) else {
            return Ok(false);
        };
        let (from, to) = (entry.value.len(), value.len());
        usage.resize(size_of(key, from), size_of(key, to))?;
        entry.value = value;
        entry.revision = revision;
        let was = std::mem::replace(&mut entry.end, end);
        self.revision = revision;
        self.move_end(bucket, key, was, end);
        self.note(bucket, key, usage);
        Ok(true)
    }

    /// A key that is not there yet.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn insert(
        &mut self,
        (bucket, key): (BucketId, &str),
        value: Arc<[u8]>,
        end: Option<Time>,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        usage.add_key(size_of(key, value.len()))?;
        let key: Arc<str> = Arc::from(key);
        self.revision += 1;
        let entry = Entry {
            value,
            revision: self.revision,
            end,
        };
        let at = bucket.0 as usize;
        if self.buckets.len() <= at {
            self.buckets.resize_with(at + 1, Bucket::default);
        }
        if let Some(bucket) = self.buckets.get_mut(at) {
            bucket.order.insert(Arc::clone(&key));
            bucket.entries.insert(Arc::clone(&key), entry);
        }
        if let Some(end) = end {
            self.ends.insert((end, bucket, Arc::clone(&key)));
        }
        self.note(bucket, &key, usage);
        Ok(())
    }

    /// Give a key another end. False if it isn't there.
    pub fn set_end(
        &mut self,
        bucket: BucketId,
        key: &str,
        end: Option<Time>,
        (now, usage): (impl Fn() -> Time, &Usage),
    ) -> bool {
        if self.find(bucket, key, &now).is_none() {
            return false;
        }
        if end.is_some_and(|end| end <= now()) {
            return self.remove(bucket, key, usage);
        }
        if let Some(entry) = self.entry(bucket, key) {
            let was = std::mem::replace(&mut entry.end, end);
            self.move_end(bucket, key, was, end);
        }
        self.note(bucket, key, usage);
        true
    }

    /// Remove a key, whether its time is over or not. False if it isn't there.
    pub fn remove(&mut self, bucket: BucketId, key: &str, usage: &Usage) -> bool {
        let Some(of) = self.buckets.get_mut(bucket.0 as usize) else {
            return false;
        };
        let Some(entry) = of.entries.remove(key) else {
            return false;
        };
        of.order.remove(key);
        usage.remove_key(size_of(key, entry.value.len()));
        self.move_end(bucket, key, entry.end, None);
        self.note(bucket, key, usage);
        true
    }

    /// A key has changed.
    fn note(&mut self, bucket: BucketId, key: &str, usage: &Usage) {
        if self.unsaved.is_none() {
            return;
        }
        let of = self.bucket(bucket);
        let found = of.and_then(|of| of.entries.get_key_value(key));
        let (key, now) = match found {
            Some((key, Entry { value, end, .. })) => {
                let (value, end) = (Arc::clone(value), *end);
                (Arc::clone(key), Some(Saved { value, end }))
            }
            None => (Arc::from(key), None),
        };
        let size = size_of(&key, 0);
        let is_gone = now.is_none();
        let Some(unsaved) = &mut self.unsaved else {
            return;
        };
        let was_gone = matches!(unsaved.insert((bucket, key), now), Some(None));
        match (was_gone, is_gone) {
            (false, true) => usage.add_gone(size),
            (true, false) => usage.remove_gone(size),
            _ => {}
        }
    }

    /// A key that the file has, and that is not there any more.
    pub fn note_gone(&mut self, bucket: BucketId, key: &str, usage: &Usage) {
        self.note(bucket, key, usage);
    }

    /// From now on changes are kept, until they are taken.
    pub fn keep_changes(&mut self) {
        self.unsaved.get_or_insert_default();
    }

    /// What has changed since this was last asked.
    pub fn take_changes(&mut self) -> Changes {
        let unsaved = self.unsaved.as_mut();
        unsaved.map(std::mem::take).unwrap_or_default()
    }

    /// Changes that were taken could not be saved. What has changed again since is newer.
    pub fn give_back(&mut self, changes: Changes, usage: &Usage) {
        let unsaved = self.unsaved.get_or_insert_default();
        for (key, was) in changes {
            let is_gone = was.is_none();
            let size = size_of(&key.1, 0);
            match unsaved.entry(key) {
                hash_map::Entry::Vacant(entry) => {
                    entry.insert(was);
                }
                hash_map::Entry::Occupied(_) if is_gone => usage.remove_gone(size),
                hash_map::Entry::Occupied(_) => {}
            }
        }
    }

    fn move_end(&mut self, bucket: BucketId, key: &str, from: Option<Time>, to: Option<Time>) {
        if from == to {
            return;
        }
        let key: Arc<str> = match self.bucket(bucket).and_then(|of| of.order.get(key)) {
            Some(key) => Arc::clone(key),
            None => Arc::from(key),
        };
        if let Some(from) = from {
            self.ends.remove(&(from, bucket, Arc::clone(&key)));
        }
        if let Some(to) = to {
            self.ends.insert((to, bucket, key));
        }
    }

    /// Remove so many of the keys whose time is over, at most. Returns how many.
    pub fn sweep(&mut self, now: Time, most: usize, usage: &Usage) -> usize {
        for swept in 0..most {
            match self.ends.first() {
                Some((end, bucket, key)) if *end <= now => {
                    let (bucket, key) = (*bucket, Arc::clone(key));
                    self.remove(bucket, &key, usage);
                }
                _ => return swept,
            }
        }
        most
    }

    /// Whether any key has an end.
    pub fn has_ends(&self) -> bool {
        !self.ends.is_empty()
    }

    /// Look at so many keys of a bucket that begin with a prefix, at most, and keep those
    /// that are there. Returns the last one looked at, if there may be more.
    pub fn list(
        &self,
        bucket: BucketId,
        prefix: &str,
        from: Start<'_>,
        (most, now): (usize, Time),
        keys: &mut Vec<Arc<str>>,
    ) -> Option<Arc<str>> {
        let of = self.bucket(bucket)?;
        let start = match from {
            Start::After(key) if key >= prefix => Bound::Excluded(key),
            _ => Bound::Included(prefix),
        };
        let listed = of.order.range::<str, _>((start, Bound::Unbounded));
        let listed = listed.take_while(|key| key.starts_with(prefix));
        for (count, key) in listed.enumerate() {
            let entry = of.entries.get(key);
            if entry.is_some_and(|entry| entry.end.is_none_or(|end| end > now)) {
                keys.push(Arc::clone(key));
            }
            if count + 1 >= most {
                return Some(Arc::clone(key));
            }
        }
        None
    }

    /// Remove everything.
    pub fn clear(&mut self, usage: &Usage) {
        for bucket in self.buckets.drain(..) {
            for (key, entry) in bucket.entries {
                usage.remove_key(size_of(&key, entry.value.len()));
            }
        }
        self.ends.clear();
    }

    fn bucket(&self, bucket: BucketId) -> Option<&Bucket> {
        self.buckets.get(bucket.0 as usize)
    }

    fn entry(&mut self, bucket: BucketId, key: &str) -> Option<&mut Entry> {
        let bucket = self.buckets.get_mut(bucket.0 as usize)?;
        bucket.entries.get_mut(key)
    }
}
