//! The handle a guest holds on its connection, and what goes over it.

use std::cell::OnceCell;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::sys;

/// What the host tells of the connection; it never changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Info {
    pub(crate) id: u64,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}

/// The one connection that this instance serves.
///
/// The host owns the socket: these methods only tell it what to do, and none of
/// them ever waits.
#[derive(Debug, Default)]
pub struct Connection {
    /// Asked for once: the host builds two strings for each answer.
    info: OnceCell<Info>,
}

impl Connection {
    /// Unique among all connections of this server process; counts up from 1.
    pub fn id(&self) -> u64 {
        self.info().id
    }

    /// The listener's address, which the peer connected to.
    pub fn local(&self) -> SocketAddr {
        self.info().local
    }

    /// The peer's address.
    pub fn peer(&self) -> SocketAddr {
        self.info().peer
    }

    /// Queue bytes for the peer; they are sent in order.
    ///
    /// `true`: go on. `false`: stop, because more than 64 KiB wait for the peer
    /// ([`drained`](crate::Handler::drained) follows), or because this side is
    /// closed. A guest that only answers may ignore the result: the host reads
    /// nothing more from a peer that does not take its answers. A guest that
    /// sends more at once than the server's `--max-queue` (8 MiB if not set)
    /// uses [`try_write`](Self::try_write).
    ///
    /// # Panics
    /// The bytes do not fit into the queue. A reply that is missing in the
    /// stream would make the next one look like its answer, so the connection
    /// ends; the server logs the size and the place of the call.
    #[track_caller]
    pub fn write(&self, bytes: impl AsRef<[u8]>) -> bool {
        let bytes = bytes.as_ref();
        match self.try_write(bytes) {
            Ok(go_on) => go_on,
            Err(WriteError::Closed) => false,
            Err(error) => not_taken(bytes.len(), &error),
        }
    }

    /// Like [`write`](Self::write), but returns why bytes were not taken. After
    /// [`WriteError::Full`] keep them, and write them again in
    /// [`drained`](crate::Handler::drained).
    ///
    /// # Errors
    /// None of the bytes were taken: this side is closed, or too much waits.
    pub fn try_write(&self, bytes: impl AsRef<[u8]>) -> Result<bool, WriteError> {
        sys::write(bytes.as_ref())
    }

    /// Close this side: FIN follows when everything queued has been written.
    /// `data` and `end` still come.
    pub fn end(&self) {
        sys::end();
    }

    /// Reset the connection at once. What is queued is lost.
    pub fn abort(&self) {
        sys::abort();
    }

    /// Stay writable after the peer's FIN, until [`end`](Self::end). Without
    /// this the host ends the connection once everything is written.
    pub fn hold_open(&self) {
        sys::hold_open();
    }

    /// Have [`timer`](crate::Handler::timer) called once with this id. Setting
    /// a timer that is already set moves it. Timers belong to the connection:
    /// they outlive a swap.
    pub fn set_timer(&self, id: u32, after: Duration) {
        // Rounded up: a timer must not run out before its time.
        let ms = after.as_nanos().div_ceil(1_000_000);
        sys::set_timer(id, u64::try_from(ms).unwrap_or(u64::MAX));
    }

    /// Forget a timer.
    pub fn clear_timer(&self, id: u32) {
        sys::clear_timer(id);
    }

    /// Read nothing more from the peer until [`resume`](Self::resume): no `data`
    /// and no `end` come meanwhile. It takes effect when the event has succeeded,
    /// and outlives a swap, as the three functions below.
    pub fn pause(&self) {
        sys::pause();
    }

    /// Read on.
    pub fn resume(&self) {
        sys::resume();
    }

    /// With `--on-trap restart`: the state is worth keeping now. `save` is called
    /// when this event has succeeded, and from the first call on only then, no
    /// longer after every `--snapshot-every` events.
    pub fn checkpoint(&self) {
        sys::checkpoint();
    }

    /// Call the connection so in the log. The first 64 bytes count; an empty name
    /// takes it away.
    pub fn set_label(&self, name: &str) {
        sys::label(name);
    }

    fn info(&self) -> &Info {
        self.info.get_or_init(sys::info)
    }
}

/// Outside `write`, which is compiled for each type of bytes.
#[cold]
#[track_caller]
fn not_taken(size: usize, error: &WriteError) -> ! {
    let cure = match error {
        WriteError::Full => " (raise --max-queue, or use `try_write` and wait for `drained`)",
        WriteError::Closed | WriteError::Other(_) => "",
    };
    panic!("cannot write {size} bytes: {error}{cure}");
}

/// Why bytes were not taken for writing. None of them were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// This side has been closed, or the connection is over.
    Closed,
    /// More would wait for the peer than the server allows one connection
    /// (`--max-queue`). Wait for [`drained`](crate::Handler::drained), unless
    /// nothing waits yet: then these bytes alone are more than is allowed, and
    /// go in parts.
    Full,
    /// Another reason, in words.
    Other(String),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("this side of the connection is closed"),
            Self::Full => f.write_str("too many bytes wait for the peer"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for WriteError {}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Both sides have sent FIN and everything was written.
    Ended,
    /// The peer reset the connection, or vanished.
    AbortedByPeer,
    /// The guest called [`Connection::abort`].
    AbortedByGuest,
    /// Nothing was received or sent for the server's idle timeout. A farewell
    /// may still be written.
    IdleTimeout,
    /// The peer took nothing for the server's write timeout.
    WriteTimeout,
    /// The server shuts down. A farewell may still be written.
    Shutdown,
    /// The guest was swapped, and the swap closes open connections. A farewell
    /// may still be written.
    Swapped,
    /// Another reason, in words.
    Other(String),
}
