//! A connection under TLS, as a session's transport.
//!
//! A direction ends with a close_notify; a FIN without one is an error, as anybody on the
//! way could have sent it (RFC 8446, section 6.1). Once ours has been sent, the peer's is
//! not insisted on.
//!
//! Bytes count as written when they are in the kernel, as with TCP, so that the queue,
//! its limit and `--write-timeout` know what they know there. What was encrypted and did
//! not fit into the socket waits here, at most [`CHUNK`] bytes; the caller still has these
//! bytes and gives them again, as it does with any transport that takes a part.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hotsocket_sandbox::{Stream, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::records::{CHUNK, Records, WIRE};
use crate::channel::ReadBuffer;

/// See the module's documentation.
pub struct TlsTransport {
    stream: Stream,
    records: Records,
    /// How many of the bytes that are written next are in [`Records::outgoing`] already.
    ahead: usize,
    /// Our close_notify has been encrypted.
    has_ended: bool,
    /// The peer has violated the protocol, or rustls can't go on.
    broken: Option<Box<rustls::Error>>,
}

impl TlsTransport {
    /// After the handshake.
    pub fn new(stream: Stream, records: Records) -> Self {
        TlsTransport {
            stream,
            records,
            ahead: 0,
            has_ended: false,
            broken: None,
        }
    }

    /// Write, by a function that writes to the stream below.
    fn write_by(&mut self, bytes: &[u8], send: &mut Send<'_>) -> Poll<io::Result<usize>> {
        if !self.records.outgoing.is_empty() {
            let sent = ready!(self.send_outgoing(send))?;
            // The last byte counts when all are sent; before, what the peer takes counts
            // as progress.
            let is_sent = self.records.outgoing.is_empty();
            let taken = match is_sent {
                true => self.ahead,
                false => sent.min(self.ahead.saturating_sub(1)),
            };
            let taken = taken.min(bytes.len());
            self.ahead -= taken;
            match (taken, is_sent) {
                (1.., _) => return Poll::Ready(Ok(taken)),
                (0, true) => {}
                (0, false) => return Poll::Pending,
            }
        }
        if self.broken.is_some() || self.has_ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut taken = 0;
        for chunk in bytes.chunks(CHUNK) {
            let mut buffer = ReadBuffer::take();
            let out = buffer.all();
            let length = self.records.send(chunk, out).map_err(io::Error::other)?;
            let mut rest = out.get(..length).unwrap_or_default();
            // What encrypting has brought up besides comes first.
            let mut sent = 0;
            if self.records.outgoing.is_empty()
                && let Poll::Ready(count) = send(&mut self.stream, rest)
            {
                sent = count?;
                rest = rest.get(sent..).unwrap_or_default();
            }
            if !rest.is_empty() {
                self.records.outgoing.extend_from_slice(rest);
                if let Poll::Ready(count) = self.send_outgoing(send) {
                    sent += count?;
                }
            }
            if !self.records.outgoing.is_empty() {
                let counted = sent.min(chunk.len() - 1);
                self.ahead = chunk.len() - counted;
                taken += counted;
                break;
            }
            taken += chunk.len();
        }
        match taken {
            0 if !bytes.is_empty() => Poll::Pending,
            taken => Poll::Ready(Ok(taken)),
        }
    }

    /// Send what waits encrypted. Pending if nothing could be sent.
    fn send_outgoing(&mut self, send: &mut Send<'_>) -> Poll<io::Result<usize>> {
        let waiting = &mut self.records.outgoing;
        let mut sent = 0;
        let blocked = loop {
            let Some(rest) = waiting.get(sent..).filter(|rest| !rest.is_empty()) else {
                break false;
            };
            match send(&mut self.stream, rest) {
                Poll::Ready(count) => match count? {
                    0 => break true,
                    count => sent += count,
                },
                Poll::Pending => break true,
            }
        };
        match blocked {
            true => drop(waiting.drain(..sent)),
            false => *waiting = Vec::new(),
        }
        match blocked && sent == 0 {
            true => Poll::Pending,
            false => Poll::Ready(Ok(sent)),
        }
    }

