//! A channel: one byte stream of a session.
//!
//! Owns the transport, the queue of bytes for the peer, how far the two
//! directions have come, and when bytes last moved. It is the one place that
//! writes queued bytes and that decides when reading pauses and resumes. It
//! knows no guest and no event: the session calls the guest and applies what the
//! guest asked for.
//!
//! For the time of one event the session lends the transport to the instance
//! ([`Channel::lend`]); until it is taken back nothing is read or written here. The same
//! holds while TLS begins ([`Channel::take_transport`]).
//!
//! - [`write_queue`]: bytes that wait for the peer
//! - [`read_buffer`]: buffers for reading, shared by the channels of a thread
//! - [`lend`]: the transport in other hands
//! - [`fin`]: how FIN follows what is queued
//! - [`deadline`]: when a channel on which nothing moves is over
//! - [`closing`]: flush, and reading on until the peer is done

mod closing;
mod deadline;
mod fin;
mod lend;
mod read_buffer;
mod write_queue;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hotsocket_sandbox::{SLICE, Stream, Window, recycle, write_slice};
use tokio::io::ReadBuf;
use tokio::time::Instant;

pub use closing::{Closed, Closing, Late};
pub use deadline::{ChannelTimeout, Directions};
use lend::lent;
pub use read_buffer::ReadBuffer;
use write_queue::WriteQueue;

use crate::limits::READ_SIZE;

/// Full reads in a row after which a channel yields to the others of its
/// thread: they wait for 256 KiB at most, as with a large write.
pub const FULL_READS: usize = SLICE / READ_SIZE;

/// See the module's documentation.
pub struct Channel {
    /// `None` while it is lent to an event, or TLS begins.
    stream: Option<Stream>,
    queue: WriteQueue,
    read: ReadSide,
    write: WriteSide,
    /// The guest wants to write after the peer's FIN.
    held_open: bool,
    /// The queue was above the high-water mark: nothing is read until the peer
    /// has taken enough, and then `drained` is due.
    is_full: bool,
    /// Enough means everything.
    until_empty: bool,
    /// The guest wants nothing read until it says so.
    is_paused: bool,
    /// The session delivers no event since then.
    held_since: Option<Instant>,
    /// FIN is due, but cannot be sent yet: what announces it, as close_notify of TLS,
    /// waits for the peer.
    fin_waits: bool,
    /// When bytes last moved; kept up only as far as a timeout needs it.
    moved: Instant,
    /// When the peer last took some of what is queued, or the queue began. What the
    /// peer sends does not count.
    taken: Instant,
    /// Counted here, as this is the one place that reads and writes.
    traffic: Traffic,
}

/// How many bytes a channel has carried so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes read from the peer, also those that were discarded while closing.
    pub bytes_in: u64,
    /// Bytes for the peer that the transport has taken.
    pub bytes_out: u64,
}

/// What the peer may still send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadSide {
    Open,
    /// The peer's FIN has come.
    Ended,
}

/// What may still be sent to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteSide {
    Open,
    /// Nothing more will be queued; FIN follows what is queued.
    Ending,
    /// Our FIN has been sent.
    Ended,
}

/// What came of waiting for a channel.
pub enum Ready {
    /// So many bytes are in the buffer.
    Read(ReadBuffer, usize),
    /// The peer sent FIN.
    Eof,
    /// The peer took some of what is queued.
    Wrote,
    Failed(io::Error),
}

impl Channel {
    pub fn new(stream: Stream) -> Self {
        Channel {
            stream: Some(stream),
            queue: WriteQueue::default(),
            read: ReadSide::Open,
            write: WriteSide::Open,
            held_open: false,
            is_full: false,
            until_empty: false,
            is_paused: false,
            held_since: None,
            fin_waits: false,
            moved: Instant::now(),
            taken: Instant::now(),
            traffic: Traffic::default(),
        }
    }

    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// What an event may write, when so many bytes are held back in addition to the
    /// queue.
    pub fn window(&self, held_back: usize, max_queue: usize) -> Window {
        Window {
            queued: self.queue.len() + held_back,
            max_queue,
            writable: self.write == WriteSide::Open,
            awaits_tls: false,
        }
    }

    /// Bytes that wait for the peer.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The peer's FIN has come.
    pub fn peer_ended(&self) -> bool {
        self.read == ReadSide::Ended
    }

    /// Our FIN has been sent.
    pub fn fin_sent(&self) -> bool {
        self.write == WriteSide::Ended
    }

    /// Whether an event of this channel may still come without the guest doing
    /// anything.
    pub fn may_call(&self) -> bool {
        self.is_full || !(self.peer_ended() || self.is_paused)
    }

    /// Whether the channel is to be read now.
    fn is_readable(&self) -> bool {
        !(self.is_full || self.is_paused || self.held_since.is_some() || self.peer_ended())
    }

