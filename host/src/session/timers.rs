//! The timers that a guest has set for its connection. They belong to the session
//! and outlive the instance that set them.

use std::time::Duration;

use tokio::time::Instant;

/// A far-away moment for delays that no clock can hold.
const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

/// A handful of timers, by id. They belong to the connection and outlive the
/// instance that set them.
#[derive(Clone, Debug, Default)]
pub struct Timers(Vec<(u32, Instant)>);

impl Timers {
    /// Set (`Some`) or clear (`None`) a timer. False, and nothing is set, if
    /// that would make more than `max`.
    #[must_use]
    pub fn apply(&mut self, id: u32, after: Option<Duration>, max: usize) -> bool {
        let known = self.0.iter().position(|(known, _)| *known == id);
        match (known, after) {
            (Some(at), None) => {
                self.0.swap_remove(at);
            }
            (None, None) => {}
            (known, Some(after)) => {
                if let Some(at) = known {
                    self.0.swap_remove(at);
                }
                if self.0.len() >= max {
                    return false;
                }
                let now = Instant::now();
                self.0.push((id, now + after.min(FAR)));
            }
        }
        true
    }

    /// Whether all of these may be set and cleared, in this order.
    pub fn admit(&self, changes: &[(u32, Option<Duration>)], max: usize) -> bool {
        let mut timers = self.clone();
        let mut changes = changes.iter();
        changes.all(|(id, after)| timers.apply(*id, *after, max))
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Instant> {
        self.0.iter().map(|(_, due)| *due).min()
    }

    /// Take this timer if it is set and due.
    pub fn take_due(&mut self, id: u32, now: Instant) -> bool {
        let due = |(set, due): &(u32, Instant)| *set == id && *due <= now;
        let at = self.0.iter().position(due);
        at.map(|at| self.0.swap_remove(at)).is_some()
    }

    /// Take the timer that has been due the longest, if any is.
    pub fn due(&mut self, now: Instant) -> Option<u32> {
        let (at, due) = self
            .0
            .iter()
            .enumerate()
            .map(|(at, (_, due))| (at, *due))
            .min_by_key(|(_, due)| *due)?;
        (due <= now).then(|| self.0.swap_remove(at).0)
    }
}
