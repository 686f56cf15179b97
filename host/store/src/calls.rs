//! How the instances of a generation may be called: on a fiber, or directly.
//!
//! An event on a fiber can be interrupted at a tick and go on later, so that
//! its neighbours on the thread wait no longer than that; the fiber costs a
//! stack, two memory mappings and two switches for each event. A direct call
//! costs none of it, and holds its thread until the event has ended or used up
//! its budget.
//!
//! So a generation starts on fibers, *earns* direct calls with its first
//! [`PROBE`] events if all of them were short, and *loses* them for good with
//! the first long one: a hostile loop stalls a thread by one CPU budget once.
//! A generation that imports WASI may wait in it, and never earns them.
//!
//! While all events are such direct calls, ticks are coarse (see
//! [`super::clock`]). So what is noticed is an event that meets a tick and goes
//! on for another: one shorter than a coarse tick may hold its thread unseen,
//! and its budget is exceeded by as much.

use std::sync::atomic::{AtomicU32, Ordering};

/// Short events after which a generation is called directly. An instance has
/// at least two, so fewer instances than this ever get a fiber stack if all
/// goes well.
const PROBE: u32 = 1000;

const EARNED: u32 = u32::MAX - 1;
const LOST: u32 = u32::MAX;

/// What the events of one generation have shown so far.
#[derive(Debug)]
pub struct Calls(AtomicU32);

impl Calls {
    /// For code that `waits` in what it imports, or does not.
    pub fn new(waits: bool) -> Self {
        Calls(AtomicU32::new(if waits { LOST } else { 0 }))
    }

    /// Whether an event may run without a fiber.
    pub fn are_direct(&self) -> bool {
        self.0.load(Ordering::Relaxed) == EARNED
    }

    /// An event has ended within a tick or two.
    pub fn was_short(&self) {
        let next = |count| match count {
            EARNED | LOST => None,
            count if count + 1 >= PROBE => Some(EARNED),
            count => Some(count + 1),
        };
        if self.0.load(Ordering::Relaxed) < EARNED {
            let _ = self
                .0
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        }
    }

    /// An event took longer. True for the first one that did.
    pub fn was_long(&self) -> bool {
        self.0.load(Ordering::Relaxed) != LOST && self.0.swap(LOST, Ordering::Relaxed) != LOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earned_slowly_and_lost_at_once() {
        let calls = Calls::new(false);
        for _ in 0..PROBE {
            assert!(!calls.are_direct());
            calls.was_short();
        }
        assert!(calls.are_direct());
        calls.was_short();
        assert!(calls.are_direct());
        assert!(calls.was_long());
        assert!(!calls.was_long(), "lost only once");
        for _ in 0..2 * PROBE {
            calls.was_short();
        }
        assert!(!calls.are_direct(), "and for good");
    }

    #[test]
    fn code_that_may_wait_never_earns_them() {
        let calls = Calls::new(true);
        for _ in 0..2 * PROBE {
            calls.was_short();
        }
        assert!(!calls.are_direct());
        assert!(!calls.was_long());
    }
}
