//! What a swap does with open connections, and what undoes it: the words of the
//! flags `--on-swap` and `--rollback-after`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a swap does with the connections that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// New code takes them over, with their state.
    Migrate,
    /// They finish on their old code, at most this long.
    Drain(Duration),
    /// They get `close(swapped)` and are closed.
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
