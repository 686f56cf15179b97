//! Every way a session ends: what the guest is called with, what is still sent,
//! and how the socket is closed. The socket's own part of it is
//! [`crate::channel::Closing`].

use std::io;
use std::time::Duration;

use hotsocket_sandbox::limit_counters::Limit;
use hotsocket_sandbox::{self as sandbox, Cause, CloseReason, Fault};
use tokio::time::Instant;

use super::event::Event;
use super::state::{Body, Session};
use crate::channel::Late;
use crate::service::Counters;

/// While the server shuts down, a peer that is quiet this long after our FIN
/// is not waited for any longer.
const QUIET: Duration = Duration::from_millis(250);

/// Why a session is over.
#[derive(Debug)]
pub(super) enum CloseCause {
    /// Both sides have ended and everything was written.
    Ended,
    /// A RST, or the peer vanished.
    PeerGone(io::Error),
    GuestAborted,
    /// The host ends it, and the guest may write a farewell.
    Host(CloseReason),
    WriteTimeout,
    /// The guest has ended its side, and the peer neither sends nor ends.
    HalfCloseTimeout,
    /// The instance died.
    Fault(Fault),
    /// It died again and again.
    CrashLoop(Fault),
    /// `open` returned an error.
    Refused(Fault),
    TooManyTimers,
}

impl CloseCause {
    /// The limit at which the host has ended the session, if it was one.
    fn limit(&self) -> Option<Limit> {
        match self {
            CloseCause::CrashLoop(_) => Some(Limit::Restarts),
            CloseCause::TooManyTimers => Some(Limit::Timers),
            CloseCause::WriteTimeout => Some(Limit::WriteTimeout),
            CloseCause::HalfCloseTimeout => Some(Limit::HalfCloseTimeout),
            // A fault was counted when it happened; an idle timeout is counted
            // when it is logged.
            CloseCause::Fault(_) | CloseCause::Refused(_) => None,
            CloseCause::Ended
            | CloseCause::PeerGone(_)
            | CloseCause::GuestAborted
            | CloseCause::Host(_) => None,
        }
    }

    pub fn from_open(fault: Fault) -> Self {
        match fault.cause {
            Cause::Refused(_) => CloseCause::Refused(fault),
            _ => CloseCause::Fault(fault),
        }
    }

    /// What `close` is called with; `None` if the guest is dead or has refused
    /// the connection.
    fn reason(&self) -> Option<CloseReason> {
        match self {
            CloseCause::Ended | CloseCause::HalfCloseTimeout => Some(CloseReason::Ended),
            CloseCause::PeerGone(_) => Some(CloseReason::AbortedByPeer),
            CloseCause::GuestAborted => Some(CloseReason::AbortedByGuest),
            CloseCause::WriteTimeout => Some(CloseReason::WriteTimeout),
            CloseCause::Host(reason) => Some(*reason),
            CloseCause::Fault(_)
            | CloseCause::CrashLoop(_)
            | CloseCause::Refused(_)
            | CloseCause::TooManyTimers => None,
        }
    }
}

/// What becomes of the socket.
enum Socket {
    /// Both sides are done, or the peer is gone.
    Drop,
    Reset,
    /// Send what is queued, then FIN.
    Flush,
}

impl Session {
    /// Call the guest's `close`, send what is still to be sent, close the
    /// socket.
    pub async fn finish(mut self, cause: CloseCause) {
        self.log(&cause);
        // A swap need not wait for a connection that is closing.
        self.entry.handle().set_applied(u64::MAX);
        self.service.rollouts.progress.notify_waiters();
        if let Some(limit) = cause.limit() {
            self.service.limit_counters.count(limit);
        }
        let flush_by = Instant::now() + self.service.limits.grace;
        if let Some(reason) = cause.reason() {
            self.close(reason).await;
        }
        if let Body::Awake(instance) = self.body {
            instance.drop_in_background();
        }
        let linger = self.service.limits.linger;
        let (socket, quiet) = match cause {
            CloseCause::Ended | CloseCause::PeerGone(_) => (Socket::Drop, linger),
            CloseCause::GuestAborted | CloseCause::WriteTimeout | CloseCause::HalfCloseTimeout => {
                (Socket::Reset, linger)
            }
            CloseCause::Host(CloseReason::Shutdown) => (Socket::Flush, linger.min(QUIET)),
            _ => (Socket::Flush, linger),
        };
        match socket {
            Socket::Drop => {}
            Socket::Reset => self.channel.reset(),
            Socket::Flush => {
                let closing = self.channel.into_closing();
                let late = closing.finish(flush_by, linger, quiet).await;
                let (limit, what) = match late {
                    None => return,
                    Some(Late::Flush) => (
                        Limit::Grace,
                        "the peer did not take in time what was still to be sent",
                    ),
                    Some(Late::Linger) => (Limit::Linger, "the peer did not end its side in time"),
                };
                let connection = self.entry.handle().connection;
                self.service.limit_counters.warn(limit, || {
                    format!(
                        "connection {} from {}: {what}",
                        connection.id, connection.peer
                    )
                });
            }
        }
    }

