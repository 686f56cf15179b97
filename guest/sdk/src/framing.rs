//! Frames out of a stream: lines, lengths before contents, any delimiter, or a
//! format of your own.
//!
//! TCP has no messages. [`Frames`] keeps what has come of a frame until the rest
//! comes, up to a limit; it is part of the guest's state, so a swap in the middle
//! of a frame loses nothing.
//!
//! ```
//! use hotsocket_guest::framing::{Frames, Lines};
//! use hotsocket_guest::{Connection, Handler, Snapshot, export};
//!
//! #[derive(Default)]
//! struct Greeter {
//!     lines: Frames<Lines, 512>,
//! }
//!
//! impl Handler for Greeter {
//!     fn data(&mut self, conn: &Connection, bytes: &[u8]) {
//!         self.lines.push(bytes);
//!         loop {
//!             match self.lines.next() {
//!                 Ok(Some(name)) => {
//!                     conn.write([b"Hello, ", &*name, b"\n"].concat());
//!                 }
//!                 Ok(None) => return,
//!                 Err(error) => {
//!                     conn.write(format!("{error}\n"));
//!                     return conn.end();
//!                 }
//!             }
//!         }
//!     }
//!
//!     fn save(&self) -> Option<Snapshot> {
//!         Some(Snapshot::new(1, self.lines.half()))
//!     }
//!
//!     fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
//!         self.lines = Frames::from_half(snapshot.upgrade(1, &[])?);
//!         Ok(())
//!     }
//! }
//!
//! export!(Greeter);
//! ```
//!
//! In a type from `state!` (feature `state`) a `Frames` is a field like any other.

mod codecs;

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

pub use codecs::{Delimited, LengthPrefixed, Lines};

/// Where a frame ends. Implement it for a format of your
/// own; it has no state, for all there is to know is in the bytes.
pub trait Codec {
    /// Look for the first frame in `bytes`. The first `seen` of them were there
    /// when this was last called and gave [`Found::Part`], so a search for a
    /// delimiter goes on from there.
    ///
    /// # Errors
    /// No frame can begin like this: why, in words.
    fn find(bytes: &[u8], seen: usize) -> Result<Found, String>;

    /// The bytes of a frame with these contents, to be written.
    fn encode(contents: &[u8]) -> Vec<u8>;
}

/// What a [`Codec`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A whole frame: where its contents are, and where it ends.
    Frame {
        /// What [`Frames::next`] gives.
        contents: Range<usize>,
        /// Where the next frame begins: not 0.
        end: usize,
    },
    /// The beginning of a frame whose contents are at least so long.
    Part {
        /// More than the limit is an error before the bytes have come.
        at_least: usize,
    },
}

/// What has come of a stream, as frames of at most `MAX` bytes of contents (64 KiB
/// if not said).
///
/// Give it what comes with [`push`](Self::push), then take frames with
/// [`next`](Self::next) until it gives none.
pub struct Frames<C, const MAX: usize = 65_536> {
    /// What no frame was made of yet.
    bytes: Vec<u8>,
    /// How much at the beginning of `bytes` belongs to frames that were taken. It
    /// is removed by the next `push`, at once and not frame by frame.
    taken: usize,
    /// How many bytes after `taken` the codec has looked at.
    seen: usize,
    /// What every further call gives: nothing is kept then of what comes.
    error: Option<FrameError>,
    codec: PhantomData<fn() -> C>,
}

impl<C: Codec, const MAX: usize> Frames<C, MAX> {
    /// Append what the peer has sent. After an error it is dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.error.is_some() {
            return;
        }
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The contents of the next whole frame; `None` until more comes.
    ///
    /// # Errors
    /// The frame is longer than `MAX`, or none can begin like this. Nothing is
    /// known then of where the next one begins: end the connection. Every
    /// further call gives the same error.
    // Not an iterator: it goes on after `None`.
    #[allow(clippy::should_implement_trait, reason = "see above")]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let next = match &self.error {
            Some(error) => return Err(error.clone()),
            None => self.take(),
        };
        if let Err(error) = &next {
            // What has come stays: with it a successor finds the same error.
            self.error = Some(error.clone());
        }
        next
    }

    fn take(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let bytes = &self.bytes[self.taken..];
        let (length, frame) = match C::find(bytes, self.seen).map_err(FrameError::Invalid)? {
            Found::Frame { contents, end } => (contents.len(), Some((contents, end))),
            Found::Part { at_least } => (at_least, None),
        };
        if length > MAX {
            return Err(FrameError::TooLong { max: MAX });
        }
        let Some((contents, end)) = frame else {
            self.seen = bytes.len();
            return Ok(None);
        };
        let contents = bytes[contents].to_vec();
        self.taken += end;
        self.seen = 0;
        Ok(Some(contents))
    }

    /// What has come of a frame that is not whole: what the guest saves, and at
    /// the end of the stream what is left of it.
    #[must_use]
    pub fn half(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// With what [`half`](Self::half) gave in a predecessor.
    #[must_use]
    pub fn from_half(half: impl Into<Vec<u8>>) -> Self {
        let bytes = half.into();
        Self {
            bytes,
            ..Self::default()
        }
    }

    /// The bytes of a frame with these contents, to be written.
    ///
    /// # Panics
    /// When the contents are too long for their length: see [`LengthPrefixed`].
    #[must_use]
    pub fn encode(contents: impl AsRef<[u8]>) -> Vec<u8> {
        C::encode(contents.as_ref())
    }
}

impl<C, const MAX: usize> Default for Frames<C, MAX> {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            taken: 0,
            seen: 0,
            error: None,
            codec: PhantomData,
        }
    }
}

impl<C, const MAX: usize> fmt::Debug for Frames<C, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = String::from_utf8_lossy(&self.bytes[self.taken..]);
        f.debug_tuple("Frames").field(&half).finish()
    }
}

/// Why there is no next frame and never will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// It is longer than it may be.
    TooLong {
        /// The limit, in bytes of contents.
        max: usize,
    },
    /// What came is no frame: the codec's words.
    Invalid(String),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { max } => write!(f, "more than {max} bytes in one piece"),
            Self::Invalid(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for FrameError {}

/// What is saved of it is the half frame.
#[cfg(feature = "state")]
mod saved {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Codec, Frames};

    impl<C: Codec, const MAX: usize> Serialize for Frames<C, MAX> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.half().serialize(serializer)
        }
    }

    impl<'de, C: Codec, const MAX: usize> Deserialize<'de> for Frames<C, MAX> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Vec::<u8>::deserialize(deserializer).map(Self::from_half)
        }
    }

    impl<C, const MAX: usize> postcard_schema::Schema for Frames<C, MAX> {
        const SCHEMA: &'static postcard_schema::schema::NamedType = <Vec<u8>>::SCHEMA;
    }
}

#[cfg(test)]
mod tests;
