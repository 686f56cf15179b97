//! When a channel on which nothing moves is over, and what is tried before it is:
//! the kernel may know of bytes, or of a broken connection, that nobody has looked at.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use super::{Channel, Ready, WriteSide};
use crate::limits::Limits;

/// Why a channel on which nothing moves is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelTimeout {
    /// The peer reads nothing of what is queued (`--write-timeout`).
    Write,
    /// We have sent FIN and the peer neither sends nor ends
    /// (`--half-close-timeout`).
    HalfClose,
    /// Nothing moves in either direction (`--idle-timeout`).
    Idle,
}

/// What is tried once more when a deadline is over.
#[derive(Clone, Copy, Debug)]
pub struct Directions {
    pub read: bool,
    pub write: bool,
}

impl Channel {
    /// Whether nothing is read or written now, so that a peer that is gone would go
    /// unnoticed: the guest writes on after the peer's FIN, or has paused the peer, and
    /// has nothing to write. After our FIN a deadline ends it, and the peer's end is none.
    pub fn is_unwatched(&self) -> bool {
        let waits = self.peer_ended() && self.write == WriteSide::Open;
        (waits || self.is_paused) && self.queue.is_empty() && !self.fin_sent()
    }

    /// Whether the peer is gone, and nothing of it is unread, as far as the kernel knows.
    pub fn is_broken(&self) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|stream| stream.is_broken())
    }

    /// A deadline is over. After a pause of the machine the peer may have done long
    /// ago what it was waited for, and nobody has looked yet: so try once more what
    /// the deadline is about. `None`: really nothing moves.
    pub fn poll_overdue(
        &mut self,
        cx: &mut Context<'_>,
        directions: Directions,
    ) -> Poll<Option<Ready>> {
        let to_write = directions.write && (!self.queue.is_empty() || self.fin_waits);
        let to_read = directions.read && self.is_readable();
        // A task that has used up its share would be told that nothing is there.
        let tried = poll_fn(|cx| {
            if to_write && let Poll::Ready(ready) = self.poll_send(cx) {
                return Poll::Ready(ready);
            }
            match to_read {
                true => self.poll_read(cx),
                false => Poll::Pending,
            }
        });
        if let Poll::Ready(ready) = pin!(unconstrained(tried)).poll(cx) {
            return Poll::Ready(Some(ready));
        }
        // An error that nobody reads or writes for would stay for ever.
        let stream = self.stream.as_ref().filter(|_| to_read || to_write);
        match stream.is_some_and(|stream| stream.is_ready_now(to_read, to_write)) {
            true => Poll::Pending,
            false => Poll::Ready(None),
        }
    }

    /// Bytes have moved; only timeouts that are on need to know when.
    pub fn note_progress(&mut self, limits: &Limits) {
        if limits.idle_timeout.is_some() || self.fin_sent() {
            self.moved = Instant::now();
        }
    }

    /// The guest has sent bytes, and the kernel has taken them if nothing is
    /// queued: that is not silence. While something is queued, only what the peer
    /// takes counts.
    pub fn note_sent(&mut self, limits: &Limits) {
        if limits.idle_timeout.is_some() && self.queue.is_empty() {
            self.moved = Instant::now();
        }
    }

    /// When the channel times out if nothing moves, and why.
    pub fn deadline(&self, limits: &Limits) -> Option<(Instant, ChannelTimeout)> {
        // Nearly always, and asked twice for each event.
        let is_sent = self.queue.is_empty() && !self.fin_waits;
        if is_sent && !self.fin_sent() && limits.idle_timeout.is_none() {
            return None;
        }
        let write = (!is_sent).then(|| (self.taken + limits.write_timeout, ChannelTimeout::Write));
        let half_close = self.fin_sent().then(|| {
            let due = self.moved + limits.half_close_timeout;
            (due, ChannelTimeout::HalfClose)
        });
        let idle = limits
            .idle_timeout
            .map(|time| (self.moved + time, ChannelTimeout::Idle));
        // Nothing is read while the session is held: the peer may not be silent at all.
        let silence = [half_close, idle].into_iter().flatten();
        let silence = silence.filter(|_| self.held_since.is_none());
        write.into_iter().chain(silence).min_by_key(|(due, _)| *due)
    }
}
