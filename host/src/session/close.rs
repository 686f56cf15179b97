//! Every way a session ends: what the guest is called with, what is still sent,
//! and how the socket is closed. The socket's own part of it is
//! [`crate::channel::Closing`].

use std::io;
use std::time::Duration;

use hotsocket_sandbox::limit_counters::Limit;
use hotsocket_sandbox::{self as sandbox, Cause, CloseReason, Effects, Fault};
use tokio::time::Instant;

use super::event::Event;
use super::log::{FaultOutcome, log_access, logged};
use super::record::{Recording, closed_mark};
use super::start_tls::NotSecured;
use super::state::{Body, Session};
use crate::channel::Late;
use crate::roster::{Progress, SessionState, WaitsFor};
use crate::tap::What;

/// While the server shuts down, a peer that is quiet this long after our FIN
/// is not waited for any longer.
const QUIET: Duration = Duration::from_millis(250);

/// The close cause of a connection that the guest refused, or for which there was
/// no instance.
pub const REFUSED: &str = "refused";

/// The close cause of a connection whose handshake failed, before it had a session or
/// because its guest asked for one.
pub const HANDSHAKE: &str = CloseReason::Handshake.name();

/// All close causes, as in the access log and in the metrics.
pub const CLOSE_CAUSES: &[&str] = &[
    CloseReason::Ended.name(),
    CloseReason::AbortedByPeer.name(),
    CloseReason::AbortedByGuest.name(),
    CloseReason::IdleTimeout.name(),
    CloseReason::WriteTimeout.name(),
    HALF_CLOSE_TIMEOUT,
    CloseReason::Shutdown.name(),
    CloseReason::Swapped.name(),
    CloseReason::MailboxFull.name(),
    CloseReason::QueueFull.name(),
    FAULT,
    CRASH_LOOP,
    REFUSED,
    HANDSHAKE,
    PLAIN_TEXT,
    TOO_MANY_TIMERS,
    TOO_MANY_SUBSCRIPTIONS,
];

const HALF_CLOSE_TIMEOUT: &str = "half-close-timeout";
const PLAIN_TEXT: &str = "plain-text";
const FAULT: &str = "fault";
const CRASH_LOOP: &str = "crash-loop";
const TOO_MANY_TIMERS: &str = "too-many-timers";
const TOO_MANY_SUBSCRIPTIONS: &str = "too-many-subscriptions";

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
    TooManySubscriptions,
    /// More messages came than may wait for it.
    MailboxFull,
    /// The peer does not take what others have published for it.
    QueueFull,
    /// The guest has asked for TLS, and it has not come to be.
    NotSecured(NotSecured),
    /// The same, in time.
    HandshakeTimeout,
}

impl CloseCause {
    /// The limit at which the host has ended the session, if it was one.
    fn limit(&self) -> Option<Limit> {
        match self {
            CloseCause::CrashLoop(_) => Some(Limit::Restarts),
            CloseCause::TooManyTimers => Some(Limit::Timers),
            CloseCause::TooManySubscriptions => Some(Limit::Subscriptions),
            CloseCause::MailboxFull => Some(Limit::Mailbox),
            CloseCause::QueueFull => Some(Limit::Queue),
            CloseCause::WriteTimeout => Some(Limit::WriteTimeout),
            CloseCause::HalfCloseTimeout => Some(Limit::HalfCloseTimeout),
            // A fault was counted when it happened; other timeouts are counted
            // when they are logged.
            CloseCause::Fault(_) | CloseCause::Refused(_) => None,
            CloseCause::Ended
            | CloseCause::PeerGone(_)
            | CloseCause::GuestAborted
            | CloseCause::NotSecured(_)
            | CloseCause::HandshakeTimeout
            | CloseCause::Host(_) => None,
        }
    }

    pub fn from_open(fault: Fault) -> Self {
        match fault.cause {
            Cause::Refused(_) => CloseCause::Refused(fault),
            _ => CloseCause::Fault(fault),
        }
    }

