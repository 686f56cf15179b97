//! What hotsocket needs of a byte stream, and the one function that writes to
//! it from inside an event.
//!
//! The trait is defined here because a session lends its stream to the instance
//! for the time of one event: a large write then goes from the guest's memory
//! to the kernel without a copy. Everything else about streams, reading and
//! closing included, is the session's business.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream whose two directions are closed independently: a TCP or Unix
/// socket in the server, a buffer in memory in `hotsocket test`.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send {
    /// Write what fits now, without waiting. At most one system call.
    ///
    /// # Errors
    /// `WouldBlock` when nothing fits; any other error ends the connection.
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Whether bytes can be read, or written, right now, or an error is known of, also
    /// where `poll_read` and `poll_write` have not heard of it yet. False where
    /// they always have.
    fn is_ready_now(&self, _to_read: bool, _to_write: bool) -> bool {
        false
    }

    /// Whether the peer is gone and has left nothing to read, also where nobody reads or
    /// writes and so has heard of it.
    fn is_broken(&self) -> bool {
        false
    }

    /// Whether dropping the stream ends our side as a shutdown does, so that no
    /// shutdown is needed right before. True for sockets whose peer has ended and
    /// from which everything has been read; false where ending takes bytes of its
    /// own.
    fn ends_when_dropped(&self) -> bool {
        false
    }

    /// Close with a RST instead of a FIN.
    fn reset(self: Box<Self>);
}

/// Any transport. Compared with a system call, dynamic dispatch costs nothing,
/// and it keeps sessions and instances free of a type parameter.
pub type Stream = Box<dyn Transport>;

/// The most that is given to the kernel in one call: it copies 256 KiB in
/// 30 to 60 µs, and the other connections of the thread wait for it.
pub const SLICE: usize = 256 * 1024;

/// Write at most [`SLICE`] bytes without waiting. `Ok(0)` if nothing fits.
///
/// # Errors
/// When the connection is broken.
pub fn write_slice(stream: &mut dyn Transport, bytes: &[u8]) -> io::Result<usize> {
    match stream.write_now(bytes.get(..SLICE).unwrap_or(bytes)) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        written => written,
    }
}
