//! What an event asks the host to do, and what it may ask for.
//!
//! Nothing here happens by itself: the session applies the effects after the
//! event has succeeded, or drops them. The one exception are writes of
//! [`FIRST_SENT`] bytes or more, which may go to the socket during the event (see
//! [`crate::imports`]).

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::peer::PeerFacts;
use crate::topics::TopicRequest;

/// Backpressure begins above this many queued bytes…
pub const HIGH_WATER: usize = 64 * 1024;
/// …and ends at this many.
pub const LOW_WATER: usize = 16 * 1024;

/// The first write of an event is sent from where it lies if it has so many bytes…
pub const FIRST_SENT: usize = 8 * 1024;
/// …and a later one, with nothing gathered before it, from so many on. All others are
/// gathered: a copy of 32 KiB costs less than half of a system call that sends a few
/// bytes.
pub const LATER_SENT: usize = 32 * 1024;
/// What has been gathered is sent when it is so much, or the event is over.
pub const GATHERED_SENT: usize = 64 * 1024;

/// Who is connected to what.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionInfo {
    /// Unique in this process, from 1.
    pub id: u64,
    /// The listener's side: the address that the peer connected to.
    pub local: Endpoint,
    pub peer: Endpoint,
}

/// The connection that an instance serves, and what is known of its peer.
#[derive(Clone, Debug)]
pub struct ServedConnection {
    pub info: ConnectionInfo,
    /// Shared by all instances that serve the connection, one after the other; `None` if
    /// no more is known than its address.
    pub facts: Option<Arc<PeerFacts>>,
}

/// What an event asked the host to do.
#[derive(Debug, Default)]
pub struct Effects {
    /// Bytes for the peer, in order, after those that the event has sent
    /// itself.
    pub written: Vec<u8>,
    /// How many bytes the event has sent itself.
    pub sent: usize,
    /// The socket took less than it was offered: the event sends no more itself.
    pub is_blocked: bool,
    /// The socket's error, if sending failed.
    pub failed: Option<io::Error>,
    /// Timers set (with the delay) or cleared, in order.
    pub timers: Vec<(u32, Option<Duration>)>,
    /// A `write` returned false: the guest waits for `drained`.
    pub awaits_drained: bool,
    /// A `write` returned `full`: the same, but once nothing is queued. Then the
    /// bytes fit, or never will.
    pub awaits_empty: bool,
    pub end: bool,
    pub abort: bool,
    pub hold_open: bool,
    /// Requests through `hotsocket:session`, `:topics` and `:tls`. In a box, as few guests ever
    /// ask for any of it.
    pub session: Option<Box<SessionRequests>>,
}

/// What an event asked for through `hotsocket:session`, `hotsocket:topics` and
/// `hotsocket:tls`.
#[derive(Debug, Default)]
pub struct SessionRequests {
    /// False after `pause`, true after `resume`: the last one counts.
    pub reading: Option<bool>,
    /// A snapshot is to be taken.
    pub checkpoint: bool,
    /// The connection's name in the log; empty for none.
    pub label: Option<String>,
    /// In the order in which they were made.
    pub topics: Vec<TopicRequest>,
    /// Bytes in those.
    pub(crate) published: usize,
    /// TLS is to begin behind [`Effects::written`]; with what is to be sent under it.
    pub start_tls: Option<Vec<u8>>,
}

impl Effects {
    /// What is to be carried out with topics, in the order in which it was asked for.
    pub fn take_topics(&mut self) -> Vec<TopicRequest> {
        let requests = self.session.as_mut();
        requests.map_or_else(Vec::new, |requests| std::mem::take(&mut requests.topics))
    }

    /// Whether TLS is to begin when the event is over.
    pub fn starts_tls(&self) -> bool {
        let session = self.session.as_deref();
        session.is_some_and(|requests| requests.start_tls.is_some())
    }

    /// What is to be sent under TLS once it has begun; `None` if it is not to.
    pub(crate) fn under_tls(&mut self) -> Option<&mut Vec<u8>> {
        self.session.as_deref_mut()?.start_tls.as_mut()
    }

    /// Bytes for the peer that have not been sent.
    pub fn queued(&self) -> usize {
        let session = self.session.as_deref();
        let under_tls = session.and_then(|requests| requests.start_tls.as_ref());
        self.written.len() + under_tls.map_or(0, Vec::len)
    }

    /// Whether a write of so many bytes is to be sent from where it lies.
    pub fn sends(&self, length: usize) -> bool {
        let least = match self.sent {
            0 => FIRST_SENT,
            _ => LATER_SENT,
        };
        length >= least && self.written.is_empty() && !self.is_blocked
    }

    /// So much of what was offered to the socket has been sent. Returns it; zero if the
    /// connection is broken.
    pub fn note_sent(&mut self, sent: io::Result<usize>, offered: usize) -> usize {
        let sent = sent.unwrap_or_else(|error| {
            self.failed = Some(error);
            0
        });
        self.sent = self.sent.saturating_add(sent);
        self.is_blocked = sent < offered;
        sent
    }
}

/// What `write` may add to the channel's queue during one event. The only place
/// that compares what is queued with the marks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    /// Bytes that wait for the peer.
    pub queued: usize,
    /// The most that may wait (`--max-queue`).
    pub max_queue: usize,
    /// Whether this side can still be written to.
    pub writable: bool,
    /// TLS has been asked for and has not begun.
    pub awaits_tls: bool,
}

impl Window {
    /// Whether so many more bytes may be queued.
    pub fn admits(&self, more: usize) -> bool {
        self.queued.saturating_add(more) <= self.max_queue
    }

    /// Whether nothing more should be read from the peer, once so many more
    /// bytes are queued.
    pub fn is_above_high_water(&self, more: usize) -> bool {
        self.queued.saturating_add(more) > HIGH_WATER
    }

    /// Whether a channel that was above the high-water mark may read again.
    pub fn is_drained(&self) -> bool {
        self.queued <= LOW_WATER
    }
}

/// Buffers that a thread keeps for what events write…
const KEPT: usize = 4;
/// …and how large each may be, in bytes.
const MAX_CAPACITY: usize = 128 * 1024;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer for what an event writes. The connections of a thread share
/// a few: one of its own would cost each of them memory and cache.
pub fn buffer() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Give a buffer back to its thread's pool.
pub fn recycle(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > MAX_CAPACITY {
        return;
    }
    buffer.clear();
    // At thread exit the pool may be gone already.
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < KEPT {
            spare.push(buffer);
        }
    });
}
