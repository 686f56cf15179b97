//! The counts of a measurement: requests, bytes, and a histogram of latencies.
//!
//! The histogram's buckets are at most an eighth of a power of two wide, so a
//! quantile is at most 12 percent too large, and memory is bounded.

use std::time::Duration;

use serde_json::{Value, json};

const PER_POWER: u64 = 8;
const CLASSES: usize = 64 * PER_POWER as usize;

pub struct Stats {
    requests: u64,
    bytes: u64,
    pub elapsed: Duration,
    longest: Duration,
    classes: Vec<u64>,
}

impl Stats {
    pub fn new() -> Self {
        Stats {
            requests: 0,
            bytes: 0,
            elapsed: Duration::ZERO,
            longest: Duration::ZERO,
            classes: vec![0; CLASSES],
        }
    }

    /// A request of so many bytes has had its whole reply after this time.
    pub fn count(&mut self, bytes: usize, waited: Duration) {
        self.requests += 1;
        self.bytes += bytes as u64;
        self.longest = self.longest.max(waited);
        let nanos = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        if let Some(class) = self.classes.get_mut(class(nanos)) {
            *class += 1;
        }
    }

    /// Those of another client. The time is the caller's.
    pub fn add(&mut self, other: &Stats) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.longest = self.longest.max(other.longest);
        for (count, others) in self.classes.iter_mut().zip(&other.classes) {
            *count += others;
        }
    }

    /// The time that this share of the requests did not exceed.
    fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.requests as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.classes.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper(index)).min(self.longest);
            }
        }
        self.longest
    }

    /// As the runner reads it; times in microseconds.
    pub fn json(&self) -> Value {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        json!({
            "requests": self.requests,
            "bytes": self.bytes,
            "seconds": self.elapsed.as_secs_f64(),
            "p50": micros(self.quantile(0.5)),
            "p99": micros(self.quantile(0.99)),
            "p999": micros(self.quantile(0.999)),
            "max": micros(self.longest),
        })
    }
}

fn class(nanos: u64) -> usize {
    let nanos = nanos.max(PER_POWER);
    let power = u64::from(nanos.ilog2());
    let within = (nanos >> (power - 3)) - PER_POWER;
    ((power - 3) * PER_POWER + within) as usize
}

/// The first number above a class.
fn upper(class: usize) -> u64 {
    let class = class as u64;
    let (power, within) = (class / PER_POWER, class % PER_POWER);
    (PER_POWER + within + 1)
        .checked_shl(power as u32)
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near_the_truth() {
        let mut stats = Stats::new();
        for micros in 1..=1000 {
            stats.count(1, Duration::from_micros(micros));
        }
        for (share, truth) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0)] {
            let shown = stats.quantile(share).as_secs_f64() * 1e6;
            assert!((truth..=truth * 1.13).contains(&shown), "{share}: {shown}");
        }
    }

    #[test]
    fn every_time_has_a_class_that_ends_above_it() {
        for nanos in [0, 1, 8, 9, 15, 16, 17, 1000, 123_456_789, u64::MAX / 2] {
            assert!(upper(class(nanos)) > nanos, "{nanos}");
        }
    }
}
