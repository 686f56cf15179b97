//! A session gives way by the time that it has used on its thread.
//!
//! One event gives way at a tick, in the sandbox. Many short ones, which come
//! without a pause (timers that are due, bytes that were sent one by one), would
//! together hold the thread for as long as they last. So the session looks at the
//! clock from its second event on, and only then: most sessions wait again after
//! the first.

use std::time::{Duration, Instant};

use super::state::{Body, Session};

/// How long the events after the first may take together: half a tick.
const SLICE: Duration = Duration::from_micros(500);

/// Since a session last waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pace {
    /// It has had no event.
    #[default]
    Rested,
    /// It has had one.
    First,
    /// The second event began then.
    Since(Instant),
}

impl Pace {
    /// An event begins.
    pub fn begin_event(&mut self) {
        *self = match self {
            Pace::Rested => Pace::First,
            Pace::First => Pace::Since(Instant::now()),
            Pace::Since(since) => Pace::Since(*since),
        };
    }

    /// The session waits.
    pub fn rest(&mut self) {
        *self = Pace::Rested;
    }

    fn is_used_up(self) -> bool {
        matches!(self, Pace::Since(since) if since.elapsed() > SLICE)
    }
}

impl Session {
    /// Let others run if this session has held its thread for long enough.
    pub async fn give_way(&mut self) {
        if !self.pace.is_used_up() {
            return;
        }
        if let Body::Awake(instance) = &mut self.body {
            instance.withdraw_proof();
        }
        self.let_others_run().await;
    }

    /// Everything else that is ready runs.
    pub async fn let_others_run(&mut self) {
        hotsocket_sandbox::let_others_run().await;
        self.pace.rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_costs_no_clock_and_many_use_up_the_slice() {
        let mut pace = Pace::default();
        pace.begin_event();
        assert_eq!(pace, Pace::First);
        assert!(!pace.is_used_up());
        pace.rest();
        pace.begin_event();
        pace.begin_event();
        let Pace::Since(since) = pace else {
            panic!("{pace:?}")
        };
        pace.begin_event();
        assert_eq!(pace, Pace::Since(since), "the first two count");
        let long_ago = since.checked_sub(2 * SLICE).expect("a clock that runs");
        assert!(Pace::Since(long_ago).is_used_up());
    }
}
