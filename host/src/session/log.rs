//! What the log says of a session. Each line is in the span of its connection,
//! with the fields that docs/logs.md lists for its kind.
//!
//! Counting what happened is left to whoever decides that it did.

use std::fmt::{self, Display};

use hotsocket_sandbox::limit_counters::{Limit, RateLimitedLog};
use hotsocket_sandbox::{Cause, CloseReason, ConnectionInfo, Fault, LoggedConnection};
use tokio::time::Instant;
use tracing::Level;

use super::close::CloseCause;
use super::state::Session;
use crate::channel::Traffic;
use crate::duration::show;
use crate::log::CLOSED;

/// What became of a connection whose instance died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultOutcome {
    Closed,
    /// It was restarted before, too often.
    CrashLoop,
    /// A fresh instance serves it. So many events are not in its state, with the
    /// one that killed the instance.
    Restarted {
        lost_events: u32,
    },
}

impl FaultOutcome {
    fn name(self) -> &'static str {
        match self {
            FaultOutcome::Closed | FaultOutcome::CrashLoop => "closed",
            FaultOutcome::Restarted { .. } => "restarted",
        }
    }

    fn lost_events(self) -> Option<u32> {
        match self {
            FaultOutcome::Closed | FaultOutcome::CrashLoop => None,
            FaultOutcome::Restarted { lost_events } => Some(lost_events),
        }
    }
}

impl fmt::Display for FaultOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultOutcome::Closed => Ok(()),
            FaultOutcome::CrashLoop => f.write_str("; not restarted again (--max-restarts)"),
            FaultOutcome::Restarted { lost_events: ..=1 } => {
                f.write_str("; restarted from the snapshot before this event")
            }
            FaultOutcome::Restarted { lost_events } => {
                write!(
                    f,
                    "; restarted from the snapshot before the last {lost_events} events"
                )
            }
        }
    }
}

/// What became of a connection that new code could not take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MigrationOutcome {
    /// The new code could not begin.
    Stayed,
    /// It began, and its first event killed it.
    Returned,
}

/// How the log names a connection that a generation serves.
pub(super) fn logged(
    connection: ConnectionInfo,
    generation: u64,
    label: Option<&str>,
) -> LoggedConnection<'_> {
    let ConnectionInfo { id, peer, .. } = connection;
    LoggedConnection {
        id,
        peer,
        generation,
        label,
    }
}

/// There was no instance for a connection. Logged now and then: the next one
/// will not have one either.
pub(super) fn log_refused(log: &RateLimitedLog, connection: LoggedConnection<'_>, fault: &Fault) {
    let Some(suppressed) = log.due() else {
        return;
    };
    connection.log(Level::WARN, || {
        tracing::warn!(
            kind = "fault",
            event = fault.event.name(),
            cause = fault.cause.name(),
            function = fault.cause.function(),
            outcome = "refused",
            suppressed = suppressed.count(),
            "refused: {fault}{suppressed}"
        );
    });
}

/// The line of `--access-log`.
pub(super) fn log_access(
    connection: LoggedConnection<'_>,
    cause: &'static str,
    traffic: Traffic,
    accepted: Instant,
) {
    let took = accepted.elapsed();
    let time = match took.as_millis() {
        ms @ ..1000 => format!("{ms} ms"),
        _ => format!("{:.1} s", took.as_secs_f64()),
    };
    let Traffic {
        bytes_in,
        bytes_out,
    } = traffic;
    let generation = connection.generation;
    connection.log(Level::INFO, || {
        tracing::info!(
            kind = CLOSED,
            cause,
            bytes_in,
            bytes_out,
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "closed: {cause}; {bytes_in} bytes in, {bytes_out} bytes out, {time}, generation {generation}"
        );
    });
}

