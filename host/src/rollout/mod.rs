//! Which generation connections shall be served by: the board that open sessions
//! look at between two events.
//!
//! A *rollout* makes a generation the active one. Publishing it is one atomic
//! store; every session compares the board's version between two events and
//! looks closer only when it has changed. Carrying a rollout out is the sessions'
//! business, at the pace that [`crate::registry`] sets.
//!
//! - [`generation`]: one accepted version of the guest
//! - [`policy`]: what happens to open connections
//! - [`stats`]: what became of them
//!
//! This module knows neither sessions nor how a swap is made.

mod generation;
mod policy;
mod stats;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

pub use generation::{Generation, GenerationGuard, Source};
pub use policy::{Policy, RollbackAfter};
pub use stats::{Count, MIGRATION_OUTCOMES, RolloutStats};

/// Serve this generation from now on.
pub struct Rollout {
    /// Counts up with each rollout, from 1.
    pub number: u64,
    pub generation: Arc<Generation>,
    /// For connections that are open when it begins.
    pub policy: Policy,
    pub stats: Arc<RolloutStats>,
}

/// The board on which rollouts are published. One for each service.
pub struct Rollouts {
    /// Changes with everything below.
    version: AtomicU64,
    current: ArcSwap<Rollout>,
    stopping: AtomicBool,
    /// Migrations that may begin now; refilled while a rollout is conducted.
    budget: AtomicI64,
    /// Notified when a session has applied a rollout.
    pub progress: Notify,
    /// Notified when the current rollout must be undone.
    pub must_undo: Notify,
}

impl Rollouts {
    /// Begin with the first generation.
    pub fn new(first: Arc<Generation>) -> Self {
        Rollouts {
            version: AtomicU64::new(1),
            current: ArcSwap::from_pointee(Rollout {
                number: 1,
                generation: first,
                policy: Policy::NewOnly,
                stats: Arc::default(),
            }),
            stopping: AtomicBool::new(false),
            budget: AtomicI64::new(0),
            progress: Notify::new(),
            must_undo: Notify::new(),
        }
    }

    /// Changes whenever there may be something new to do.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub fn current(&self) -> Arc<Rollout> {
        self.current.load_full()
    }

    /// The generation that new connections get.
    pub fn active(&self) -> Arc<Generation> {
        Arc::clone(&self.current.load().generation)
    }

    /// The service is shutting down: every connection is closed.
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Publish a rollout. Only the registry does, one at a time.
    pub fn publish(&self, rollout: Arc<Rollout>) {
        self.current.store(rollout);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Ask to migrate now. A session that may not continues with its old code
    /// and asks again after its next event.
    pub fn may_migrate(&self) -> bool {
        self.budget
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                (left > 0).then_some(left - 1)
            })
            .is_ok()
    }

    /// Whether [`Self::may_migrate`] would be answered with yes.
    pub fn has_budget(&self) -> bool {
        self.budget.load(Ordering::Acquire) > 0
    }

    pub fn set_budget(&self, migrations: i64) {
        self.budget.store(migrations, Ordering::Release);
    }
}