    /// One line for what the person at the terminal should know of.
    fn log(&self, cause: &CloseCause) {
        let sandbox::ConnectionInfo { id, peer, .. } = self.connection();
        let counters = &self.service.counters;
        match cause {
            CloseCause::Fault(Fault {
                cause: Cause::Exit(0),
                ..
            }) => {
                tracing::debug!("connection {id} from {peer}: guest exited");
            }
            CloseCause::Fault(fault) => {
                Counters::count(&counters.faults);
                tracing::error!("connection {id} from {peer}: {fault}");
            }
            CloseCause::CrashLoop(fault) => {
                Counters::count(&counters.faults);
                tracing::error!(
                    "connection {id} from {peer}: {fault}; not restarted again (--max-restarts)"
                );
            }
            CloseCause::Refused(fault) => {
                Counters::count(&counters.refused);
                tracing::info!("connection {id} from {peer}: {fault}");
            }
            CloseCause::TooManyTimers => {
                Counters::count(&counters.faults);
                tracing::error!(
                    "connection {id} from {peer}: guest {}",
                    Cause::TooManyTimers
                );
            }
            CloseCause::WriteTimeout => {
                tracing::warn!(
                    "connection {id} from {peer}: the peer took nothing for {}, {} bytes are lost",
                    crate::duration::show(self.service.limits.write_timeout),
                    self.channel.queued()
                );
            }
            CloseCause::HalfCloseTimeout => {
                tracing::warn!(
                    "connection {id} from {peer}: ended by the guest, and the peer neither sent nor ended"
                );
            }
            CloseCause::Host(CloseReason::IdleTimeout) => {
                let limit_counters = &self.service.limit_counters;
                limit_counters.warn(Limit::IdleTimeout, || {
                    format!("connection {id} from {peer}: nothing moved for too long")
                });
            }
            CloseCause::PeerGone(error) => tracing::debug!("connection {id} from {peer}: {error}"),
            CloseCause::Ended | CloseCause::GuestAborted | CloseCause::Host(_) => {
                tracing::debug!("connection {id} from {peer}: over");
            }
        }
    }

    /// Call the guest's last event. A successor still in probation has held back
    /// what it wrote; with its last event that is decided, too.
    async fn close(&mut self, reason: CloseReason) {
        if !reason.allows_farewell() {
            self.channel.end_writing();
        }
        if self.is_asleep() && Box::pin(self.wake(Event::Close)).await.is_err() {
            return;
        }
        let window = self.window();
        let Body::Awake(instance) = &mut self.body else {
            return;
        };
        instance.set_window(window);
        match instance.close(reason).await {
            Ok(()) if reason.allows_farewell() => {
                let effects = instance.take_effects();
                let probation = self.probation.take();
                let held_back = probation.map(|probation| probation.held_back.written);
                for written in [held_back.unwrap_or_default(), effects.written] {
                    if !written.is_empty() && self.channel.write(written).is_err() {
                        self.channel.clear_queue();
                    }
                }
            }
            Ok(()) => {}
            Err(Fault {
                event: sandbox::Event::Close,
                cause: Cause::Exit(_),
            }) => {}
            Err(fault) => {
                Counters::count(&self.service.counters.faults);
                let connection = self.connection();
                tracing::error!(
                    "connection {} from {}: {fault}",
                    connection.id,
                    connection.peer
                );
            }
        }
    }
}
