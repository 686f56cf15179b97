//! The clock that interrupts events: it advances an engine's epoch every tick.
//!
//! A server that has nothing to do shall cost nothing, so the clock slows down
//! when no event has begun or gone on for a while. It never stands still: an
//! event that has been in one host function or one instruction all the time
//! (`memory.fill`) still meets its next tick.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::Engine;

use super::meter::TICK;

/// Ticks without an event after which the clock rests.
const WAKEFUL: u32 = 1000;
/// Between two ticks while it rests.
const RESTING: Duration = Duration::from_millis(100);

/// Runs until dropped.
pub struct Clock {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// An event has begun or gone on since the last tick.
    wanted: AtomicBool,
    resting: AtomicBool,
    stop: AtomicBool,
}

impl Clock {
    /// # Errors
    /// When the system refuses one more thread.
    pub fn start(engine: &Engine) -> std::io::Result<Self> {
        let engine = engine.clone();
        Self::run(WAKEFUL, RESTING, move || engine.increment_epoch())
    }

    fn run(
        wakeful: u32,
        resting: Duration,
        mut advance: impl FnMut() + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let hands = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || hands.go_round(wakeful, resting, &mut advance))?;
        Ok(Clock {
            shared,
            thread: Some(thread),
        })
    }

    /// Call it when an event begins or goes on.
    #[inline]
    pub fn want(&self) {
        // True already but for the first event of a tick.
        if !self.shared.wanted.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        // All four in one order, so that either the clock sees that it is
        // wanted before it rests, or this sees that it does.
        self.shared.wanted.store(true, Ordering::SeqCst);
        if self.shared.resting.load(Ordering::SeqCst) {
            self.unpark();
        }
    }

    fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Shared {
    fn go_round(&self, wakeful: u32, resting: Duration, advance: &mut dyn FnMut()) {
        let mut quiet = 0;
        while !self.stop.load(Ordering::SeqCst) {
            if quiet < wakeful {
                thread::sleep(TICK);
                quiet = match self.wanted.swap(false, Ordering::Relaxed) {
                    true => 0,
                    false => quiet + 1,
                };
            } else if self.rest(resting) {
                // The event that has just begun has a whole tick before it.
                quiet = 0;
                continue;
            }
            advance();
        }
    }

    /// True when it was ended by an event.
    fn rest(&self, at_most: Duration) -> bool {
        self.resting.store(true, Ordering::SeqCst);
        if !self.wanted.load(Ordering::SeqCst) && !self.stop.load(Ordering::SeqCst) {
            thread::park_timeout(at_most);
        }
        self.resting.store(false, Ordering::SeqCst);
        self.wanted.load(Ordering::SeqCst)
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.unpark();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::Instant;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(30);
    /// So long that only an event, or the end, can have ended a rest.
    const NEVER: Duration = Duration::from_secs(3600);

    fn until(what: &str, condition: impl Fn() -> bool) {
        let began = Instant::now();
        while !condition() {
            assert!(
                began.elapsed() < DEADLINE,
                "not within {DEADLINE:?}: {what}"
            );
            thread::yield_now();
        }
    }

    fn counted(resting: Duration) -> (Clock, Arc<AtomicU64>) {
        let ticks = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&ticks);
        let advance = move || {
            counter.fetch_add(1, Ordering::SeqCst);
        };
        (Clock::run(10, resting, advance).unwrap(), ticks)
    }

    #[test]
    fn it_rests_when_quiet_and_an_event_wakes_it() {
        let (clock, ticks) = counted(NEVER);
        for _ in 0..3 {
            until("a rest", || clock.shared.resting.load(Ordering::SeqCst));
            let before = ticks.load(Ordering::SeqCst);
            clock.want();
            until("a tick", || ticks.load(Ordering::SeqCst) > before);
        }
    }

    #[test]
    fn it_ticks_on_slowly_while_it_rests() {
        let (clock, ticks) = counted(Duration::from_millis(1));
        until("a rest", || clock.shared.resting.load(Ordering::SeqCst));
        let before = ticks.load(Ordering::SeqCst);
        until("a tick", || ticks.load(Ordering::SeqCst) > before);
    }

    #[test]
    fn it_ends_while_it_rests() {
        let (clock, _) = counted(NEVER);
        until("a rest", || clock.shared.resting.load(Ordering::SeqCst));
        drop(clock);
    }
}
