//! What became of each generation, for `hotsocket history`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::rollout::{Count, Generation, RolloutStats};

/// Generations remembered; older ones are forgotten.
const REMEMBERED: usize = 200;

/// One generation's line in `hotsocket history`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub generation: u64,
    pub guest: String,
    pub sha256: String,
    /// When it was accepted, in seconds since 1970.
    pub accepted: u64,
    /// `active`, or how it ended.
    pub outcome: String,
    /// Connections that it took over, or failed to, when it came last.
    pub migrated: usize,
    pub failed: usize,
}

/// The records of a server, oldest first.
#[derive(Default)]
pub struct History(VecDeque<Entry>);

struct Entry {
    record: Record,
    /// What the rollout that made it active counts; it goes on counting while
    /// migrated sessions have their first events. Not the rollout: that would
    /// keep the generation's code.
    stats: Option<Arc<RolloutStats>>,
}

impl History {
    /// A generation becomes active, for the first time or again.
    pub fn activate(&mut self, generation: &Generation, stats: Option<Arc<RolloutStats>>) {
        if let Some(entry) = self.find(generation.number) {
            "active".clone_into(&mut entry.record.outcome);
            entry.stats = stats;
            return;
        }
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        let since = generation.accepted.duration_since(UNIX_EPOCH);
        self.0.push_back(Entry {
            record: Record {
                generation: generation.number,
                guest: generation.source.to_string(),
                sha256: generation.guest.hash.to_string(),
                accepted: since.map_or(0, |since| since.as_secs()),
                outcome: "active".to_owned(),
                migrated: 0,
                failed: 0,
            },
            stats,
        });
    }

    /// A generation is active no more.
    pub fn end(&mut self, generation: u64, outcome: String) {
        if let Some(entry) = self.find(generation) {
            entry.record.outcome = outcome;
        }
    }

    fn find(&mut self, generation: u64) -> Option<&mut Entry> {
        self.0
            .iter_mut()
            .find(|entry| entry.record.generation == generation)
    }

    pub fn records(&self) -> Vec<Record> {
        self.0
            .iter()
            .map(|entry| {
                let count = entry
                    .stats
                    .as_ref()
                    .map_or_else(Count::default, |stats| stats.count());
                Record {
                    migrated: count.migrated,
                    failed: count.failed,
                    ..entry.record.clone()
                }
            })
            .collect()
    }
}

impl Record {
    /// How long ago it was accepted, in seconds.
    pub fn age(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_secs().saturating_sub(self.accepted))
    }
}
