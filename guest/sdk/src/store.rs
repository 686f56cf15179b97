//! Values by keys, which outlive the connections that set them.
//!
//! All connections of a server share them, through swaps and restarts of their
//! instances; with `hotsocket serve --store FILE` they outlive the server, too.
//!
//! ```
//! use hotsocket_guest::store::{Bucket, StoreError};
//! use hotsocket_guest::{Connection, Handler, export};
//!
//! /// Says how many connections there have been.
//! #[derive(Default)]
//! struct Visits;
//!
//! impl Handler for Visits {
//!     fn open(&mut self, conn: &Connection) -> Result<(), String> {
//!         let count = visit().map_err(|error| error.to_string())?;
//!         conn.write(format!("You are visitor {count}.\n"));
//!         Ok(())
//!     }
//! }
//!
//! fn visit() -> Result<i64, StoreError> {
//!     Bucket::open("visits")?.increment("count", 1)
//! }
//!
//! export!(Visits);
//!
//! # use hotsocket_guest::testing::Session;
//! let mut first = Session::<Visits>::open();
//! assert_eq!(first.written(), b"You are visitor 1.\n");
//! let mut second = first.close_and_open();
//! assert_eq!(second.written(), b"You are visitor 2.\n");
//! ```
//!
//! Each call takes effect at once and stays in effect, whatever becomes of the event.
//! `wit/keyvalue` and `wit/store` have the rules and the limits.

mod cas;

use std::fmt;
use std::time::Duration;

pub use cas::{CompareAndSwap, SwapError};

/// A name space for keys. Opening one again and again costs a call each time: keep it in
/// the handler.
pub struct Bucket(sys::Bucket);

/// Why a call has failed; it has changed nothing then, unless the message says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The name of the bucket is too long.
    NoSuchBucket,
    /// Nothing can be changed in [`save`](crate::Handler::save) and
    /// [`listening`](crate::Handler::listening).
    AccessDenied,
    /// Anything else: a limit, or what the file system says.
    Other(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchBucket => "no such bucket: its name is too long",
            Self::AccessDenied => "nothing can be changed in `save` and `listening`",
            Self::Other(why) => why,
        })
    }
}

impl std::error::Error for StoreError {}

/// When [`Bucket::set_with`] sets a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    #[default]
    Always,
    /// If the key has no value.
    IfAbsent,
    /// If the key has a value.
    IfPresent,
}

/// How long a key lives, from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    #[default]
    Forever,
    /// In whole milliseconds; less than one removes the key at once.
    For(Duration),
    /// As long as it would otherwise.
    Unchanged,
}

/// Some keys of a bucket, in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub keys: Vec<String>,
    /// For the next page; `None` if this is the last.
    pub cursor: Option<String>,
}

/// The values of several keys, in their order. See [`Bucket::get_values`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    pub(crate) lengths: Vec<Option<u32>>,
    /// One behind the other.
    pub(crate) bytes: Vec<u8>,
}

impl Values {
    /// For each key its value; `None` if it has none.
    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut rest = &*self.bytes;
        self.lengths.iter().map(move |length| {
            let (value, after) = rest.split_at_checked((*length)? as usize)?;
            rest = after;
            Some(value)
        })
    }

    /// For how many keys there is an answer.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether no key was asked for.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Bytes of all values.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

impl Bucket {
    /// It exists as soon as it is named. `""` and `"default"` are the same.
    ///
    /// # Errors
    /// When the name has more than 64 bytes, or the server has too many buckets.
    pub fn open(name: &str) -> Result<Self, StoreError> {
        sys::Bucket::open(name).map(Self)
    }

