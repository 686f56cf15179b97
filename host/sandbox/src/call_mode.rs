//! How an event is called: on a fiber, or directly.
//!
//! # Two modes
//! An event **on a fiber** can be interrupted at a tick and resumed later, so
//! the other connections of its thread wait no longer than one tick (1 ms). The
//! fiber costs a stack with two memory mappings and two switches an event.
//!
//! A **direct** call costs none of it: 8 % less CPU for an echo of 64 bytes, 5 %
//! at 4 KiB, 3 % at 64 KiB, 12 % for short connections, 1.4 KiB less for each
//! connection. It holds its thread until the event is over, or is found to be long.
//!
//! # Which one
//! A guest that imports what may wait (WASI, or the store where calls wait for its
//! file) is always called on fibers. Any other guest starts on fibers, *earns* direct
//! calls when its first [`PROBE`] events were all short, and *loses* them for good with
//! the first long one. An instance that is not proven (see [`crate::proof`]) is called
//! on a fiber in any case.
//!
//! A store keeps the fiber stack that it got for its first event on a fiber
//! until it is dropped (wasmtime's `StoreOpaque::flush_fiber_stack` is not
//! public). Therefore every instance has the right to a stack from the start:
//! [`crate::engine_pool`] never makes more instances than it has stacks for,
//! and no event waits for one.
//!
//! # Ticks
//! While all events are direct calls, ticks are coarse (10 ms, see
//! [`crate::epoch_ticker`]), and what is noticed is an event that meets a tick
//! and continues for another. Then the guest loses direct calls, and the other
//! tasks of the thread move to another thread, while the event runs to its end. An
//! event shorter than a coarse tick may hold its thread unnoticed, until one meets a
//! tick; its instance then has to prove itself on fibers.

use std::sync::atomic::{AtomicU32, Ordering};

/// Short events after which a guest is called directly.
const PROBE: u32 = 1000;

const EARNED: u32 = u32::MAX - 1;
const LOST: u32 = u32::MAX;

/// How an event is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallMode {
    Fiber,
    Direct,
}

/// What the events of one guest have shown so far. Shared by its instances; ask
/// [`Self::mode`] before each event, and call [`Self::was_short`] or
/// [`Self::was_long`] after it.
#[derive(Debug)]
pub struct CallHistory(AtomicU32);

impl CallHistory {
    /// For a guest that `may_wait` in what it imports, or never does.
    pub fn new(may_wait: bool) -> Self {
        CallHistory(AtomicU32::new(if may_wait { LOST } else { 0 }))
    }

    /// How the next event is called.
    pub fn mode(&self) -> CallMode {
        match self.0.load(Ordering::Relaxed) {
            EARNED => CallMode::Direct,
            _ => CallMode::Fiber,
        }
    }

    /// Whether all events have been short so far, and none can wait.
    pub fn is_short(&self) -> bool {
        self.0.load(Ordering::Relaxed) != LOST
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
    fn direct_calls_are_earned_slowly_and_lost_at_once() {
        let history = CallHistory::new(false);
        for _ in 0..PROBE {
            assert_eq!(history.mode(), CallMode::Fiber);
            history.was_short();
        }
        assert_eq!(history.mode(), CallMode::Direct);
        history.was_short();
        assert_eq!(history.mode(), CallMode::Direct);
        assert!(history.was_long());
        assert!(!history.was_long(), "lost only once");
        for _ in 0..2 * PROBE {
            history.was_short();
        }
        assert_eq!(history.mode(), CallMode::Fiber, "and for good");
    }

    #[test]
    fn a_guest_that_may_wait_is_never_called_directly() {
        let history = CallHistory::new(true);
        for _ in 0..2 * PROBE {
            history.was_short();
        }
        assert_eq!(history.mode(), CallMode::Fiber);
        assert!(!history.was_long());
    }
}
