//! Totals of a service since its start, for `hotsocket status` and the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use hotsocket_sandbox::Cause;
use hotsocket_sandbox::limit_counters::Limit;

use crate::by_name::ByName;
use crate::session::{CLOSE_CAUSES, REFUSED};

#[derive(Debug)]
pub struct Counters {
    pub accepted: AtomicU64,
    /// Instances that trapped or reached a limit, by [`Cause::name`] or the cause of the
    /// connection's end.
    pub faults: ByName,
    /// Instances replaced after a fault.
    pub restarts: AtomicU64,
    /// Connections for which there was no room, by the limit. One beyond those of the
    /// service or of its peer was not accepted; one for which no instance could be made
    /// was, and is among those closed as well.
    pub refused: ByName,
    /// Connections that are over, by their cause.
    pub closed: ByName,
    /// TLS handshakes, by [`TLS_OUTCOMES`].
    pub tls_handshakes: ByName,
    /// Instances saved and dropped because their connection was quiet…
    pub hibernated: AtomicU64,
    /// …and made again for its next event.
    pub woken: AtomicU64,
}

/// The limits that a connection may be refused for.
const REFUSING: &[&str] = &[
    Limit::Connections.name(),
    Limit::PerPeer.name(),
    Limit::PerListener.name(),
    Limit::Allow.name(),
    Limit::Deny.name(),
    Limit::Room.name(),
];

/// What may become of a TLS handshake; docs/tls.md says what each means.
pub const TLS_OUTCOMES: &[&str] = &[
    "full",
    "resumed",
    "silent",
    "closed",
    "timed-out",
    "cut-off",
    "not-tls",
    "version",
    "nothing-in-common",
    "client-certificate",
    "alert",
    "malformed",
];

impl Default for Counters {
    fn default() -> Self {
        let faults = ["too-many-subscriptions"];
        Counters {
            accepted: AtomicU64::new(0),
            faults: ByName::new(Cause::NAMES.iter().copied().chain(faults)),
            restarts: AtomicU64::new(0),
            refused: ByName::new(REFUSING.iter().copied()),
            closed: ByName::new(CLOSE_CAUSES.iter().copied()),
            tls_handshakes: ByName::new(TLS_OUTCOMES.iter().copied()),
            hibernated: AtomicU64::new(0),
            woken: AtomicU64::new(0),
        }
    }
}

impl Counters {
    pub fn count(which: &AtomicU64) {
        which.fetch_add(1, Ordering::Relaxed);
    }

    pub fn read(which: &AtomicU64) -> u64 {
        which.load(Ordering::Relaxed)
    }

    /// Connections that were refused: by the guest, for lack of room, or at a limit.
    pub fn all_refused(&self) -> u64 {
        let by_guest_or_room = self.closed.read(REFUSED);
        let at_accept = REFUSING.iter().filter(|name| **name != Limit::Room.name());
        let at_accept = at_accept.map(|name| self.refused.read(name));
        by_guest_or_room + at_accept.sum::<u64>()
    }
}
