//! The store of a service as its guests see it: what `wasi:keyvalue` and
//! `hotsocket:store` are linked to.
//!
//! [`KeyValue`] is what the host implements; where the values are is its business. The
//! functions that guests import are in [`imports`], which checks what they pass, and
//! refuses changes where there must be none.

mod batch;
pub(crate) mod extension;
pub(crate) mod handles;
pub(crate) mod imports;
mod parameters;
mod value;

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use handles::{Bucket, Cas, Handles};
pub use value::Value;

/// The longest key, in bytes.
pub const MAX_KEY: usize = 1024;
/// The largest value, in bytes.
pub const MAX_VALUE: usize = 1 << 20;
/// The longest name of a bucket, in bytes.
pub const MAX_BUCKET_NAME: usize = 64;
/// Keys that one call takes or gives. The host has a copy of them.
pub const MAX_KEYS: usize = 1000;

/// A bucket of a store, by the number that [`KeyValue::open`] gives its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketId(pub u32);

impl BucketId {
    /// Of none: no key is ever in it. For names that a store does not know.
    pub(crate) const NONE: Self = BucketId(u32::MAX);
}

/// A store. Calls on one key are linearizable, and a call that fails has changed
/// nothing, unless its error says otherwise.
///
/// Keys, values and names of buckets are within their limits, which [`imports`] has
/// checked.
pub trait KeyValue: Send + Sync {
    /// Whether a call may return [`Reply::Pending`]. Guests of such a store are called on
    /// fibers only. It must not change.
    fn may_wait(&self) -> bool;

    /// The bucket of a name, which may take one of few places.
    fn open(&self, name: &str) -> Result<BucketId, StoreError>;

    /// The same for reading only: `None` if there is no key in such a bucket. A store with
    /// keys that others have set does not know that.
    fn find(&self, name: &str) -> Result<Option<BucketId>, StoreError> {
        self.open(name).map(Some)
    }

    fn get(&self, bucket: BucketId, key: &str) -> Reply<Option<Found>>;

    /// Set a value if the condition holds. Gives whether it did.
    fn set(
        &self,
        bucket: BucketId,
        key: &str,
        value: &[u8],
        when: Condition,
        life: Life,
    ) -> Reply<bool>;

    /// Remove a key. Gives whether it had a value.
    fn delete(&self, bucket: BucketId, key: &str) -> Reply<bool>;

    /// Add to a number in decimal digits, and give the sum.
    fn increment(&self, bucket: BucketId, key: &str, delta: i64) -> Reply<i64>;

    /// How long a key still lives; `None` if it has no value.
    fn life(&self, bucket: BucketId, key: &str) -> Reply<Option<Life>>;

    /// Give a key another time to live. Gives whether it has a value.
    fn set_life(&self, bucket: BucketId, key: &str, life: Life) -> Reply<bool>;

    /// At most so many of the keys that begin with the prefix, from where the cursor of
    /// an earlier call points to.
    fn keys(
        &self,
        bucket: BucketId,
        prefix: &str,
        cursor: Option<&str>,
        most: usize,
    ) -> Reply<Listing>;
}

/// A value, and which of all that the key has had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub value: Value,
    /// Another one after each change of the value. Never 0, which stands for no value.
    pub revision: u64,
}

/// When a value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Always,
    IfAbsent,
    IfPresent,
    /// If the value is still this one, [`Found::revision`]; 0: if there is still none.
    IfRevision(u64),
}

/// How long a key lives from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    Forever,
    For(Duration),
    /// As long as it would otherwise.
    Unchanged,
}

/// Some keys of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub keys: Vec<Arc<str>>,
    /// Where the next part begins; `None` if this was the last.
    pub cursor: Option<String>,
}

/// Why a call has failed, for the guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("no such bucket: a name has at most {MAX_BUCKET_NAME} bytes")]
    NoSuchStore,
    #[error("nothing can be changed here")]
    AccessDenied,
    #[error("{0}")]
    Other(Cow<'static, str>),
}

impl StoreError {
    /// Anything else than what the contract has a word for.
    pub fn other(why: impl Into<Cow<'static, str>>) -> Self {
        StoreError::Other(why.into())
    }
}

/// What a call gives: at once, or when it is there.
pub enum Reply<T> {
    Ready(Result<T, StoreError>),
    Pending(Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>),
}

impl<T: Send + 'static> Reply<T> {
    /// The same with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U + Send + 'static) -> Reply<U> {
        match self {
            Reply::Ready(result) => Reply::Ready(result.map(change)),
            Reply::Pending(result) => {
                Reply::Pending(Box::pin(async move { result.await.map(change) }))
            }
        }
    }

    /// All of them, in their order, or the first error of one.
    fn all(replies: Vec<Reply<T>>) -> Reply<Vec<T>> {
        if replies.iter().all(|reply| matches!(reply, Reply::Ready(_))) {
            let ready = replies.into_iter().filter_map(|reply| match reply {
                Reply::Ready(result) => Some(result),
                Reply::Pending(_) => None,
            });
            return Reply::Ready(ready.collect());
        }
        Reply::Pending(Box::pin(async move {
            let mut all = Vec::with_capacity(replies.len());
            for reply in replies {
                all.push(reply.wait().await?);
            }
            Ok(all)
        }))
    }

    /// The result, when it is there.
    ///
    /// # Errors
    /// When the call has failed.
    pub async fn wait(self) -> Result<T, StoreError> {
        match self {
            Reply::Ready(result) => result,
            Reply::Pending(result) => result.await,
        }
    }
}