impl Session {
    /// How the log names the connection, with the generation that serves it now.
    pub fn logged(&self) -> LoggedConnection<'_> {
        self.logged_on(self.generation.generation().number)
    }

    fn logged_on(&self, generation: u64) -> LoggedConnection<'_> {
        logged(self.connection(), generation, self.label.as_deref())
    }

    /// The instance died.
    pub fn log_fault(&self, fault: &Fault, outcome: FaultOutcome) {
        self.logged().log(Level::ERROR, || {
            tracing::error!(
                kind = "fault",
                event = fault.event.name(),
                cause = fault.cause.name(),
                function = fault.cause.function(),
                outcome = outcome.name(),
                lost_events = outcome.lost_events(),
                "{fault}{outcome}"
            );
        });
    }

    /// The guest's state could not be saved, and the session continues.
    pub fn log_no_snapshot(&self, fault: &Fault) {
        self.logged().log(Level::WARN, || {
            tracing::warn!(
                kind = "no-snapshot",
                event = fault.event.name(),
                cause = fault.cause.name(),
                function = fault.cause.function(),
                "no snapshot: {fault}"
            );
        });
    }

    /// The generation `target` could not take the session over, and `serving`
    /// continues.
    pub fn log_migration_failed(
        &self,
        serving: u64,
        target: u64,
        outcome: MigrationOutcome,
        fault: &Fault,
    ) {
        let (outcome, what) = match outcome {
            MigrationOutcome::Stayed => ("stayed", "stays on"),
            MigrationOutcome::Returned => ("returned", "back on"),
        };
        self.logged_on(serving).log(Level::WARN, || {
            tracing::warn!(
                kind = "migration-failed",
                outcome,
                target_generation = target,
                event = fault.event.name(),
                cause = fault.cause.name(),
                function = fault.cause.function(),
                "{what} generation {serving}: {fault}"
            );
        });
    }

    /// The host ended the connection at a limit that is not about a fault.
    fn log_limit(&self, limit: Limit, what: impl Display) {
        let limit = limit.name();
        self.logged().log(Level::WARN, || {
            tracing::warn!(kind = "limit", limit, "{what} (--{limit})");
        });
    }

    fn log_debug(&self, what: impl Display) {
        self.logged()
            .log(Level::DEBUG, || tracing::debug!("{what}"));
    }

    /// Why the session is over, as far as the person at the terminal should
    /// know.
    pub fn log_close(&self, cause: &CloseCause) {
        let limits = &self.limits;
        match cause {
            CloseCause::Fault(Fault {
                cause: Cause::Exit(0),
                ..
            }) => self.log_debug("guest exited"),
            CloseCause::Fault(fault) => self.log_fault(fault, FaultOutcome::Closed),
            CloseCause::CrashLoop(fault) => self.log_fault(fault, FaultOutcome::CrashLoop),
            CloseCause::Refused(fault) => self.logged().log(Level::INFO, || {
                tracing::info!(kind = "refused", reason = %fault.cause, "{fault}");
            }),
            CloseCause::TooManyTimers => self.logged().log(Level::ERROR, || {
                let cause = Cause::TooManyTimers;
                tracing::error!(
                    kind = "fault",
                    cause = cause.name(),
                    outcome = FaultOutcome::Closed.name(),
                    "guest {cause}"
                );
            }),
            CloseCause::TooManySubscriptions => self.log_limit(
                Limit::Subscriptions,
                format_args!("subscribed to more than {}", limits.max_subscriptions),
            ),
            CloseCause::MailboxFull => self.log_limit(
                Limit::Mailbox,
                format_args!(
                    "more than {} of messages waited for its guest",
                    crate::size::show(limits.max_mailbox)
                ),
            ),
            CloseCause::QueueFull => self.log_limit(
                Limit::Queue,
                "peer did not take what others published: its queue is full",
            ),
            CloseCause::WriteTimeout => {
                let (time, unsent) = (show(limits.write_timeout), self.channel.queued());
                self.log_limit(
                    Limit::WriteTimeout,
                    format_args!(
                        "write timed out: peer read nothing for {time}; {unsent} unsent bytes dropped"
                    ),
                );
            }
            CloseCause::HalfCloseTimeout => {
                let time = show(limits.half_close_timeout);
                self.log_limit(
                    Limit::HalfCloseTimeout,
                    format_args!(
                        "half-close timed out: guest has ended, peer neither sent nor ended for {time}"
                    ),
                );
            }
            CloseCause::Host(CloseReason::IdleTimeout) => {
                let time = limits.idle_timeout.map(show).unwrap_or_default();
                let what = format!("idle for {time}");
                let counters = &self.service.limit_counters;
                counters.warn(Limit::IdleTimeout, self.logged(), &what);
            }
            CloseCause::HandshakeTimeout => {
                let time = show(limits.handshake_timeout);
                let what = format!("its TLS handshake was not over after {time}");
                let counters = &self.service.limit_counters;
                counters.warn(Limit::HandshakeTimeout, self.logged(), &what);
            }
            CloseCause::PeerGone(error) => self.log_debug(error),
            // Whoever did the handshake has logged it.
            CloseCause::NotSecured(_)
            | CloseCause::Ended
            | CloseCause::GuestAborted
            | CloseCause::Host(_) => {
                self.log_debug("over");
            }
        }
    }

    /// The session's instance is not put to sleep.
    pub fn log_stays_awake(&self, why: &str) {
        self.log_debug(format_args!("stays awake: {why}"));
    }
}
