//! The store of a service: values by keys, which outlive the connections that set them.
//!
//! Guests reach it through `wasi:keyvalue` and `hotsocket:store`; which functions those
//! are, and what they may pass, is up to [`hotsocket_sandbox::key_value`]. Nothing here
//! calls a guest.
//!
//! - [`memory`]: what serves every call; [`shard`]: a part of it, behind one lock
//! - [`sweep`]: removes keys whose time is over and that nobody asks for
//! - [`journal`]: writes what changes to a file, behind what guests do; [`mod@file`]: what
//!   that file is
//! - [`nats`]: a store that several servers share
//! - [`buckets`]: name spaces for keys
//! - [`usage`]: how much there is, and how much there may be

mod buckets;
mod file;
mod journal;
mod memory;
mod nats;
mod shard;
mod sweep;
mod usage;

use std::path::PathBuf;
use std::pin::Pin;

use hotsocket_sandbox::key_value::{KeyValue, StoreError};

pub use journal::{StoreFile, StoreSync};
pub use memory::{Memory, OpenError};
pub use nats::{NatsStore, StoreNats};
pub use usage::StoreLimits;

/// A store that a server can have.
pub trait Store: KeyValue {
    fn status(&self) -> StoreStatus;

    /// The server stops: save what is not yet saved, and accept that nothing more is.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// What is known of a store, for `hotsocket status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    pub keys: usize,
    /// Of keys and values, with what each takes besides.
    pub bytes: usize,
    /// Where it is kept.
    pub file: Option<PathBuf>,
    /// How often it could not be written.
    pub errors: u64,
    /// If it is kept in NATS, whether that is there. Keys and bytes are not known then.
    pub nats: Option<String>,
}

/// Where a store is kept.
#[derive(Clone, Debug)]
pub enum StorePlace {
    File(StoreFile),
    Nats(StoreNats),
}

/// A value in decimal digits, 0 if there is none, with something added.
///
/// # Errors
/// When it is no number, or the sum has more than 64 bits.
fn sum(value: Option<&[u8]>, delta: i64) -> Result<i64, StoreError> {
    let number = value.map_or(Some(0), |value| {
        std::str::from_utf8(value).ok()?.parse().ok()
    });
    let number = number.ok_or_else(|| StoreError::other("the value is not a number"))?;
    let sum = i64::checked_add(number, delta);
    sum.ok_or_else(|| StoreError::other("the sum is out of range"))
}
