//! A part of the store's keys, behind one lock.
//!
//! A bucket's keys are in a hash table, by which each is found, and in order, by which
//! those with a prefix are; keys with an end are in order of their ends. With a file, what has changed since the last batch was cut is in
//! [`Shard::unsaved`].
//!
//! A call hashes its key once, and looks it up once: the table is hashbrown's, which takes
//! a hash ([`At`]) that has chosen the shard already.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, hash_map};
use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;
use std::sync::Arc;

use compact_str::CompactString;
use hashbrown::HashTable;
use hashbrown::hash_table;
use hotsocket_sandbox::key_value::{BucketId, Condition, Found, StoreError, Value};

use super::usage::{Usage, size_of};

/// A time of the store's clock, in milliseconds.
pub type Time = u64;

/// A key's text. A short one, of 24 bytes at most, lies in the table itself, so that to
/// compare it costs no access to memory elsewhere.
pub type Key = CompactString;

/// A key of a bucket.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    pub bucket: BucketId,
    pub key: &'a str,
    /// Of both of them, by the hasher of all shards. Besides its lowest bits and its highest
    /// seven, which the table goes by, others choose the shard.
    pub hash: u64,
}

impl<'a> At<'a> {
    pub fn new(hasher: &RandomState, bucket: BucketId, key: &'a str) -> Self {
        let hash = hasher.hash_one((bucket, key));
        At { bucket, key, hash }
    }
}

#[derive(Debug)]
pub struct Shard {
    /// Makes the hashes of all keys.
    hasher: RandomState,
    /// By their numbers.
    buckets: Vec<Bucket>,
    /// Of the last change.
    revision: u64,
    /// Keys with an end, the next one first.
    ends: BTreeSet<(Time, BucketId, Key)>,
    /// What is to be written to the file; `None` without one.
    unsaved: Option<Changes>,
}

/// Keys with what they are now. Those that are gone count as keys without a value until
/// that is in the file: or who sets and removes keys without end would fill the memory.
pub type Changes = HashMap<(BucketId, Key), Option<Saved>>;

/// What a file keeps of a key.
#[derive(Clone, Debug)]
pub struct Saved {
    pub value: Value,
    pub end: Option<Time>,
}

#[derive(Debug, Default)]
struct Bucket {
    entries: HashTable<Entry>,
    order: BTreeSet<Key>,
}

#[derive(Clone, Debug)]
pub struct Entry {
    key: Key,
    pub value: Value,
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

impl Entry {
    fn is_over(&self, now: impl Fn() -> Time) -> bool {
        self.end.is_some_and(|end| end <= now())
    }
}

impl Shard {
    /// One without keys. All of a store have the same hasher.
    pub fn new(hasher: RandomState) -> Self {
        Shard {
            hasher,
            buckets: Vec::new(),
            revision: 0,
            ends: BTreeSet::new(),
            unsaved: None,
        }
    }

    /// A key that is there now.
    pub fn find(&self, at: At<'_>, now: impl Fn() -> Time) -> Option<&Entry> {
        self.entry(at).filter(|entry| !entry.is_over(now))
    }

    pub fn get(&self, at: At<'_>, now: impl Fn() -> Time) -> Option<Found> {
        let Entry {
            value, revision, ..
        } = self.find(at, now)?;
        Some(Found {
            value: value.clone(),
            revision: *revision,
        })
    }

    /// Set a value if the condition holds, with `end` of the end that the key has had.
    ///
    /// # Errors
    /// When there is no room for it. Nothing has changed then.
    pub fn set(
        &mut self,
        at: At<'_>,
        value: &[u8],
        when: Condition,
        end: impl FnOnce(Option<Time>) -> Option<Time>,
        (now, usage): (impl Fn() -> Time, &Usage),
    ) -> Result<bool, StoreError> {
        let of = self.buckets.get_mut(at.bucket.0 as usize);
        let old = of.and_then(|of| of.entries.find_mut(at.hash, |entry| entry.key == at.key));
        let old = old.filter(|entry| !entry.is_over(&now));
        let revision = old.as_ref().map_or(0, |entry| entry.revision);
        let holds = match when {
            Condition::Always => true,
            Condition::IfAbsent => revision == 0,
            Condition::IfPresent => revision != 0,
            Condition::IfRevision(expected) => revision == expected,
        };
        if !holds {
            return Ok(false);
        }
        let end = end(old.as_ref().and_then(|entry| entry.end));
        if end.is_some_and(|end| end <= now()) {
            self.remove(at, usage);
            return Ok(true);
        }
        let Some(entry) = old else {
            // What may be there is over.
            self.remove(at, usage);
            self.insert(at, value, end, usage)?;
            return Ok(true);
        };
        let (from, to) = (entry.value.len(), value.len());
        usage.resize(size_of(at.key, from), size_of(at.key, to))?;
        entry.value.replace(value);
        self.revision += 1;
        entry.revision = self.revision;
        let was = std::mem::replace(&mut entry.end, end);
        self.move_end(at, was, end);
        self.note(at, usage);
        Ok(true)
    }

    /// A key that is not there yet.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn insert(
        &mut self,
        at: At<'_>,
        value: &[u8],
        end: Option<Time>,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        usage.add_key(size_of(at.key, value.len()))?;
        let key = Key::new(at.key);
        self.revision += 1;
        let entry = Entry {
            key: key.clone(),
            value: Value::from(value),
            revision: self.revision,
            end,
        };
        let (bucket, number) = (at.bucket, at.bucket.0 as usize);
        if self.buckets.len() <= number {
            self.buckets.resize_with(number + 1, Bucket::default);
        }
        if let Some(of) = self.buckets.get_mut(number) {
            of.order.insert(key.clone());
            let hash = |entry: &Entry| At::new(&self.hasher, bucket, &entry.key).hash;
            of.entries.insert_unique(at.hash, entry, hash);
        }
        if let Some(end) = end {
            self.ends.insert((end, bucket, key));
        }
        self.note(at, usage);
        Ok(())
    }

