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
            _ => Err(format!("{text:?} is none of migrate, drain, drain=30s, close, new-only")),
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
    /// The order takes back a bad generation: a connection still in probation
    /// on it returns to the snapshot that it came with.
    pub tally: Tally,
}

/// What became of the connections that were open when the order came.
#[derive(Debug, Default)]
pub struct Tally {
    /// Served by the new generation.
    pub migrated: AtomicUsize,
    /// Stayed with, or returned to, their old generation.
    pub failed: AtomicUsize,
    /// Closed by the order's policy.
    pub closed: AtomicUsize,
    /// Migrated without a snapshot because `save` failed.
    pub without_snapshot: AtomicUsize,
}

impl Tally {
    pub fn count(which: &AtomicUsize) {
        which.fetch_add(1, Ordering::AcqRel);
    }
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
}

impl Orders {
    pub fn new(first: Arc<Generation>) -> Self {
        Orders {
            attention: AtomicU64::new(1),
            order: ArcSwap::from_pointee(Order {
                number: 1,
                generation: first,
                policy: Policy::NewOnly,
                tally: Tally::default(),
            }),
            stopping: AtomicBool::new(false),
            pace: AtomicI64::new(0),
            progress: Notify::new(),
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
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| (left > 0).then_some(left - 1))
            .is_ok()
    }

    pub(super) fn set_pace(&self, migrations: i64) {
        self.pace.store(migrations, Ordering::Release);
    }
}
