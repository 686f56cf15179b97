//! The answer to a swap or a rollback, for programs and for people.

use serde::{Deserialize, Serialize};

use super::orders::Count;

/// What a swap came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The new generation is active.
    Swapped,
    /// The same code was active already.
    Unchanged,
    /// The generation before is active again, as asked for.
    RolledBack,
    /// Too many connections failed on the new generation, so the one before is
    /// active again.
    Undone,
}

/// See the module's documentation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub outcome: Outcome,
    /// The generation that is active now.
    pub generation: u64,
    /// The one that was active before, or that was undone.
    pub previous: u64,
    pub guest: String,
    pub sha256: String,
    pub policy: String,
    #[serde(flatten)]
    pub count: Count,
    /// Connections on other generations when the answer was given.
    pub remaining: usize,
    /// Compiling, in milliseconds; 0 if the code was known.
    pub compile_ms: u64,
    /// From the request to the last migration, in milliseconds.
    pub elapsed_ms: u64,
}

impl Report {
    /// What happened, in a sentence.
    pub fn told(&self) -> String {
        let generation = format!(
            "generation {} is {} ({:.12})",
            self.generation, self.guest, self.sha256
        );
        let mut told = match self.outcome {
            Outcome::Unchanged => return format!("unchanged: {generation} already"),
            Outcome::Swapped => format!("swapped: {generation}"),
            Outcome::RolledBack => format!("rolled back: {generation} again"),
            Outcome::Undone => format!(
                "undone: too many connections failed on generation {}; {generation} again",
                self.previous
            ),
        };
        let counts = [
            (self.count.migrated, "migrated"),
            (
                self.count.failed,
                "stayed with the old code because the new one failed",
            ),
            (
                self.count.without_snapshot,
                "migrated without state because `save` failed",
            ),
            (self.count.closed, "closed"),
            (self.remaining, "still on other generations"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            let noun = if count == 1 {
                "connection"
            } else {
                "connections"
            };
            told.push_str(&format!("; {count} {noun} {what}"));
        }
        told.push_str(&format!("; {} ms", self.elapsed_ms));
        told
    }
}
