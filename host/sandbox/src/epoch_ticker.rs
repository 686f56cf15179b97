//! Interrupts events: a thread that advances an engine's epoch every tick.
//!
//! Every tick wakes a processor that may have nothing else to do. So ticks are
//! *fine*, 1 ms apart, only while events come that are not known to be short,
//! and for a second after them; *coarse* while all events have been short (see
//! [`crate::call_mode`]); and *resting* when there are none. They never stop: an
//! event that meets a tick gets the next ones soon, and one that has been in a
//! single host function or instruction (`memory.fill`) all the time still meets
//! the next, if it goes on: a tick is met where a function or a round of a loop begins.
//! That one has passed unmet, [`EpochTicker::ticks`] shows.
//!
//! Where the kernel allows it the thread has a real-time priority: behind events that
//! compute, a tick on a shared processor would else come some milliseconds late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::Engine;

use crate::cpu_budget::TICK;
use crate::priority::raise_priority;

/// How long a rate lasts after the last request for it…
const RATE_LASTS: Duration = Duration::from_secs(1);
/// …and a fine one after a short event that met a tick, mostly by chance.
const SOON_LASTS: Duration = Duration::from_millis(5);
/// Between two coarse ticks…
const COARSE: Duration = Duration::from_millis(10);
/// …and between two when there are no events.
const RESTING: Duration = Duration::from_millis(100);

/// How soon an event must meet a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TickRate {
    /// An event of a guest whose events have all been short.
    Coarse = 1,
    /// Such an event that has met a tick.
    Soon = 2,
    /// An event that may be long.
    Fine = 3,
}

const RESTING_RATE: u8 = 0;

/// Ticks until dropped.
pub struct EpochTicker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// The finest rate that was requested since the last tick.
    requested: AtomicU8,
    /// The rate of the pause in progress, if a request could end it.
    rate: AtomicU8,
    ticks: AtomicU64,
    stop: AtomicBool,
}

/// The pauses between ticks, and how long a rate lasts.
#[derive(Clone, Copy)]
struct Pauses {
    fine: Duration,
    coarse: Duration,
    resting: Duration,
    soon_lasts: Duration,
    rate_lasts: Duration,
}

impl Pauses {
    fn at(&self, rate: u8) -> (Duration, Duration) {
        const COARSE: u8 = TickRate::Coarse as u8;
        const SOON: u8 = TickRate::Soon as u8;
        match rate {
            RESTING_RATE => (self.resting, self.rate_lasts),
            COARSE => (self.coarse, self.rate_lasts),
            SOON => (self.fine, self.soon_lasts),
            _ => (self.fine, self.rate_lasts),
        }
    }
}

impl EpochTicker {
    /// # Errors
    /// When the system refuses one more thread.
    pub fn start(engine: &Engine) -> std::io::Result<Self> {
        let engine = engine.clone();
        let pauses = Pauses {
            fine: TICK,
            coarse: COARSE,
            resting: RESTING,
            soon_lasts: SOON_LASTS,
            rate_lasts: RATE_LASTS,
        };
        Self::run(pauses, move || engine.increment_epoch())
    }

    fn run(pauses: Pauses, mut advance: impl FnMut() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            requested: AtomicU8::new(RESTING_RATE),
            rate: AtomicU8::new(TickRate::Fine as u8),
            ticks: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let ticking = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || {
                if !raise_priority() {
                    tracing::debug!("ticks have no real-time priority: the kernel refuses it");
                }
                ticking.run(pauses, &mut advance);
            })?;
        Ok(EpochTicker {
            shared,
            thread: Some(thread),
        })
    }

    /// How often it has ticked.
    #[inline]
    pub fn ticks(&self) -> u64 {
        self.shared.ticks.load(Ordering::Relaxed)
    }

    /// Call it when an event begins or resumes.
    #[inline]
    pub fn request(&self, rate: TickRate) {
        // So already, but for the first event of a tick.
        if self.shared.requested.load(Ordering::Relaxed) < rate as u8 {
            self.raise(rate as u8);
        }
    }

    #[cold]
    fn raise(&self, rate: u8) {
        // Sequentially consistent with the ticker's own two accesses: either it
        // sees the request before it pauses, or this sees that it pauses.
        self.shared.requested.fetch_max(rate, Ordering::SeqCst);
        if self.shared.rate.load(Ordering::SeqCst) < rate {
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
    fn run(&self, pauses: Pauses, advance: &mut dyn FnMut()) {
        let (mut rate, mut since) = (TickRate::Fine as u8, Duration::ZERO);
        while !self.stop.load(Ordering::SeqCst) {
            let (pause, lasts) = pauses.at(rate);
            if rate >= TickRate::Soon as u8 {
                thread::sleep(pause);
            } else {
                let requested = self.pause(rate, pause);
                if requested > rate {
                    // The event that has just begun has a whole tick before it.
                    (rate, since) = (requested, Duration::ZERO);
                    continue;
                }
            }
            let requested = self.requested.swap(RESTING_RATE, Ordering::SeqCst);
            since += pause;
            if requested >= rate || since >= lasts {
                (rate, since) = (requested, Duration::ZERO);
            }
            advance();
            self.ticks.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the requested rate, early if it is a finer one.
    fn pause(&self, rate: u8, at_most: Duration) -> u8 {
        self.rate.store(rate, Ordering::SeqCst);
        if self.requested.load(Ordering::SeqCst) <= rate && !self.stop.load(Ordering::SeqCst) {
            thread::park_timeout(at_most);
        }
        self.rate.store(TickRate::Fine as u8, Ordering::SeqCst);
        self.requested.load(Ordering::SeqCst)
    }
}

impl Drop for EpochTicker {
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
        ticker: EpochTicker,
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
                soon_lasts: 2 * SHORT,
                rate_lasts: 10 * SHORT,
            };
            let advance = move || {
                counter.fetch_add(1, Ordering::SeqCst);
            };
            let ticker = EpochTicker::run(pauses, advance).unwrap();
            Counted { ticker, ticks }
        }

        fn until_paused_at(&self, rate: u8) {
            until("a pause", || {
                self.ticker.shared.rate.load(Ordering::SeqCst) == rate
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
        for what in [TickRate::Fine, TickRate::Coarse, TickRate::Fine] {
            counted.until_paused_at(RESTING_RATE);
            counted.ticks_after(|| counted.ticker.request(what));
        }
    }

    #[test]
    fn short_events_leave_it_coarse_and_a_long_one_makes_it_fine() {
        let counted = Counted::start(NEVER, NEVER);
        for long in [TickRate::Soon, TickRate::Fine, TickRate::Soon] {
            counted.until_paused_at(RESTING_RATE);
            counted.ticker.request(TickRate::Coarse);
            counted.until_paused_at(TickRate::Coarse as u8);
            let before = counted.ticks.load(Ordering::SeqCst);
            for _ in 0..5 {
                counted.ticker.request(TickRate::Coarse);
                thread::sleep(SHORT);
            }
            // One may be left from when it was woken.
            assert!(counted.ticks.load(Ordering::SeqCst) <= before + 1);
            counted.until_paused_at(TickRate::Coarse as u8);
            counted.ticks_after(|| counted.ticker.request(long));
        }
    }

    #[test]
    fn it_ticks_on_slowly_while_it_rests() {
        let counted = Counted::start(SHORT, SHORT);
        counted.until_paused_at(RESTING_RATE);
        counted.ticks_after(|| ());
    }

    #[test]
    fn it_ends_while_it_pauses() {
        let counted = Counted::start(NEVER, NEVER);
        counted.until_paused_at(RESTING_RATE);
        drop(counted);
    }
}