    /// Give a key another end. False if it isn't there.
    pub fn set_end(
        &mut self,
        at: At<'_>,
        end: Option<Time>,
        (now, usage): (impl Fn() -> Time, &Usage),
    ) -> bool {
        if self.find(at, &now).is_none() {
            return false;
        }
        if end.is_some_and(|end| end <= now()) {
            return self.remove(at, usage);
        }
        if let Some(entry) = self.entry_mut(at) {
            let was = std::mem::replace(&mut entry.end, end);
            self.move_end(at, was, end);
        }
        self.note(at, usage);
        true
    }

    /// Remove a key, whether its time is over or not. False if it isn't there.
    pub fn remove(&mut self, at: At<'_>, usage: &Usage) -> bool {
        let Some(of) = self.buckets.get_mut(at.bucket.0 as usize) else {
            return false;
        };
        let found = of.entries.find_entry(at.hash, |entry| entry.key == at.key);
        let Ok((entry, _)) = found.map(hash_table::OccupiedEntry::remove) else {
            return false;
        };
        of.order.remove(at.key);
        // The table keeps the room for all that it ever had: with a bucket after the other
        // that is filled and emptied, that would be any amount.
        if of.entries.capacity() > 8 && of.entries.len() < of.entries.capacity() / 4 {
            let (hasher, most) = (&self.hasher, of.entries.len() * 2);
            let hash = |entry: &Entry| At::new(hasher, at.bucket, &entry.key).hash;
            of.entries.shrink_to(most, hash);
        }
        usage.remove_key(size_of(at.key, entry.value.len()));
        self.move_end(at, entry.end, None);
        self.note(at, usage);
        true
    }

    /// A key has changed, or the file has it and it is not there any more.
    pub fn note(&mut self, at: At<'_>, usage: &Usage) {
        if self.unsaved.is_none() {
            return;
        }
        let (key, now) = match self.entry(at) {
            Some(Entry {
                key, value, end, ..
            }) => {
                let (value, end) = (value.clone(), *end);
                (key.clone(), Some(Saved { value, end }))
            }
            None => (Key::new(at.key), None),
        };
        let size = size_of(&key, 0);
        let is_gone = now.is_none();
        let Some(unsaved) = &mut self.unsaved else {
            return;
        };
        let was_gone = matches!(unsaved.insert((at.bucket, key), now), Some(None));
        match (was_gone, is_gone) {
            (false, true) => usage.add_gone(size),
            (true, false) => usage.remove_gone(size),
            _ => {}
        }
    }

    /// From now on changes are kept, until they are taken.
    pub fn keep_changes(&mut self) {
        self.unsaved.get_or_insert_default();
    }

    /// Whether any change is kept.
    pub fn has_changes(&self) -> bool {
        self.unsaved.as_ref().is_some_and(|all| !all.is_empty())
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

    fn move_end(&mut self, at: At<'_>, from: Option<Time>, to: Option<Time>) {
        if from == to {
            return;
        }
        let key = Key::new(at.key);
        if let Some(from) = from {
            self.ends.remove(&(from, at.bucket, key.clone()));
        }
        if let Some(to) = to {
            self.ends.insert((to, at.bucket, key));
        }
    }

    /// Remove so many of the keys whose time is over, at most. Returns how many.
    pub fn sweep(&mut self, now: Time, most: usize, usage: &Usage) -> usize {
        for swept in 0..most {
            match self.ends.first() {
                Some((end, bucket, key)) if *end <= now => {
                    let (bucket, key) = (*bucket, key.clone());
                    let at = At::new(&self.hasher, bucket, &key);
                    self.remove(at, usage);
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

    /// Look at keys of a bucket that begin with a prefix, and keep those that are there.
    /// `room` is how many it may look at, at least 1, and gets less with each. Returns the
    /// last one, if that has used it up.
    pub fn list(
        &self,
        bucket: BucketId,
        prefix: &str,
        from: Start<'_>,
        (room, now): (&mut usize, Time),
        keys: &mut Vec<Arc<str>>,
    ) -> Option<Key> {
        let of = self.buckets.get(bucket.0 as usize)?;
        let start = match from {
            Start::After(key) if key >= prefix => Bound::Excluded(key),
            _ => Bound::Included(prefix),
        };
        let listed = of.order.range::<str, _>((start, Bound::Unbounded));
        let listed = listed.take_while(|key| key.starts_with(prefix));
        for key in listed {
            let at = At::new(&self.hasher, bucket, key);
            if self.find(at, || now).is_some() {
                keys.push(Arc::from(key.as_str()));
            }
            *room = room.saturating_sub(1);
            if *room == 0 {
                return Some(key.clone());
            }
        }
        None
    }

    /// Remove everything.
    pub fn clear(&mut self, usage: &Usage) {
        for bucket in self.buckets.drain(..) {
            for Entry { key, value, .. } in bucket.entries {
                usage.remove_key(size_of(&key, value.len()));
            }
        }
        self.ends.clear();
    }

    /// A key, whether its time is over or not.
    fn entry(&self, at: At<'_>) -> Option<&Entry> {
        let of = self.buckets.get(at.bucket.0 as usize)?;
        of.entries.find(at.hash, |entry| entry.key == at.key)
    }

    fn entry_mut(&mut self, at: At<'_>) -> Option<&mut Entry> {
        let of = self.buckets.get_mut(at.bucket.0 as usize)?;
        of.entries.find_mut(at.hash, |entry| entry.key == at.key)
    }
}
