//! Every way a connection ends: what the guest is told, what is still sent,
//! and how the socket is closed.
//!
//! Closing never destroys a reply on its way. Closing a socket with unread
//! bytes in it, or into which bytes still come, makes the kernel send a RST,
//! and a RST makes the peer's kernel throw away what its program has not read
//! yet. So after FIN the driver goes on reading and discarding, for a bounded
//! time.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};

use super::buffer::Buffer;
use super::driver::{Driver, Event, Phase, shut_down};
use super::loan::Socket;
use super::outbox::Outbox;
use super::{Context, Counters, Entered};
use crate::reached::Limit;
use crate::runtime::{self, Cause, CloseReason, Fault};

/// While the server shuts down, a peer that is quiet this long after our FIN
/// is not waited for any longer.
const QUIET: Duration = Duration::from_millis(250);

/// Why the driver's loop is over.
#[derive(Debug)]
pub(super) enum Ending {
    /// Both sides have ended and everything was written.
    Ended,
    /// A RST, or the peer vanished.
    PeerGone(io::Error),
    GuestAborted,
    /// The host ends it, and the guest may say farewell.
    Host(CloseReason),
    WriteTimeout,
    /// The guest has ended its side, and the peer neither sends nor ends.
    HalfClosed,
    /// The instance died.
    Fault(Fault),
    /// It died again and again.
    CrashLoop(Fault),
    /// `open` returned an error or failed.
    Refused(Fault),
    TooManyTimers,
}

impl Ending {
    /// The limit at which the host has ended the connection, if it was one.
    fn limit(&self) -> Option<Limit> {
        match self {
            Ending::CrashLoop(_) => Some(Limit::Restarts),
            Ending::TooManyTimers => Some(Limit::Timers),
            Ending::WriteTimeout => Some(Limit::WriteTimeout),
            Ending::HalfClosed => Some(Limit::HalfCloseTimeout),
            // A fault was counted when it happened, silence when it was told.
            Ending::Fault(_) | Ending::Refused(_) => None,
            Ending::Ended | Ending::PeerGone(_) | Ending::GuestAborted | Ending::Host(_) => None,
        }
    }

    pub fn from_open(fault: Fault) -> Self {
        match fault.cause {
            Cause::Refused(_) => Ending::Refused(fault),
            _ => Ending::Fault(fault),
        }
    }
}

impl Driver {
    /// Tell the guest, send what is still to be sent, close the socket.
    pub(super) async fn finish(mut self, ending: Ending) {
        self.log(&ending);
        // A swap need not wait for a connection that is closing.
        self.entry.handle().settle(u64::MAX);
        self.context.orders.progress.notify_waiters();
        if let Some(limit) = ending.limit() {
            self.context.runtime.reached.count(limit);
        }
        let grace = Instant::now() + self.context.limits.grace;
        let mut quiet = self.context.limits.linger;
        let resets = match ending {
            Ending::Ended => {
                self.close(CloseReason::Ended).await;
                return self.retire();
            }
            Ending::PeerGone(_) => {
                self.close(CloseReason::AbortedByPeer).await;
                return self.retire();
            }
            Ending::GuestAborted => {
                self.close(CloseReason::AbortedByGuest).await;
                true
            }
            Ending::WriteTimeout => {
                self.close(CloseReason::WriteTimeout).await;
                true
            }
            Ending::HalfClosed => {
                self.close(CloseReason::Ended).await;
                true
            }
            Ending::Host(reason) => {
                self.close(reason).await;
                if reason == CloseReason::Shutdown {
                    quiet = quiet.min(QUIET);
                }
                false
            }
            Ending::Fault(_)
            | Ending::CrashLoop(_)
            | Ending::Refused(_)
            | Ending::TooManyTimers => false,
        };
        let closing = self.part();
        if resets {
            closing.socket.reset();
        } else {
            closing.flush_and_linger(grace, quiet).await;
        }
    }

    /// One line for what the person at the terminal should know of.
    fn log(&self, ending: &Ending) {
        let (id, peer) = (self.ends().id, self.ends().peer);
        match ending {
            Ending::Fault(Fault {
                cause: Cause::Exit(0),
                ..
            }) => {
                tracing::debug!("connection {id} from {peer}: guest exited");
            }
            Ending::Fault(fault) => {
                Counters::count(&self.context.counters.faults);
                tracing::error!("connection {id} from {peer}: {fault}");
            }
            Ending::CrashLoop(fault) => {
                Counters::count(&self.context.counters.faults);
                tracing::error!(
                    "connection {id} from {peer}: {fault}; not restarted again (--max-restarts)"
                );
            }
            Ending::Refused(fault) => {
                Counters::count(&self.context.counters.refused);
                tracing::info!("connection {id} from {peer}: {fault}");
            }
            Ending::TooManyTimers => {
                Counters::count(&self.context.counters.faults);
                tracing::error!(
                    "connection {id} from {peer}: guest {}",
                    Cause::TooManyTimers
                );
            }
            Ending::WriteTimeout => {
                tracing::warn!(
                    "connection {id} from {peer}: the peer took nothing for {}, {} bytes are lost",
                    crate::duration::show(self.context.limits.write_timeout),
                    self.outbox.len()
                );
            }
            Ending::HalfClosed => {
                tracing::warn!(
                    "connection {id} from {peer}: ended by the guest, and the peer neither sent nor ended"
                );
            }
            Ending::Host(CloseReason::IdleTimeout) => {
                let told = || format!("connection {id} from {peer}: nothing moved for too long");
                let reached = &self.context.runtime.reached;
                reached.tell(Limit::IdleTimeout, told);
            }
            Ending::PeerGone(error) => tracing::debug!("connection {id} from {peer}: {error}"),
            Ending::Ended | Ending::GuestAborted | Ending::Host(_) => {
                tracing::debug!("connection {id} from {peer}: over");
            }
        }
    }