    /// The value of a key.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(key)
    }

    /// Whether a key has a value.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn exists(&self, key: &str) -> Result<bool, StoreError> {
        self.0.exists(key)
    }

    /// Set a value, which stays for ever.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), StoreError> {
        self.0.set(key, value.as_ref())
    }

    /// Set a value for a time.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn set_for(
        &self,
        key: &str,
        value: impl AsRef<[u8]>,
        time: Duration,
    ) -> Result<(), StoreError> {
        let set = self.set_with(key, value, Condition::Always, Life::For(time));
        set.map(drop)
    }

    /// Set a value if the key has none. Returns whether it had none.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn set_if_absent(&self, key: &str, value: impl AsRef<[u8]>) -> Result<bool, StoreError> {
        self.set_with(key, value, Condition::IfAbsent, Life::Forever)
    }

    /// Set a value if the condition holds. Returns whether it did.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn set_with(
        &self,
        key: &str,
        value: impl AsRef<[u8]>,
        when: Condition,
        life: Life,
    ) -> Result<bool, StoreError> {
        self.0.set_with(key, value.as_ref(), when, life)
    }

    /// Remove a key. Returns whether it had a value.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn delete(&self, key: &str) -> Result<bool, StoreError> {
        self.0.delete(key)
    }

    /// Add to a number in decimal digits, which is 0 if there is none, and return the sum.
    ///
    /// # Errors
    /// When the value is no number or the sum has more than 64 bits, and see
    /// [`StoreError`].
    pub fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        self.0.increment(key, delta)
    }

    /// Make a new value of the one that there is, whatever other connections do
    /// meanwhile: if one of them changes it, `change` is called again. Returns the new
    /// value. The key lives as long as it would otherwise.
    ///
    /// ```
    /// # use hotsocket_guest::store::Bucket;
    /// # let bucket = Bucket::open("")?;
    /// bucket.update("log", |old| [old.unwrap_or_default(), b"x"].concat())?;
    /// assert_eq!(bucket.get("log")?.as_deref(), Some(&b"x"[..]));
    /// # Ok::<_, hotsocket_guest::store::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn update(
        &self,
        key: &str,
        mut change: impl FnMut(Option<&[u8]>) -> Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        let mut attempt = self.compare_and_swap(key)?;
        loop {
            let new = change(attempt.current()?.as_deref());
            match attempt.swap(&new) {
                Ok(()) => return Ok(new),
                Err(SwapError::Changed(next)) => attempt = next,
                Err(SwapError::Store(error)) => return Err(error),
            }
        }
    }

    /// Look at a key, to set it later if nobody has changed it since.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn compare_and_swap(&self, key: &str) -> Result<CompareAndSwap, StoreError> {
        self.0.cas(key).map(CompareAndSwap)
    }

    /// How long a key still lives; `None` if it has no value.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn life(&self, key: &str) -> Result<Option<Life>, StoreError> {
        self.0.life(key)
    }

    /// Let a key live longer or shorter. Returns whether it has a value.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn set_life(&self, key: &str, life: Life) -> Result<bool, StoreError> {
        self.0.set_life(key, life)
    }

    /// The keys that begin with a prefix, at most so many of them, and 1,000 in any case.
    ///
    /// # Errors
    /// When the cursor is none, and see [`StoreError`].
    pub fn page(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        most: usize,
    ) -> Result<Page, StoreError> {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        self.0.keys(prefix, cursor, most)
    }

    /// All keys that begin with a prefix, in no order: a call for every 1,000 of them.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let mut keys = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.page(prefix, cursor.as_deref(), usize::MAX)?;
            keys.extend(page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(keys);
            }
        }
    }

    /// The values of several keys, in their order; 1,000 keys and 16 MiB at most.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn get_many(&self, keys: &[impl AsRef<str>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let keys = keys.iter().map(AsRef::as_ref);
        self.0.get_many(&keys.collect::<Vec<_>>())
    }

    /// The values of the first of these keys that have at most so many bytes together, and
    /// of one in any case; 1,000 keys and 16 MiB at most. There are two allocations for all
    /// of them.
    ///
    /// ```
    /// # use hotsocket_guest::store::Bucket;
    /// # let bucket = Bucket::open("")?;
    /// bucket.set_many(&[("a", "one"), ("c", "three")])?;
    /// let found = bucket.get_values(&["a", "b", "c"], 1000)?;
    /// let found: Vec<_> = found.iter().collect();
    /// assert_eq!(found, [Some(&b"one"[..]), None, Some(&b"three"[..])]);
    /// let found = bucket.get_values(&["a", "b", "c"], 7)?;
    /// assert_eq!(found.len(), 2);
    /// # Ok::<_, hotsocket_guest::store::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn get_values(&self, keys: &[impl AsRef<str>], most: usize) -> Result<Values, StoreError> {
        let keys = keys.iter().map(AsRef::as_ref);
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        self.0.get_values(&keys.collect::<Vec<_>>(), most)
    }

    /// Set several values, 1,000 at most. Each is set as by [`set`](Self::set), one after
    /// the other.
    ///
    /// # Errors
    /// When one of them cannot be set; those before it have been.
    pub fn set_many(
        &self,
        pairs: &[(impl AsRef<str>, impl AsRef<[u8]>)],
    ) -> Result<(), StoreError> {
        let pairs = pairs
            .iter()
            .map(|(key, value)| (key.as_ref(), value.as_ref()));
        self.0.set_many(&pairs.collect::<Vec<_>>())
    }

    /// Remove several keys, 1,000 at most.
    ///
    /// # Errors
    /// When one of them cannot be removed; those before it have been.
    pub fn delete_many(&self, keys: &[impl AsRef<str>]) -> Result<(), StoreError> {
        let keys = keys.iter().map(AsRef::as_ref);
        self.0.delete_many(&keys.collect::<Vec<_>>())
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").finish_non_exhaustive()
    }
}

#[cfg(not(target_family = "wasm"))]
use crate::testing::recorder::store as sys;

#[cfg(target_family = "wasm")]
mod sys;

#[cfg(test)]
mod tests;
