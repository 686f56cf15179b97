//! The answer to a swap or a rollback, for programs and for people.

use serde::{Deserialize, Serialize};

use crate::output::escape;
use crate::rollout::Count;

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
    /// Connections that there is room for, if fewer than `--max-connections`: the
    /// guest has several memories or many tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<usize>,
    /// Compiling, in milliseconds; 0 if the code was known.
    pub compile_ms: u64,
    /// From the request to the last migration, in milliseconds.
    pub elapsed_ms: u64,
}

impl Outcome {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Swapped => "swapped",
            Outcome::Unchanged => "unchanged",
            Outcome::RolledBack => "rolled-back",
            Outcome::Undone => "undone",
        }
    }
}

impl Report {
    /// A line of the log: a warning if the swap was undone.
    pub fn log(&self) {
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    kind = "swap",
                    outcome = self.outcome.name(),
                    generation = self.generation,
                    previous = self.previous,
                    guest = self.guest,
                    sha256 = self.sha256,
                    policy = self.policy,
                    migrated = self.count.migrated,
                    failed = self.count.failed,
                    closed = self.count.closed,
                    without_snapshot = self.count.without_snapshot,
                    without_state = self.count.without_state,
                    remaining = self.remaining,
                    room = self.room,
                    compile_ms = self.compile_ms,
                    elapsed_ms = self.elapsed_ms,
                    "{}",
                    self.describe()
                )
            };
        }
        match self.outcome {
            Outcome::Undone => log!(warn),
            _ => log!(info),
        }
    }

    /// What happened, as commands and the admin address show it: [`Self::describe`], on one
    /// line whatever the guest is called.
    pub fn line(&self) -> String {
        escape::one_line(&self.describe()).into_owned()
    }

    /// What happened, in a sentence.
    pub fn describe(&self) -> String {
        let generation = format!(
            "generation {} is {} ({:.12})",
            self.generation, self.guest, self.sha256
        );
        let Count {
            migrated,
            failed,
            closed,
            without_snapshot,
            without_state,
        } = self.count;
        let mut text = match self.outcome {
            Outcome::Unchanged => return format!("unchanged: {generation} already"),
            Outcome::Swapped => format!("swapped: {generation}"),
            Outcome::RolledBack => format!("rolled back: {generation} again"),
            Outcome::Undone => {
                let failed = connections(failed);
                let previous = self.previous;
                let mut text =
                    format!("undone: {failed} failed on generation {previous}; {generation} again");
                if self.remaining > 0 {
                    text.push_str(&format!(
                        "; {} still on other generations",
                        connections(self.remaining)
                    ));
                }
                return text;
            }
        };
        if migrated > 0 {
            text.push_str(&format!("; {} migrated", connections(migrated)));
        }
        if migrated > 0 && without_state > 0 {
            text.push_str(&format!(" ({without_state} without state)"));
        }
        if without_snapshot > 0 {
            text.push_str(&format!("; `save` failed for {without_snapshot}"));
        }
        if failed > 0 {
            text.push_str(&format!(
                "; {} stayed on the old code because the new failed",
                connections(failed)
            ));
            if migrated == 0 {
                text.push_str(" (`hotsocket rollback` goes back for new ones, too)");
            }
        }
        if closed > 0 {
            text.push_str(&format!("; {} closed", connections(closed)));
        }
        if self.remaining > failed {
            text.push_str(&format!(
                "; {} on other generations",
                connections(self.remaining)
            ));
        }
        if let Some(room) = self.room {
            text.push_str(&format!("; room for {}", connections(room)));
        }
        text.push_str(&format!("; {} ms", self.elapsed_ms));
        text
    }
}

fn connections(count: usize) -> String {
    match count {
        1 => "1 connection".to_owned(),
        _ => format!("{count} connections"),
    }
}