    /// Give the guest its last event. A successor still in probation has held
    /// back what it wrote; with its last event that is decided, too.
    async fn close(&mut self, reason: CloseReason) {
        if !reason.allows_farewell() {
            self.phase.write_ended = true;
        }
        if self.sleep.is_some() && Box::pin(self.wake(Event::Close)).await.is_err() {
            return;
        }
        let window = self.window();
        let Some(instance) = &mut self.instance else {
            return;
        };
        instance.set_window(window);
        match instance.close(reason).await {
            Ok(()) if reason.allows_farewell() => {
                let effects = instance.take_effects();
                let held = self
                    .probation
                    .take()
                    .map(|probation| probation.held.written);
                for written in [held.unwrap_or_default(), effects.written] {
                    if !written.is_empty() && self.send(written).is_err() {
                        self.outbox.clear();
                    }
                }
            }
            Ok(()) => {}
            Err(Fault {
                event: runtime::Event::Close,
                cause: Cause::Exit(_),
            }) => {}
            Err(fault) => {
                Counters::count(&self.context.counters.faults);
                tracing::error!(
                    "connection {} from {}: {fault}",
                    self.ends().id,
                    self.ends().peer
                );
            }
        }
    }

    fn retire(self) {
        if let Some(instance) = self.instance {
            instance.retire();
        }
    }

    /// Let go of the instance and whatever else the socket doesn't need.
    fn part(mut self) -> Closing {
        if let Some(instance) = self.instance.take() {
            instance.retire();
        }
        Closing {
            socket: self.socket,
            outbox: self.outbox,
            phase: self.phase,
            context: self.context,
            entry: self.entry,
        }
    }
}

/// A connection without an instance, on its way out.
struct Closing {
    socket: Socket,
    outbox: Outbox,
    phase: Phase,
    context: Arc<Context>,
    /// It counts as open until the socket is closed.
    entry: Entered,
}

impl Closing {
    /// Write what is queued, send FIN, then read and discard until the peer
    /// ends, too, or has been quiet so long, or the linger time is over.
    async fn flush_and_linger(mut self, grace: Instant, quiet: Duration) {
        let flushed = timeout_at(grace, self.flush()).await;
        match flushed {
            Err(_) => {
                return self.late(
                    Limit::Grace,
                    "the peer did not take in time what was still to be sent",
                );
            }
            Ok(Err(_)) => return,
            Ok(Ok(())) if self.phase.peer_ended => return,
            Ok(Ok(())) => {}
        }
        let end = Instant::now() + self.context.limits.linger;
        let mut buffer = Buffer::take();
        while Instant::now() < end {
            let next = end.min(Instant::now() + quiet);
            let read = timeout_at(next, poll_fn(|cx| self.poll_discard(cx, &mut buffer)));
            match read.await {
                Ok(Ok(count)) if count > 0 => {}
                Err(_) if Instant::now() >= end => break,
                _ => return,
            }
        }
        self.late(Limit::Linger, "the peer did not end its side in time");
    }

    /// Count it, and say it unless others were just as late.
    fn late(&self, limit: Limit, what: &str) {
        let ends = self.entry.handle().ends;
        let told = || format!("connection {} from {}: {what}", ends.id, ends.peer);
        self.context.runtime.reached.tell(limit, told);
    }

    async fn flush(&mut self) -> io::Result<()> {
        while !self.outbox.is_empty() {
            let slice = self.outbox.slice();
            let sent = poll_fn(|cx| Pin::new(&mut self.socket).poll_write(cx, slice)).await?;
            self.outbox.advance(sent);
            tokio::task::yield_now().await;
        }
        match self.phase.fin_sent {
            true => Ok(()),
            false => shut_down(&mut self.socket).await,
        }
    }

    fn poll_discard(
        &mut self,
        cx: &mut TaskContext<'_>,
        buffer: &mut Buffer,
    ) -> Poll<io::Result<usize>> {
        let mut space = ReadBuf::new(buffer.bytes());
        let read = Pin::new(&mut self.socket).poll_read(cx, &mut space);
        read.map_ok(|()| space.filled().len())
    }
}
