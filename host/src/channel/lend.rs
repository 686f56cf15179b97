//! The transport in other hands: an event's, which may write to it, or that of whoever
//! makes another transport of it.

use std::io;

use hotsocket_sandbox::Stream;

use super::{Channel, WriteSide};

impl Channel {
    /// The transport, for the time of one event. `None` unless the event may
    /// write to it at once: nothing may be queued before.
    pub fn lend(&mut self) -> Option<Stream> {
        match self.queue.is_empty() && self.write == WriteSide::Open {
            true => self.stream.take(),
            false => None,
        }
    }

    /// The event is over, and has itself sent so many bytes.
    pub fn take_back(&mut self, stream: Option<Stream>, sent: usize) {
        self.traffic.bytes_out += sent as u64;
        if stream.is_some() {
            self.stream = stream;
        }
    }

    /// The transport, for whoever makes another one of it; [`Self::exchange`] it then. Until
    /// then nothing can be read or written.
    ///
    /// # Errors
    /// When something is queued for it.
    pub fn take_transport(&mut self) -> io::Result<Stream> {
        match self.queue.is_empty() {
            true => self.stream.take().ok_or_else(lent),
            false => Err(io::Error::other("bytes are queued for the transport")),
        }
    }

    /// Go on with another transport.
    pub fn exchange(&mut self, stream: Stream) {
        self.stream = Some(stream);
    }
}

/// Reached only by a mistake of this program, an event that has not given the
/// transport back; and by a farewell while TLS begins, which is not sent.
pub(super) fn lent() -> io::Error {
    io::Error::other("the transport is in use")
}
