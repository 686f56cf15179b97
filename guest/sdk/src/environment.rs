//! What a guest needs of its surroundings: time, random bytes, settings and a log.
//!
//! It needs no WASI and no grant. A guest that calls nothing in here imports nothing
//! for it (`hotsocket:environment@0.1.0`). In `hotsocket test` time is the script's and
//! random bytes are the same in every run; natively, in unit tests, a
//! `testing::Session` decides.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::sys;

/// What the host gives in one call, in bytes.
const MAX_RANDOM: usize = 64 * 1024;

/// The wall-clock time. The system may set it forward and back.
#[must_use]
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(sys::now())
}

/// The time since the server started. Never goes back, and is the same clock for all
/// instances: what one has noted means the same to its successor.
#[must_use]
pub fn uptime() -> Duration {
    Duration::from_nanos(sys::uptime())
}

/// Random bytes, fit for keys and tokens: `let token: [u8; 16] = random();`
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill_random(&mut bytes);
    bytes
}

/// Fill a buffer with such bytes.
pub fn fill_random(bytes: &mut [u8]) {
    for piece in bytes.chunks_mut(MAX_RANDOM) {
        let size = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        piece.copy_from_slice(&sys::random(size));
    }
}

/// What the server was started with for this name (`--set NAME=VALUE`); `None` if it is
/// not set. `hotsocket inspect` lists the names that stand in a guest's code as
/// literals.
#[must_use]
pub fn setting(name: &str) -> Option<String> {
    sys::setting(name)
}

/// Log a line with fields. It goes where printed lines go: `Debug` and `Info` to the
/// server's standard output, `Warn` and `Error` to its standard error, as `LEVEL message
/// name=value` or, with `--log-format json`, as a record. The server drops lines below
/// its `--log-level`.
///
/// ```
/// # use hotsocket_guest::environment::{log, Level};
/// # let (user, tries) = ("alice", 3);
/// log(Level::Warn, "login failed", &[("user", user.into()), ("tries", tries.into())]);
/// ```
///
/// The first 32 fields count; message and fields are cut at `--max-line` (256 KiB).
pub fn log(level: Level, message: impl AsRef<str>, fields: &[(&str, Value<'_>)]) {
    sys::log(level, message.as_ref(), fields);
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever looks for a mistake.
    Debug,
    /// What happens.
    Info,
    /// What should not happen, and does no harm.
    Warn,
    /// What has failed.
    Error,
}

/// What a field of a line has. Made from text, numbers and booleans with `into()`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// `true` or `false`.
    Boolean(bool),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Value::Text(text)
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Value::Number(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(boolean: bool) -> Self {
        Value::Boolean(boolean)
    }
}

macro_rules! integers {
    ($($small:ty),*; $($large:ty),*) => {
        $(impl From<$small> for Value<'_> {
            fn from(integer: $small) -> Self {
                Value::Integer(i64::from(integer))
            }
        })*
        // Those that may not fit: the largest that does.
        $(impl From<$large> for Value<'_> {
            fn from(integer: $large) -> Self {
                Value::Integer(i64::try_from(integer).unwrap_or(i64::MAX))
            }
        })*
    };
}

integers!(i8, i16, i32, i64, u8, u16, u32; u64, usize);
