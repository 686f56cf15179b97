//! What stands in for the store natively. It has the limits of keys and values that the
//! host has, and none of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use super::with;
use crate::store::{Condition, Life, Page, StoreError, Values};

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Default)]
pub(crate) struct Store {
    keys: Keys,
    /// Of the last change.
    revision: u64,
}

/// In the order of their buckets.
type Keys = BTreeMap<(String, String), Entry>;

struct Entry {
    value: Vec<u8>,
    /// When it is gone, on the session's clock.
    end: Option<Duration>,
    /// Which of all that the store has had.
    revision: u64,
}

pub(crate) struct Bucket(String);

pub(crate) struct Cas {
    bucket: Bucket,
    key: String,
    seen: std::cell::Cell<u64>,
}

const MAX_KEY: usize = 1024;
const MAX_VALUE: usize = 1 << 20;
const MAX_KEYS: usize = 1000;

/// What a cursor begins with: at the server it is no key either.
const CURSOR: &str = "0:";

/// Nothing can be changed in `save`.
fn check_change() -> Result<()> {
    match with(|recorded| recorded.saves) {
        true => Err(StoreError::AccessDenied),
        false => Ok(()),
    }
}

fn other<T>(why: &str) -> Result<T> {
    Err(StoreError::Other(why.to_owned()))
}

impl Bucket {
    pub(crate) fn open(name: &str) -> Result<Self> {
        match name {
            _ if name.len() > 64 => Err(StoreError::NoSuchBucket),
            "" => Ok(Bucket("default".to_owned())),
            _ => Ok(Bucket(name.to_owned())),
        }
    }

    /// What there is now, by the whole key.
    fn at<T>(
        &self,
        key: &str,
        run: impl FnOnce(&mut Store, (String, String), Duration) -> T,
    ) -> Result<T> {
        if key.is_empty() || key.len() > MAX_KEY {
            return other("a key has from 1 to 1,024 bytes");
        }
        let at = (self.0.clone(), key.to_owned());
        Ok(with(|recorded| {
            let now = recorded.now;
            let store = &mut recorded.store;
            let is_there = |entry: &Entry| entry.end.is_none_or(|end| end > now);
            store.keys.retain(|_, entry| is_there(entry));
            run(store, at, now)
        }))
    }

    fn found<T>(&self, key: &str, look: impl FnOnce(&Entry, Duration) -> T) -> Result<Option<T>> {
        self.at(key, |store, at, now| {
            store.keys.get(&at).map(|entry| look(entry, now))
        })
    }

    fn put(
        &self,
        key: &str,
        value: &[u8],
        life: Life,
        holds: impl FnOnce(u64) -> bool,
    ) -> Result<bool> {
        check_change()?;
        if value.len() > MAX_VALUE {
            return other("a value has at most 1 MiB");
        }
        self.at(key, |store, at, now| {
            let old = store.keys.get(&at);
            if !holds(old.map_or(0, |entry| entry.revision)) {
                return false;
            }
            let end = end(life, now, old.and_then(|entry| entry.end));
            store.revision += 1;
            let entry = Entry {
                value: value.to_owned(),
                end,
                revision: store.revision,
            };
            store.keys.insert(at, entry);
            true
        })
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.found(key, |entry, _| entry.value.clone())
    }

