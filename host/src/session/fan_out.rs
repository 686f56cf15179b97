//! What a connection may publish (`--max-fan-out`). Who has published more gets no event
//! until as much time has passed; the session sees to that ([`super::topics`]).

use std::time::Duration;

use tokio::time::Instant;

/// What a connection may publish, in bytes times receivers: so much a second, a second's
/// worth at once, and more on credit.
#[derive(Debug, Default)]
pub(super) struct Budget {
    used: u64,
    /// When it was last paid back.
    at: Option<Instant>,
    /// What was used on credit is paid for with time: no event comes until then.
    pub held_until: Option<Instant>,
}

impl Budget {
    /// Use some, of so much a second. Returns whether credit begins with it.
    pub fn charge(&mut self, cost: u64, each_second: u64, now: Instant) -> bool {
        let passed = self
            .at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let paid = (passed.as_secs_f64() * each_second as f64) as u64;
        self.used = self.used.saturating_sub(paid).saturating_add(cost);
        self.at = Some(now);
        let Some(credit @ 1..) = self.used.checked_sub(each_second) else {
            return false;
        };
        let time = Duration::from_secs_f64(credit as f64 / each_second.max(1) as f64);
        self.held_until.replace(now + time).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_is_paid_back_with_time() {
        let mut budget = Budget::default();
        let now = Instant::now();
        assert!(!budget.charge(600, 1000, now));
        assert!(!budget.charge(400, 1000, now));
        assert!(budget.charge(500, 1000, now));
        // No second warning while it lasts.
        assert!(!budget.charge(500, 1000, now));
        let in_a_second = now + Duration::from_secs(1);
        assert_eq!(budget.held_until, Some(in_a_second));
        budget.held_until = None;
        assert!(!budget.charge(0, 1000, in_a_second));
        let later = in_a_second + Duration::from_secs(1);
        assert!(!budget.charge(1000, 1000, later));
        assert_eq!(budget.held_until, None);
    }
}