    /// A word for the access log and the metrics.
    fn name(&self) -> &'static str {
        match self {
            CloseCause::Ended => CloseReason::Ended.name(),
            CloseCause::PeerGone(_) => CloseReason::AbortedByPeer.name(),
            CloseCause::GuestAborted => CloseReason::AbortedByGuest.name(),
            CloseCause::Host(reason) => reason.name(),
            CloseCause::WriteTimeout => CloseReason::WriteTimeout.name(),
            CloseCause::HalfCloseTimeout => HALF_CLOSE_TIMEOUT,
            CloseCause::Fault(_) => FAULT,
            CloseCause::CrashLoop(_) => CRASH_LOOP,
            CloseCause::Refused(_) => REFUSED,
            CloseCause::TooManyTimers => TOO_MANY_TIMERS,
            CloseCause::TooManySubscriptions => TOO_MANY_SUBSCRIPTIONS,
            CloseCause::MailboxFull => CloseReason::MailboxFull.name(),
            CloseCause::QueueFull => CloseReason::QueueFull.name(),
            CloseCause::NotSecured(NotSecured::PlainText) => PLAIN_TEXT,
            CloseCause::NotSecured(NotSecured::Handshake) | CloseCause::HandshakeTimeout => {
                HANDSHAKE
            }
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
            CloseCause::MailboxFull => Some(CloseReason::MailboxFull),
            CloseCause::QueueFull => Some(CloseReason::QueueFull),
            CloseCause::NotSecured(_) | CloseCause::HandshakeTimeout => {
                Some(CloseReason::Handshake)
            }
            CloseCause::TooManySubscriptions
            | CloseCause::Fault(_)
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
        self.log_close(&cause);
        self.count(&cause);
        self.report_as(
            SessionState::Closing,
            self.channel.traffic(),
            self.channel.queued(),
        );
        // A swap need not wait for a connection that is closing.
        self.entry.handle().set_applied(u64::MAX);
        self.service.rollouts.progress.notify_waiters();
        let (connection, generation) = (self.connection(), self.generation.generation().number);
        let flush_by = Instant::now() + self.limits.grace;
        if let Some(reason) = cause.reason() {
            self.close(reason).await;
        }
        let close_took_all = Instant::now() >= flush_by;
        self.leave_topics().await;
        if let Body::Awake(instance) = self.body {
            instance.drop_in_background().await;
        }
        let linger = self.limits.linger;
        let (socket, quiet) = match cause {
            CloseCause::Ended | CloseCause::PeerGone(_) | CloseCause::NotSecured(_) => {
                (Socket::Drop, linger)
            }
            CloseCause::GuestAborted
            | CloseCause::WriteTimeout
            | CloseCause::HalfCloseTimeout
            | CloseCause::HandshakeTimeout
            | CloseCause::QueueFull => (Socket::Reset, linger),
            CloseCause::Host(CloseReason::Shutdown) => (Socket::Flush, linger.min(QUIET)),
            _ => (Socket::Flush, linger),
        };
        let closed = match socket {
            Socket::Flush => {
                let handle = self.entry.handle();
                handle.set_waits_for(WaitsFor::Flush);
                let flushed = || handle.set_waits_for(WaitsFor::PeerEnd);
                let closing = self.channel.into_closing();
                closing.finish(flush_by, linger, quiet, flushed).await
            }
            Socket::Drop => self.channel.close(),
            Socket::Reset => self.channel.reset(),
        };
        self.entry.handle().report(Progress {
            received: closed.traffic.bytes_in,
            sent: closed.traffic.bytes_out,
            queued: 0,
            generation,
            state: SessionState::Closing,
        });
        let handle = self.entry.handle();
        if handle.is_tapped() {
            handle.record(What::Mark(closed_mark(cause.name(), closed.traffic)));
        }
        let logged = logged(connection, generation, self.label.as_deref());
        let late = closed.late.map(|late| match late {
            Late::Flush if close_took_all => (
                Limit::Grace,
                "the guest's `close` left no time to send the last bytes",
            ),
            Late::Flush => (Limit::Grace, "peer did not read the last bytes in time"),
            Late::Linger => (Limit::Linger, "peer did not end its side in time"),
        });
        if let Some((limit, what)) = late {
            self.service.limit_counters.warn(limit, logged, what);
        }
        if let Some(accepted) = self.accepted {
            log_access(logged, cause.name(), closed.traffic, accepted);
        }
    }