    pub(crate) fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.found(key, |_, _| ())?.is_some())
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.put(key, value, Life::Forever, |_| true).map(drop)
    }

    pub(crate) fn set_with(
        &self,
        key: &str,
        value: &[u8],
        when: Condition,
        life: Life,
    ) -> Result<bool> {
        self.put(key, value, life, |revision| match when {
            Condition::Always => true,
            Condition::IfAbsent => revision == 0,
            Condition::IfPresent => revision != 0,
        })
    }

    pub(crate) fn delete(&self, key: &str) -> Result<bool> {
        check_change()?;
        self.at(key, |store, at, _| store.keys.remove(&at).is_some())
    }

    pub(crate) fn increment(&self, key: &str, delta: i64) -> Result<i64> {
        let number = match self.get(key)? {
            None => Some(0),
            Some(value) => str::from_utf8(&value)
                .ok()
                .and_then(|text| text.parse().ok()),
        };
        let Some(number) = number else {
            return other("the value is not a number");
        };
        let Some(sum) = i64::checked_add(number, delta) else {
            return other("the sum is out of range");
        };
        self.put(key, sum.to_string().as_bytes(), Life::Unchanged, |_| true)?;
        Ok(sum)
    }

    pub(crate) fn cas(&self, key: &str) -> Result<Cas> {
        let seen = self.found(key, |entry, _| entry.revision)?;
        Ok(Cas {
            bucket: Bucket(self.0.clone()),
            key: key.to_owned(),
            seen: seen.unwrap_or(0).into(),
        })
    }

    pub(crate) fn life(&self, key: &str) -> Result<Option<Life>> {
        self.found(key, |entry, now| match entry.end {
            None => Life::Forever,
            Some(end) => Life::For(end.saturating_sub(now)),
        })
    }

    pub(crate) fn set_life(&self, key: &str, life: Life) -> Result<bool> {
        check_change()?;
        self.at(key, |store, at, now| {
            let entry = store.keys.get_mut(&at)?;
            entry.end = end(life, now, entry.end);
            Some(())
        })
        .map(|there| there.is_some())
    }

    pub(crate) fn keys(&self, prefix: &str, cursor: Option<&str>, most: u32) -> Result<Page> {
        let most = usize::try_from(most).unwrap_or(MAX_KEYS).clamp(1, MAX_KEYS);
        let last = match cursor.map(|cursor| cursor.strip_prefix(CURSOR)) {
            Some(None) => return other("not a cursor"),
            last => last.flatten(),
        };
        self.at("any", |store, _, _| {
            let mine = store.keys.keys().filter(|(bucket, _)| *bucket == self.0);
            let mut keys = mine
                .map(|(_, key)| key)
                .filter(|key| key.starts_with(prefix))
                .filter(|key| last.is_none_or(|last| key.as_str() > last));
            let page: Vec<_> = keys.by_ref().take(most).cloned().collect();
            let last = keys.next().and(page.last());
            let cursor = last.map(|last| format!("{CURSOR}{last}"));
            Page { keys: page, cursor }
        })
    }

    pub(crate) fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        check_count(keys.len())?;
        keys.iter().map(|key| self.get(key)).collect()
    }

    pub(crate) fn get_values(&self, keys: &[&str], most: u32) -> Result<Values> {
        let mut values = Values::default();
        for value in self.get_many(keys)? {
            let size = value.as_ref().map_or(0, Vec::len);
            if values.bytes.len() + size > most as usize && !values.lengths.is_empty() {
                break;
            }
            values.lengths.push(value.as_ref().map(|_| size as u32));
            values.bytes.extend(value.unwrap_or_default());
        }
        Ok(values)
    }

    pub(crate) fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        check_count(pairs.len())?;
        pairs
            .iter()
            .try_for_each(|(key, value)| self.set(key, value))
    }

    pub(crate) fn delete_many(&self, keys: &[&str]) -> Result<()> {
        check_count(keys.len())?;
        keys.iter().try_for_each(|key| self.delete(key).map(drop))
    }
}

impl Cas {
    pub(crate) fn current(&self) -> Result<Option<Vec<u8>>> {
        let found = self
            .bucket
            .found(&self.key, |entry, _| (entry.revision, entry.value.clone()))?;
        self.seen
            .set(found.as_ref().map_or(0, |(revision, _)| *revision));
        Ok(found.map(|(_, value)| value))
    }

    pub(crate) fn swap(self, value: &[u8]) -> Result<Option<Self>> {
        let seen = self.seen.get();
        match self
            .bucket
            .put(&self.key, value, Life::Unchanged, |revision| {
                revision == seen
            })? {
            true => Ok(None),
            false => {
                self.current()?;
                Ok(Some(self))
            }
        }
    }
}

fn check_count(count: usize) -> Result<()> {
    match count > MAX_KEYS {
        true => other("one call takes at most 1,000 keys"),
        false => Ok(()),
    }
}

fn end(life: Life, now: Duration, was: Option<Duration>) -> Option<Duration> {
    match life {
        Life::Forever => None,
        Life::Unchanged => was,
        Life::For(time) => {
            let whole = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            Some(now.saturating_add(Duration::from_millis(whole)))
        }
    }
}
