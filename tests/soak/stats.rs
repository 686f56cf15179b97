//! What all clients together have counted, and found wrong.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::wire::{Finding, Wrong};

/// Findings kept in words; all are counted.
const FINDINGS: usize = 10;

#[derive(Default)]
pub struct Stats {
    pub bytes: AtomicU64,
    pub messages: AtomicU64,
    pub connections: AtomicU64,
    /// Connections that were opened while there was no code that would, and heard nothing.
    pub turned_away: AtomicU64,
    /// How often a guest said that it had lost its state, as it may when `save`
    /// has failed.
    pub losses: AtomicU64,
    wrong: [AtomicU64; 6],
    pub words: Mutex<Vec<String>>,
}

impl Stats {
    pub fn find(&self, finding: &Finding) {
        self.wrong[finding.wrong as usize].fetch_add(1, Relaxed);
        let mut words = self.words.lock().expect("no panic under the lock");
        if words.len() < FINDINGS {
            words.push(format!("{:?}: {}", finding.wrong, finding.words));
        }
    }

    pub fn count(&self, wrong: Wrong) -> u64 {
        self.wrong[wrong as usize].load(Relaxed)
    }

    /// How often something was wrong, of any kind.
    pub fn wrongs(&self) -> u64 {
        self.wrong.iter().map(|count| count.load(Relaxed)).sum()
    }
}

/// Times by their number, with an error of about three percent.
pub struct Histogram(Vec<AtomicU64>);

const STEPS: u64 = 32;

impl Default for Histogram {
    fn default() -> Self {
        Histogram((0..40 * STEPS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Histogram {
    pub fn record(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        let scale = u64::from(us.ilog2().saturating_sub(STEPS.ilog2()));
        let at = scale * STEPS + (us >> scale);
        if let Some(count) = self.0.get(at as usize).or(self.0.last()) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub fn count(&self) -> u64 {
        self.0.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// The time that this part of all is not above; 1 for the longest.
    pub fn quantile(&self, part: f64) -> Duration {
        let above = ((1.0 - part) * self.count() as f64) as u64;
        let mut seen = 0;
        for (at, count) in self.0.iter().enumerate().rev() {
            let at = at as u64;
            seen += count.load(Relaxed);
            if seen > above {
                let scale = (at / STEPS).saturating_sub(1);
                return Duration::from_micros((at - scale * STEPS) << scale);
            }
        }
        Duration::ZERO
    }
}
