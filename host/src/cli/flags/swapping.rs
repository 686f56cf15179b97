//! The flags about swaps.

use crate::cli::parse::{self, After};
use crate::registry::Rules;
use crate::rollout::Policy;

const SWAPPING: &str = "Swapping";

/// See the module's documentation.
#[derive(Debug, clap::Args)]
pub(super) struct SwappingFlags {
    /// What a swap does with open connections: migrate, drain[=TIME], close or new-only
    #[arg(long, value_name = "POLICY", default_value_t = Rules::default().policy, help_heading = SWAPPING)]
    on_swap: Policy,

    /// Undo a swap when N of the first M migrating connections fail: N/M, or never
    #[arg(long, value_name = "N/M", default_value_t = After(Rules::default().rollback_after), value_parser = parse::rollback_after, help_heading = SWAPPING)]
    rollback_after: After,

    /// Generations kept compiled besides the active one, to roll back to
    #[arg(long, value_name = "N", default_value_t = Rules::default().keep, help_heading = SWAPPING)]
    keep: usize,
}

impl SwappingFlags {
    /// The rules that they stand for.
    pub(super) fn rules(self) -> Rules {
        Rules {
            policy: self.on_swap,
            rollback_after: self.rollback_after.0,
            keep: self.keep,
        }
    }
}
