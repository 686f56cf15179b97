//! The clock that interrupts events: it advances an engine's epoch every tick.
//!
//! Every tick wakes a processor that may have nothing else to do. So the clock
//! is *fine*, a tick of 1 ms, only while events come that are not known to be
//! short, and for a second after them; *coarse* while all that come have been
//! (see [`super::calls`]); and it *rests* when there are none. It never stands
//! still: an event that meets a tick has the next ones soon, and one that has
//! been in a single host function or instruction (`memory.fill`) all the time
//! still meets the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::Engine;

use super::meter::TICK;

/// How long the clock stays at a pace that nothing asks for any more…
const WAKEFUL: Duration = Duration::from_secs(1);
/// …and fine for an event that met a tick, which is mostly by chance.
const CURIOUS: Duration = Duration::from_millis(5);
/// Between two ticks when it is coarse…
const COARSE: Duration = Duration::from_millis(10);
/// …and when it rests.
const RESTING: Duration = Duration::from_millis(100);

/// Who wants the clock to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    /// An event of a generation whose events have been short.
    Coarse = 1,
    /// One of them that has met a tick.
    Soon = 2,
    /// An event that may be long.
    Fine = 3,
}

const NOBODY: u8 = 0;

/// Runs until dropped.
pub struct Clock {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// The finest that was wanted since the last tick.
    wanted: AtomicU8,
    /// The pace of the pause under way, if an event could want a finer one.
    pace: AtomicU8,
    stop: AtomicBool,
}

/// The pauses between ticks, and how long a pace lasts.
#[derive(Clone, Copy)]
struct Pauses {
    fine: Duration,
    coarse: Duration,
    resting: Duration,
    curious: Duration,
    wakeful: Duration,
}

impl Pauses {
    fn at(&self, pace: u8) -> (Duration, Duration) {
        const COARSE: u8 = Want::Coarse as u8;
        const SOON: u8 = Want::Soon as u8;
        match pace {
            NOBODY => (self.resting, self.wakeful),
            COARSE => (self.coarse, self.wakeful),
            SOON => (self.fine, self.curious),
            _ => (self.fine, self.wakeful),
        }
    }
}

impl Clock {
    /// # Errors
    /// When the system refuses one more thread.
    pub fn start(engine: &Engine) -> std::io::Result<Self> {
        let engine = engine.clone();
        let pauses = Pauses {
            fine: TICK,
            coarse: COARSE,
            resting: RESTING,
            curious: CURIOUS,
            wakeful: WAKEFUL,
        };
        Self::run(pauses, move || engine.increment_epoch())
    }

    fn run(pauses: Pauses, mut advance: impl FnMut() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            wanted: AtomicU8::new(NOBODY),
            pace: AtomicU8::new(Want::Fine as u8),
            stop: AtomicBool::new(false),
        });
        let hands = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || hands.go_round(pauses, &mut advance))?;
        Ok(Clock {
            shared,
            thread: Some(thread),
        })
    }

    /// Call it when an event begins or goes on.
    #[inline]
    pub fn want(&self, what: Want) {
        // So already, but for the first event of a tick.
        if self.shared.wanted.load(Ordering::Relaxed) < what as u8 {
            self.ask(what as u8);
        }
    }

    #[cold]
    fn ask(&self, pace: u8) {
        // In one order with the clock's own two, so that either the clock sees
        // what is wanted before it pauses, or this sees that it does.
        self.shared.wanted.fetch_max(pace, Ordering::SeqCst);
        if self.shared.pace.load(Ordering::SeqCst) < pace {
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
    fn go_round(&self, pauses: Pauses, advance: &mut dyn FnMut()) {
        let (mut pace, mut since) = (Want::Fine as u8, Duration::ZERO);
        while !self.stop.load(Ordering::SeqCst) {
            let (pause, lasts) = pauses.at(pace);
            if pace >= Want::Soon as u8 {
                thread::sleep(pause);
            } else {
                let wanted = self.pause(pace, pause);
                if wanted > pace {
                    // The event that has just begun has a whole tick before it.
                    (pace, since) = (wanted, Duration::ZERO);
                    continue;
                }
            }
            let wanted = self.wanted.swap(NOBODY, Ordering::SeqCst);
            since += pause;
            if wanted >= pace || since >= lasts {
                (pace, since) = (wanted, Duration::ZERO);
            }
            advance();
        }
    }

    /// Returns what is wanted, early if that is a finer pace.
    fn pause(&self, pace: u8, at_most: Duration) -> u8 {
        self.pace.store(pace, Ordering::SeqCst);
        if self.wanted.load(Ordering::SeqCst) <= pace && !self.stop.load(Ordering::SeqCst) {
            thread::park_timeout(at_most);
        }
        self.pace.store(Want::Fine as u8, Ordering::SeqCst);
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
    /// So long that only an event, or the end, can have ended a pause.
    const NEVER: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(1);

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

    struct Counted {
        clock: Clock,
        ticks: Arc<AtomicU64>,
    }

    impl Counted {
        fn start(coarse: Duration, resting: Duration) -> Self {
            let ticks = Arc::<AtomicU64>::default();
            let counter = Arc::clone(&ticks);
            let pauses = Pauses {
                fine: SHORT,
                coarse,
                resting,
                curious: 2 * SHORT,
                wakeful: 10 * SHORT,
            };
            let advance = move || {
                counter.fetch_add(1, Ordering::SeqCst);
            };
            let clock = Clock::run(pauses, advance).unwrap();
            Counted { clock, ticks }
        }

        fn until_paused_at(&self, pace: u8) {
            until("a pause", || {
                self.clock.shared.pace.load(Ordering::SeqCst) == pace
            });
        }

        /// Do something in a pause that ends for nothing else; a tick follows.
        fn ticks_after(&self, what: impl FnOnce()) {
            let before = self.ticks.load(Ordering::SeqCst);
            what();
            until("a tick", || self.ticks.load(Ordering::SeqCst) > before);
        }
    }

    #[test]
    fn it_rests_when_quiet_and_an_event_wakes_it() {
        let counted = Counted::start(SHORT, NEVER);
        for what in [Want::Fine, Want::Coarse, Want::Fine] {
            counted.until_paused_at(NOBODY);
            counted.ticks_after(|| counted.clock.want(what));
        }
    }

    #[test]
    fn short_events_leave_it_coarse_and_a_long_one_makes_it_fine() {
        let counted = Counted::start(NEVER, NEVER);
        for long in [Want::Soon, Want::Fine, Want::Soon] {
            counted.until_paused_at(NOBODY);
            counted.clock.want(Want::Coarse);
            counted.until_paused_at(Want::Coarse as u8);
            let before = counted.ticks.load(Ordering::SeqCst);
            for _ in 0..5 {
                counted.clock.want(Want::Coarse);
                thread::sleep(SHORT);
            }
            // One may be left from when it was woken.
            assert!(counted.ticks.load(Ordering::SeqCst) <= before + 1);
            counted.until_paused_at(Want::Coarse as u8);
            counted.ticks_after(|| counted.clock.want(long));
        }
    }

    #[test]
    fn it_ticks_on_slowly_while_it_rests() {
        let counted = Counted::start(SHORT, SHORT);
        counted.until_paused_at(NOBODY);
        counted.ticks_after(|| ());
    }

    #[test]
    fn it_ends_while_it_pauses() {
        let counted = Counted::start(NEVER, NEVER);
        counted.until_paused_at(NOBODY);
        drop(counted);
    }
}
