//! Whether an instance is *proven*: whether its events have been short.
//!
//! The events of a proven instance begin at once, and aren't measured. Those of
//! others need a start (see [`crate::fairness`]), so that many of them don't hold a
//! thread together. At first all instances of a guest count as proven; from its first
//! long event on, and if it can wait, each instance proves itself, as good and bad
//! connections are served by the same guest.

use std::time::Duration;

/// Short events in a row after which an instance is proven. Twice as many, up to
/// [`PROVEN_LATE`], each time that it is not any more.
const PROVEN_AFTER: u16 = 16;
const PROVEN_LATE: u16 = 1024;
/// An event of an unproven instance is short if it takes no longer.
const SHORT_EVENT: Duration = Duration::from_micros(100);
/// An event of a proven instance that meets a tick may do so by chance. It weighs as
/// much as so many that don't…
const TICK_WEIGHT: u8 = 8;
/// …and at so much weight the instance is not proven any more: after three such events
/// in a row, and never if fewer than one in nine meets a tick.
const MAX_WEIGHT: u8 = 3 * TICK_WEIGHT;

/// How many ticks an event has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ticks {
    None,
    One,
    /// It was long, for certain.
    Many,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Proof {
    /// Short events in a row, up to as many as it takes.
    short_events: u16,
    /// How many it takes.
    proven_after: u16,
    /// Of the ticks that its events have met lately.
    tick_weight: u8,
}

impl Default for Proof {
    fn default() -> Self {
        Proof::new(false)
    }
}

impl Proof {
    /// `is_proven` if the events of other instances have all been short.
    pub fn new(is_proven: bool) -> Self {
        Proof {
            short_events: if is_proven { PROVEN_AFTER } else { 0 },
            proven_after: PROVEN_AFTER,
            tick_weight: 0,
        }
    }

    pub fn is_proven(&self) -> bool {
        self.short_events >= self.proven_after
    }

    /// It has to prove itself again.
    pub fn withdraw(&mut self) {
        if self.is_proven() {
            self.proven_after = self.proven_after.saturating_mul(2).min(PROVEN_LATE);
        }
        self.short_events = 0;
        self.tick_weight = 0;
    }

    /// An event is over. That of an unproven instance was measured to have taken so
    /// long.
    pub fn record(&mut self, ticks: Ticks, took: Duration) {
        if !self.is_proven() {
            self.short_events = match ticks != Ticks::Many && took <= SHORT_EVENT {
                true => self.short_events + 1,
                false => 0,
            };
            return;
        }
        match ticks {
            Ticks::None => self.tick_weight = self.tick_weight.saturating_sub(1),
            Ticks::One => self.tick_weight += TICK_WEIGHT,
            Ticks::Many => self.tick_weight = MAX_WEIGHT,
        }
        if self.tick_weight >= MAX_WEIGHT {
            self.withdraw();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(5);

    /// How many short events it takes.
    fn prove(proof: &mut Proof) -> u16 {
        let proven = (1..).find(|_| {
            proof.record(Ticks::None, QUICK);
            proof.is_proven()
        });
        proven.expect("some number")
    }

    #[test]
    fn short_events_prove_it_and_more_each_time() {
        let mut proof = Proof::new(false);
        assert!(!proof.is_proven());
        for events in [16, 32, 64, 128, 256, 512, 1024, 1024] {
            assert_eq!(prove(&mut proof), events);
            proof.withdraw();
            proof.withdraw();
        }
    }

    #[test]
    fn events_that_took_long_prove_nothing() {
        let mut proof = Proof::new(false);
        for _ in 0..100 {
            proof.record(Ticks::None, 2 * SHORT_EVENT);
            proof.record(Ticks::Many, QUICK);
        }
        assert!(!proof.is_proven());
    }

    #[test]
    fn a_tick_by_chance_is_forgiven_and_three_in_a_row_are_not() {
        let mut proof = Proof::new(true);
        for _ in 0..100 {
            proof.record(Ticks::One, QUICK);
            (0..TICK_WEIGHT).for_each(|_| proof.record(Ticks::None, QUICK));
            assert!(proof.is_proven());
        }
        (0..3).for_each(|_| proof.record(Ticks::One, QUICK));
        assert!(!proof.is_proven());
    }

    #[test]
    fn one_long_event_ends_it() {
        let mut proof = Proof::new(true);
        proof.record(Ticks::Many, QUICK);
        assert!(!proof.is_proven());
    }
}
