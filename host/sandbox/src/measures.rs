//! What is measured of a service's instances, for its metrics: how many events there
//! were of each kind, how much CPU time they took, and how long instances took to make.
//!
//! Measuring may cost an event next to nothing. Events are counted by each thread in a
//! place of its own. The CPU time of an event that was interrupted is known from its
//! ticks ([`crate::cpu_budget`]), and how long one of an unproven instance took from
//! [`crate::fairness`]. Any other is short; of those one in [`SAMPLED`] is measured, and
//! counts for as many. What is shown of all this is up to the package `hotsocket`.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::fault::Event;

/// Of the short events of proven instances, one in so many is measured.
pub const SAMPLED: u64 = 128;

/// Places for the counts of threads; of more threads, some share one.
const PLACES: usize = 16;

const fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// Upper bounds of the buckets for the CPU time of events.
const CPU_BOUNDS: &[Duration] = &[
    micros(1),
    micros(2),
    micros(5),
    micros(10),
    micros(20),
    micros(50),
    micros(100),
    micros(200),
    micros(500),
    micros(1_000),
    micros(2_000),
    micros(5_000),
    micros(10_000),
    micros(20_000),
    micros(50_000),
    micros(100_000),
    micros(200_000),
    micros(500_000),
    micros(1_000_000),
    micros(5_000_000),
];

/// Upper bounds of the buckets for the time that an instance takes to make.
const CREATE_BOUNDS: &[Duration] = &[
    micros(5),
    micros(10),
    micros(20),
    micros(50),
    micros(100),
    micros(200),
    micros(500),
    micros(1_000),
    micros(2_000),
    micros(5_000),
    micros(10_000),
    micros(50_000),
    micros(100_000),
    micros(500_000),
    micros(1_000_000),
    micros(5_000_000),
];

/// See the module's documentation. One for each service.
#[derive(Debug)]
pub struct Measures {
    events: [ThreadCounts; PLACES],
    event_cpu: Histogram,
    instance_create: Histogram,
}

/// What one thread has counted. Alone in its cache lines: processors fetch two at once.
#[derive(Debug, Default)]
#[repr(align(128))]
struct ThreadCounts([AtomicU64; Event::ALL.len()]);

impl Default for Measures {
    fn default() -> Self {
        Measures {
            events: Default::default(),
            event_cpu: Histogram::new(CPU_BOUNDS),
            instance_create: Histogram::new(CREATE_BOUNDS),
        }
    }
}

thread_local! {
    static THREAD: Thread = const {
        Thread { place: Cell::new(usize::MAX), until_sample: Cell::new(0), random: Cell::new(0) }
    };
}

struct Thread {
    /// Of this thread in [`Measures::events`]; too large before the first event.
    place: Cell<usize>,
    /// Short events until one is measured.
    until_sample: Cell<u32>,
    /// Of a xorshift generator: distances that vary never fall into step with
    /// connections that take turns.
    random: Cell<u32>,
}

impl Thread {
    /// The thread's first event.
    fn begin(&self) -> usize {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        let number = THREADS.fetch_add(1, Ordering::Relaxed);
        self.place.set(number % PLACES);
        // Never 0, where the generator would stay.
        self.random
            .set((number as u32).wrapping_mul(0x9E37_79B9) | 1);
        self.distance();
        self.until_sample.set(self.distance());
        number % PLACES
    }

    fn is_sampled(&self) -> bool {
        let left = self.until_sample.get();
        if left > 0 {
            self.until_sample.set(left - 1);
            return false;
        }
        self.until_sample.set(self.distance());
        true
    }

    /// Events between two that are measured: from 0 to twice as many as there shall be.
    fn distance(&self) -> u32 {
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        self.random.set(random);
        random % (2 * SAMPLED as u32 - 1)
    }
}

impl Measures {
    /// An event begins. Whether its CPU time is to be measured, if it is short.
    #[inline]
    pub(crate) fn begin_event(&self, event: Event) -> bool {
        THREAD.with(|thread| {
            let place = match thread.place.get() {
                usize::MAX => thread.begin(),
                place => place,
            };
            let counts = self.events.get(place);
            if let Some(count) = counts.and_then(|counts| counts.0.get(event as usize)) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            thread.is_sampled()
        })
    }

    /// So many events took so much CPU time, each.
    pub(crate) fn note_cpu_time(&self, time: Duration, events: u64) {
        self.event_cpu.record(time, events);
    }

    /// An instance was made for a connection.
    pub(crate) fn note_instance(&self, took: Duration) {
        self.instance_create.record(took, 1);
    }

    /// The functions of guests that can be called, and how often each was, also where
    /// it trapped.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Event::ALL.iter().map(|event| {
            let counts = self.events.iter();
            let counts = counts.filter_map(|counts| counts.0.get(*event as usize));
            let total = counts.map(|count| count.load(Ordering::Relaxed)).sum();
            (event.name(), total)
        })
    }

    pub fn event_cpu(&self) -> &Histogram {
        &self.event_cpu
    }

    pub fn instance_create(&self) -> &Histogram {
        &self.instance_create
    }
}

/// How many times lay in which range, and their sum.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [Duration],
    /// One more than there are bounds: those beyond the last.
    counts: Box<[AtomicU64]>,
    /// In nanoseconds.
    sum: AtomicU64,
}

impl Histogram {
    /// With these upper bounds, in ascending order.
    pub fn new(bounds: &'static [Duration]) -> Self {
        Histogram {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// A time, which stands for so many.
    pub fn record(&self, time: Duration, times: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < time);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(times, Ordering::Relaxed);
        }
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.sum
            .fetch_add(nanos.saturating_mul(times), Ordering::Relaxed);
    }

    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum.load(Ordering::Relaxed))
    }

    /// The upper bound of each bucket (`None`: there is none) and how many times lie
    /// between it and the one before.
    pub fn buckets(&self) -> Vec<(Option<Duration>, u64)> {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        let counts = self.counts.iter();
        bounds
            .zip(counts.map(|count| count.load(Ordering::Relaxed)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_below_its_bound() {
        const BOUNDS: &[Duration] = &[micros(1), micros(5)];
        let histogram = Histogram::new(BOUNDS);
        histogram.record(micros(1), 1);
        histogram.record(micros(2), 3);
        histogram.record(micros(6), 1);
        let counts: Vec<_> = histogram.buckets().iter().map(|bucket| bucket.1).collect();
        assert_eq!(counts, [1, 3, 1]);
        assert_eq!(histogram.sum(), micros(13));
    }

    #[test]
    fn events_are_counted_by_all_threads_and_sampled_as_rarely_as_they_count() {
        let measures = Measures::default();
        const EVENTS: u64 = 100_000;
        let sampled: u64 = std::thread::scope(|scope| {
            let count = || {
                (0..EVENTS)
                    .map(|_| u64::from(measures.begin_event(Event::Data)))
                    .sum::<u64>()
            };
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(count)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("it ends"))
                .sum()
        });
        let data = measures.events().find(|(name, _)| *name == "data");
        assert_eq!(data, Some(("data", 3 * EVENTS)));
        let expected = 3 * EVENTS / SAMPLED;
        assert!(
            (expected * 9 / 10..expected * 11 / 10).contains(&sampled),
            "{sampled} of about {expected}"
        );
    }
}