    fn count(&self, cause: &CloseCause) {
        let counters = &self.service.counters;
        counters.closed.count(cause.name());
        if let Some(limit) = cause.limit() {
            self.service.limit_counters.count(limit);
        }
        match cause {
            CloseCause::Fault(Fault {
                cause: Cause::Exit(0),
                ..
            }) => {}
            CloseCause::Fault(fault) | CloseCause::CrashLoop(fault) => {
                counters.faults.count(fault.cause.name());
            }
            CloseCause::TooManyTimers | CloseCause::TooManySubscriptions => {
                counters.faults.count(cause.name());
            }
            _ => {}
        }
    }

    /// Call the guest's last event. A successor still in probation has held back
    /// what it wrote; with its last event that is decided, too.
    async fn close(&mut self, reason: CloseReason) {
        // Who waits for TLS gets nothing in plain text.
        if !reason.allows_farewell() || self.awaits_tls() {
            self.channel.end_writing();
        }
        if self.is_asleep()
            && let Err(cause) = Box::pin(self.wake(Event::Close)).await
        {
            if let CloseCause::Fault(fault) | CloseCause::CrashLoop(fault) = cause
                && !matches!(fault.cause, Cause::Exit(0))
            {
                self.service.counters.faults.count(fault.cause.name());
                self.log_fault(&fault, FaultOutcome::Closed);
            }
            return;
        }
        let window = self.window();
        let Body::Awake(instance) = &mut self.body else {
            return;
        };
        instance.set_window(window);
        let generation = self.generation.generation().number;
        let handle = self.entry.handle();
        let mut recording = Recording::of_close(handle, generation, instance, reason.name());
        let called = instance.close(reason).await;
        if let Some(recording) = &mut recording {
            recording.stop(instance);
        }
        let effects = instance.take_effects();
        self.recording = recording;
        self.note_cpu();
        match called {
            Ok(()) => {
                let probation = self.probation.take();
                let mut held_back = probation.map(|probation| probation.held_back);
                let mut effects = effects;
                let mut awaits_tls = self.awaits_tls();
                for effects in held_back.iter_mut().chain([&mut effects]) {
                    if awaits_tls || !reason.allows_farewell() {
                        effects.written.clear();
                    }
                    awaits_tls |= effects.starts_tls();
                }
                if let Some(held_back) = &held_back {
                    self.record_end_of_probation(&held_back.written);
                }
                if let Some(recording) = self.recording.take() {
                    recording.succeeded(self.entry.handle(), &effects, &effects.written);
                }
                for effects in held_back.into_iter().chain([effects]) {
                    let farewell = Some(effects.written).filter(|written| !written.is_empty());
                    if let Some(written) = farewell
                        && self.channel.write(written).is_err()
                    {
                        self.channel.clear_queue();
                    }
                    if let Some(requests) = effects.session {
                        self.request_topics(requests.topics);
                    }
                }
            }
            Err(Fault {
                event: sandbox::Event::Close,
                cause: Cause::Exit(_),
            }) => self.record_success(&Effects::default()),
            Err(fault) => {
                self.record_fault(&fault);
                self.service.counters.faults.count(fault.cause.name());
                self.log_fault(&fault, FaultOutcome::Closed);
            }
        }
    }
}
