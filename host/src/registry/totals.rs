//! Totals of a service's swaps since its start, for the metrics.

use std::sync::Arc;
use std::time::Duration;

use hotsocket_sandbox::measures::Histogram;

use super::{Outcome, Report, SwapError};
use crate::by_name::ByName;
use crate::rollout::MIGRATION_OUTCOMES;

/// The outcome of a swap that was rejected, or of which there is nothing to go back to.
const FAILED: &str = "failed";

/// Upper bounds of the buckets for the time that a swap takes.
const BOUNDS: &[Duration] = &[
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// See the module's documentation.
#[derive(Debug)]
pub struct SwapTotals {
    /// Swaps and rollbacks, by [`Outcome::name`] or `failed`.
    pub swaps: ByName,
    /// How long those took that have changed the active generation, from the request to
    /// the last migration.
    pub took: Histogram,
    /// What became of connections that were to migrate.
    pub migrations: Arc<ByName>,
}

impl Default for SwapTotals {
    fn default() -> Self {
        let outcomes = [
            Outcome::Swapped,
            Outcome::Unchanged,
            Outcome::RolledBack,
            Outcome::Undone,
        ];
        let outcomes = outcomes.into_iter().map(Outcome::name);
        SwapTotals {
            swaps: ByName::new(outcomes.chain([FAILED])),
            took: Histogram::new(BOUNDS),
            migrations: Arc::new(ByName::new(MIGRATION_OUTCOMES.iter().copied())),
        }
    }
}

impl SwapTotals {
    /// Count what a swap came to.
    pub fn note(&self, took: Duration, swapped: &Result<Report, SwapError>) {
        let outcome = swapped.as_ref().map(|report| report.outcome);
        self.swaps.count(outcome.map_or(FAILED, Outcome::name));
        if outcome.is_ok_and(|outcome| outcome != Outcome::Unchanged) {
            self.took.record(took, 1);
        }
    }
}