    /// Send what is not the session's: alerts, and answers to key updates.
    fn send_own(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.ahead == 0 && !self.records.outgoing.is_empty() {
            let mut send =
                |stream: &mut Stream, bytes: &[u8]| Pin::new(stream).poll_write(cx, bytes);
            if let Poll::Ready(sent) = self.send_outgoing(&mut send) {
                sent?;
            }
        }
        Ok(())
    }

    /// Give the reader what it had no room for before.
    fn read_plain(&mut self, space: &mut ReadBuf<'_>) {
        let plain = &mut self.records.plain;
        let count = plain.len().min(space.remaining());
        space.put_slice(plain.get(..count).unwrap_or_default());
        plain.drain(..count);
        if plain.is_empty() {
            *plain = Vec::new();
        }
    }
}

/// Reads in a row that give no content: of one read there may be no whole record yet.
const EMPTY_READS: usize = 2;

/// Writes some bytes to a stream.
type Send<'a> = dyn FnMut(&mut Stream, &[u8]) -> Poll<io::Result<usize>> + 'a;

/// As `write_now` has it.
fn send_now(stream: &mut Stream, bytes: &[u8]) -> Poll<io::Result<usize>> {
    match stream.write_now(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        sent => Poll::Ready(sent),
    }
}

impl Transport for TlsTransport {
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.write_by(bytes, &mut send_now) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn is_ready_now(&self, to_read: bool, to_write: bool) -> bool {
        let has_plain = to_read && !self.records.plain.is_empty();
        has_plain || self.stream.is_ready_now(to_read, to_write)
    }

    fn is_broken(&self) -> bool {
        self.records.plain.is_empty() && self.stream.is_broken()
    }

    fn reset(self: Box<Self>) {
        self.stream.reset();
    }
}

impl AsyncRead for TlsTransport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.records.plain.is_empty() {
            this.read_plain(space);
            return Poll::Ready(Ok(()));
        }
        let before = space.filled().len();
        // Records without content, of which a peer may send as many as it likes, are no
        // reason to keep the thread.
        for _ in 0..EMPTY_READS {
            this.send_own(cx)?;
            if let Some(error) = &this.broken {
                let error = io::Error::new(io::ErrorKind::InvalidData, (**error).clone());
                return Poll::Ready(Err(error));
            }
            if this.records.peer_ended {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuffer::take();
            let all = buffer.all();
            let kept = this.records.incoming.len();
            let Some((front, free)) = all
                .get_mut(..WIRE)
                .and_then(|all| all.split_at_mut_checked(kept))
            else {
                return Poll::Ready(Err(too_long()));
            };
            if free.is_empty() {
                return Poll::Ready(Err(too_long()));
            }
            front.copy_from_slice(&this.records.incoming);
            let mut free = ReadBuf::new(free);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut free))?;
            let count = free.filled().len();
            if count == 0 {
                return Poll::Ready(match this.has_ended {
                    true => Ok(()),
                    false => Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the peer has ended without close_notify",
                    )),
                });
            }
            let mut overflow = Vec::new();
            let whole = all.get_mut(..kept + count).unwrap_or_default();
            let received = this.records.receive(whole, |bytes| {
                let (fits, rest) = bytes.split_at(bytes.len().min(space.remaining()));
                space.put_slice(fits);
                overflow.extend_from_slice(rest);
            });
            this.records.plain = overflow;
            this.broken = received.err().map(Box::new);
            // What came before an error is the guest's.
            if space.filled().len() > before {
                // Answers are not kept until the next read.
                this.send_own(cx)?;
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Reached only by a peer that sends parts of a message of the handshake that are longer
/// than any.
fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a message of TLS is too long")
}

impl AsyncWrite for TlsTransport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut send = |stream: &mut Stream, bytes: &[u8]| Pin::new(stream).poll_write(cx, bytes);
        self.get_mut().write_by(bytes, &mut send)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.has_ended {
            this.has_ended = true;
            if this.broken.is_none() {
                this.records.end().map_err(io::Error::other)?;
            }
        }
        while !this.records.outgoing.is_empty() {
            let mut send =
                |stream: &mut Stream, bytes: &[u8]| Pin::new(stream).poll_write(cx, bytes);
            ready!(this.send_outgoing(&mut send))?;
        }
        this.ahead = 0;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}