    /// Read on, or nothing more until then.
    pub fn set_reading(&mut self, reading: bool) {
        self.is_paused = !reading;
    }

    /// The guest wants to write after the peer's FIN.
    pub fn hold_open(&mut self) {
        self.held_open = true;
    }

    /// A `write` returned false: `drained` is due once little is queued, even if
    /// the kernel takes everything at once.
    pub fn await_drained(&mut self) {
        self.is_full = true;
    }

    /// A `write` returned `full`: `drained` is due once nothing is queued.
    pub fn await_empty(&mut self) {
        self.is_full = true;
        self.until_empty = true;
    }

    /// Nothing more will be written; FIN follows what is queued.
    pub fn end(&mut self) {
        self.held_open = false;
        self.end_writing();
    }

    /// The same, and the guest may be called again.
    pub fn end_writing(&mut self) {
        if self.write == WriteSide::Open {
            self.write = WriteSide::Ending;
        }
    }

    /// Whether the guest waits for `drained`.
    pub fn awaits_drained(&self) -> bool {
        self.is_full
    }

    /// Read nothing for the time being, whatever the guest wants.
    pub fn hold(&mut self, is_held: bool) {
        match (self.held_since, is_held) {
            (None, true) => self.held_since = Some(Instant::now()),
            (Some(since), false) => {
                // The peer could not make itself heard.
                let now = Instant::now();
                self.moved = (self.moved + (now - since)).min(now);
                self.held_since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    /// Whether `drained` is due. True once for each time it is.
    pub fn take_drained(&mut self) -> bool {
        let is_enough = match self.until_empty {
            true => self.queue.is_empty(),
            false => self.window(0, 0).is_drained(),
        };
        let drained = self.is_full && is_enough;
        if drained {
            self.is_full = false;
            self.until_empty = false;
        }
        drained
    }

    /// Write all that is queued.
    pub fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.queue.is_empty() {
            ready!(self.poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Send at once what fits, and queue the rest.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.write_between(bytes)?;
        self.is_full |= self.window(0, 0).is_above_high_water(0);
        Ok(())
    }

    /// The same with what no event has written: reading goes on, and no `drained` is due
    /// because of it.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn write_between(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let sent = self.send_now(&bytes)?;
        if sent == bytes.len() {
            recycle(bytes);
            return Ok(());
        }
        match bytes.get(sent..) {
            // What waits, perhaps for long, takes no more memory than it must.
            Some(rest) if rest.len() < bytes.capacity() / 2 => {
                self.queue.push(rest.to_vec(), 0);
                recycle(bytes);
            }
            _ => self.queue.push(bytes, sent),
        }
        Ok(())
    }

    /// The same with bytes that are written to many peers.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn write_shared(&mut self, bytes: &Arc<[u8]>) -> io::Result<()> {
        let sent = self.send_now(bytes)?;
        if sent < bytes.len() {
            self.queue.push_shared(bytes, sent);
        }
        Ok(())
    }

    /// Send what fits, if nothing is queued before it.
    fn send_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.queue.is_empty() {
            return Ok(0);
        }
        let sent = write_slice(&mut **self.stream_mut()?, bytes)?;
        self.traffic.bytes_out += sent as u64;
        if sent < bytes.len() {
            self.taken = Instant::now();
            self.moved = self.taken;
        }
        Ok(sent)
    }

    /// Drop what is queued.
    pub fn clear_queue(&mut self) {
        self.queue.clear();
    }

    /// Write what the peer has room for, then read, if the channel is to be
    /// read.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Ready> {
        if let Poll::Ready(ready) = self.poll_send(cx) {
            return Poll::Ready(ready);
        }
        match self.is_readable() {
            true => self.poll_read(cx),
            false => Poll::Pending,
        }
    }

    /// Write some of what is queued.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Err(lent()));
        };
        let written = Pin::new(&mut **stream).poll_write(cx, self.queue.slice());
        written.map_ok(|count| {
            self.queue.advance(count);
            self.taken = Instant::now();
            self.traffic.bytes_out += count as u64;
        })
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Ready> {
        let mut buffer = ReadBuffer::take();
        match self.poll_fill(cx, &mut buffer) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Ready::Failed(error)),
            Poll::Ready(Ok(0)) => {
                self.read = ReadSide::Ended;
                Poll::Ready(Ready::Eof)
            }
            Poll::Ready(Ok(count)) => Poll::Ready(Ready::Read(buffer, count)),
        }
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuffer,
    ) -> Poll<io::Result<usize>> {
        let mut space = ReadBuf::new(buffer.bytes());
        let read = Pin::new(&mut **self.stream_mut()?).poll_read(cx, &mut space);
        read.map_ok(|()| {
            let count = space.filled().len();
            self.traffic.bytes_in += count as u64;
            count
        })
    }

    fn stream_mut(&mut self) -> io::Result<&mut Stream> {
        self.stream.as_mut().ok_or_else(lent)
    }
}
