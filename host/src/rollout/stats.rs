//! What became of the connections that were open when a rollout began.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::policy::RollbackAfter;
use crate::by_name::ByName;

/// Failures of one swap that are logged, a line each.
const MAX_LOGGED: usize = 3;

/// See the module's documentation. Each migrating session calls
/// [`Self::begin_migration`] first, then one of [`Self::migrated`] and
/// [`Self::failed`], and perhaps [`Self::relapsed`] later.
#[derive(Debug, Default)]
pub struct RolloutStats {
    attempts: AtomicUsize,
    in_flight: AtomicUsize,
    migrated: AtomicUsize,
    failed: AtomicUsize,
    closed: AtomicUsize,
    without_snapshot: AtomicUsize,
    without_state: AtomicUsize,
    early_failures: AtomicUsize,
    /// `None`: nothing undoes the swap by itself.
    limit: Option<RollbackAfter>,
    /// The same of all rollouts of the service, by [`MIGRATION_OUTCOMES`].
    totals: Arc<ByName>,
}

/// What may become of a connection that is to migrate.
pub const MIGRATION_OUTCOMES: &[&str] = &[MIGRATED, STAYED, RETURNED];

/// The successor has taken over.
const MIGRATED: &str = "migrated";
/// The successor could not begin: the connection stayed on its old code.
const STAYED: &str = "stayed";
/// The successor had taken over and died in its first event: the old code continued. It
/// is among those migrated as well.
const RETURNED: &str = "returned";

impl RolloutStats {
    pub fn new(limit: Option<RollbackAfter>, totals: Arc<ByName>) -> Self {
        RolloutStats {
            limit,
            totals,
            ..RolloutStats::default()
        }
    }

    /// A connection migrates until this is dropped.
    pub fn in_flight(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(Arc::clone(self))
    }

    /// How many migrate at this moment.
    pub fn count_in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// A connection begins to migrate. Returns its position among all that did.
    pub fn begin_migration(&self) -> usize {
        self.attempts.fetch_add(1, Ordering::AcqRel)
    }

    /// The successor's `open` has succeeded, with a snapshot or without.
    pub fn migrated(&self, with_state: bool) {
        self.migrated.fetch_add(1, Ordering::AcqRel);
        self.totals.count(MIGRATED);
        if !with_state {
            self.without_state.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The successor at this position could not begin. True if the swap must be
    /// undone now.
    pub fn failed(&self, position: usize) -> bool {
        self.totals.count(STAYED);
        self.note_failure(position)
    }

    fn note_failure(&self, position: usize) -> bool {
        self.failed.fetch_add(1, Ordering::AcqRel);
        if self.limit.is_some_and(|limit| position < limit.among) {
            self.early_failures.fetch_add(1, Ordering::AcqRel);
        }
        self.must_undo()
    }

    /// The successor at this position had begun, with a snapshot or without, and
    /// died in its first event. True if the swap must be undone now.
    pub fn relapsed(&self, position: usize, with_state: bool) -> bool {
        self.migrated.fetch_sub(1, Ordering::AcqRel);
        if !with_state {
            self.without_state.fetch_sub(1, Ordering::AcqRel);
        }
        self.totals.count(RETURNED);
        self.note_failure(position)
    }

    pub fn closed(&self) {
        self.closed.fetch_add(1, Ordering::AcqRel);
    }

    /// The predecessor's `save` has failed. True if this one should be logged.
    pub fn without_snapshot(&self) -> bool {
        self.without_snapshot.fetch_add(1, Ordering::AcqRel) < MAX_LOGGED
    }

    /// Whether the failure counted last should be logged. The others are only
    /// counted: there may be thousands, all alike.
    pub fn should_log(&self) -> bool {
        self.failed.load(Ordering::Acquire) <= MAX_LOGGED
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
            without_state: self.without_state.load(Ordering::Acquire),
        }
    }
}

/// See [`RolloutStats::in_flight`].
#[derive(Debug)]
pub struct InFlight(Arc<RolloutStats>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The numbers of a rollout at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Connections that the new generation serves.
    pub migrated: usize,
    /// Connections that stayed with, or returned to, their old generation.
    pub failed: usize,
    /// Connections closed because the policy says so.
    pub closed: usize,
    /// Connections whose state was lost because `save` failed.
    pub without_snapshot: usize,
    /// Those of the migrated whose successor got no snapshot: `save` failed, or
    /// gave none.
    #[serde(default)]
    pub without_state: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_migrates_is_in_flight_until_it_is_over() {
        let stats = Arc::new(RolloutStats::default());
        let first = stats.in_flight();
        let second = stats.in_flight();
        assert_eq!(stats.count_in_flight(), 2);
        stats.begin_migration();
        stats.migrated(true);
        assert_eq!(stats.count_in_flight(), 2, "counted by what holds it only");
        drop((first, second));
        assert_eq!(stats.count_in_flight(), 0);
    }
}
