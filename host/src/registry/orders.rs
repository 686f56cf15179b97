//! What open connections are told: which generation to serve, and to stop.
//!
//! Each driver compares one number between two events and looks closer only
//! when it has changed. Publishing an order is one atomic store; carrying it
//! out is the drivers' business, paced by [`super::swap`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::generation::Generation;

/// What a swap does with the connections that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// New code takes them over, with their state.
    Migrate,
    /// They finish on their old code, at most this long.
    Drain(Duration),
    /// They are told `close(swapped)` and closed.
    Close,
    /// They stay on their old code for as long as they last.
    NewOnly,
}

/// How long `drain` lets a connection go on when nothing is said.
const DRAIN_DEFAULT: Duration = Duration::from_secs(30);

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "migrate" => Ok(Policy::Migrate),
            None if text == "drain" => Ok(Policy::Drain(DRAIN_DEFAULT)),
            None if text == "close" => Ok(Policy::Close),
            None if text == "new-only" => Ok(Policy::NewOnly),
            Some(("drain", time)) => crate::duration::parse(time).map(Policy::Drain),
            _ => Err(format!(
                "{text:?} is none of migrate, drain, drain=30s, close, new-only"
            )),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Policy::Migrate => f.write_str("migrate"),
            Policy::Drain(time) => write!(f, "drain={}", crate::duration::show(*time)),
            Policy::Close => f.write_str("close"),
            Policy::NewOnly => f.write_str("new-only"),
        }
    }
}

/// Serve this generation from now on.
pub struct Order {
    /// Counts up with each order.
    pub number: u64,
    pub generation: Arc<Generation>,
    /// For connections that are open when the order comes.
    pub policy: Policy,
    pub tally: Arc<Tally>,
}

/// How many failures among the first migrations undo a swap by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollbackAfter {
    pub failures: usize,
    pub among: usize,
}

impl RollbackAfter {
    /// Parse `N/M`, or `never`.
    ///
    /// # Errors
    /// Says what it takes, when it isn't that.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if text == "never" {
            return Ok(None);
        }
        let wrong = || format!("{text:?} is neither N/M, like 3/10, nor never");
        let (failures, among) = text.split_once('/').ok_or_else(wrong)?;
        match (failures.parse(), among.parse()) {
            (Ok(failures), Ok(among)) if (1..=among).contains(&failures) => {
                Ok(Some(RollbackAfter { failures, among }))
            }
            _ => Err(wrong()),
        }
    }
}

/// Failures of a swap that get a line of the log each.
const TOLD: usize = 3;

/// What became of the connections that were open when the order came.
#[derive(Debug, Default)]
pub struct Tally {
    attempts: AtomicUsize,
    migrated: AtomicUsize,
    failed: AtomicUsize,
    closed: AtomicUsize,
    without_snapshot: AtomicUsize,
    early_failures: AtomicUsize,
    /// `None`: nothing undoes the swap by itself.
    limit: Option<RollbackAfter>,
}

impl Tally {
    pub fn new(limit: Option<RollbackAfter>) -> Self {
        Tally {
            limit,
            ..Tally::default()
        }
    }

    /// A connection begins to migrate. Returns its place among all that did.
    pub fn attempt(&self) -> usize {
        self.attempts.fetch_add(1, Ordering::AcqRel)
    }

    /// The successor's `open` has succeeded.
    pub fn migrated(&self) {
        self.migrated.fetch_add(1, Ordering::AcqRel);
    }

    /// The successor at this place could not begin. True if that makes the
    /// swap one to undo.
    pub fn failed(&self, place: usize) -> bool {
        self.failed.fetch_add(1, Ordering::AcqRel);
        if self.limit.is_some_and(|limit| place < limit.among) {
            self.early_failures.fetch_add(1, Ordering::AcqRel);
        }
        self.must_undo()
    }

    /// The successor at this place had begun and died in its first event.
    pub fn relapsed(&self, place: usize) -> bool {
        self.migrated.fetch_sub(1, Ordering::AcqRel);
        self.failed(place)
    }

    pub fn closed(&self) {
        self.closed.fetch_add(1, Ordering::AcqRel);
    }

    /// The predecessor's `save` has failed.
    /// True if this one is worth a line of the log.
    pub fn without_snapshot(&self) -> bool {
        self.without_snapshot.fetch_add(1, Ordering::AcqRel) < TOLD
    }

    /// Whether the failure counted last is worth a line of the log. The others
    /// are only counted: there may be thousands, all alike.
    pub fn tells(&self) -> bool {
        self.failed.load(Ordering::Acquire) <= TOLD
    }

    /// Too many of the first migrations have failed.
    pub fn must_undo(&self) -> bool {
        self.limit
            .is_some_and(|limit| self.early_failures.load(Ordering::Acquire) >= limit.failures)
    }

    pub fn count(&self) -> Count {
        Count {
            migrated: self.migrated.load(Ordering::Acquire),
            failed: self.failed.load(Ordering::Acquire),
            closed: self.closed.load(Ordering::Acquire),
            without_snapshot: self.without_snapshot.load(Ordering::Acquire),
        }
    }
}

/// A tally at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Connections that the new generation serves.
    pub migrated: usize,
    /// Connections that stayed with, or returned to, their old generation.
    pub failed: usize,
    /// Connections closed because the policy says so.
    pub closed: usize,
    /// Connections that migrated without their state because `save` failed.
    pub without_snapshot: usize,
}

/// The board on which orders are published.
pub struct Orders {
    /// Changes with everything below.
    attention: AtomicU64,
    order: ArcSwap<Order>,
    stopping: AtomicBool,
    /// Migrations that may begin now; the conductor of a swap refills it.
    pace: AtomicI64,
    /// Told when a connection has carried out an order.
    pub progress: Notify,
    /// Told when the current order has become one to undo.
    pub alarm: Notify,
}

impl Orders {
    pub fn new(first: Arc<Generation>) -> Self {
        Orders {
            attention: AtomicU64::new(1),
            order: ArcSwap::from_pointee(Order {
                number: 1,
                generation: first,
                policy: Policy::NewOnly,
                tally: Arc::default(),
            }),
            stopping: AtomicBool::new(false),
            pace: AtomicI64::new(0),
            progress: Notify::new(),
            alarm: Notify::new(),
        }
    }

    /// Changes whenever there may be something new to do.
    pub fn attention(&self) -> u64 {
        self.attention.load(Ordering::Acquire)
    }

    pub fn current(&self) -> Arc<Order> {
        self.order.load_full()
    }

    /// The generation that new connections get.
    pub fn active(&self) -> Arc<Generation> {
        Arc::clone(&self.order.load().generation)
    }

    /// The server is shutting down: every connection ends.
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.attention.fetch_add(1, Ordering::Release);
    }

    /// Publish. Only the swap pipeline does, one swap at a time.
    pub(super) fn publish(&self, order: Arc<Order>) {
        self.order.store(order);
        self.attention.fetch_add(1, Ordering::Release);
    }

    /// Ask to migrate now. A driver that may not goes on serving with its old
    /// code and asks again after its next event.
    pub fn may_migrate(&self) -> bool {
        self.pace
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                (left > 0).then_some(left - 1)
            })
            .is_ok()
    }

    /// Whether [`Self::may_migrate`] would be answered with yes.
    pub fn has_turns(&self) -> bool {
        self.pace.load(Ordering::Acquire) > 0
    }

    pub(super) fn set_pace(&self, migrations: i64) {
        self.pace.store(migrations, Ordering::Release);
    }
}
