//! What came of a soak: one line, and everything that is not as it must be.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::stats::Histogram;
use super::wire::Wrong;
use super::{Outcome, usage};

impl Outcome {
    pub fn count(&self, wrong: Wrong) -> u64 {
        self.storm.shared.stats.count(wrong)
    }

    /// Everything that is not as it must be.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = self.early.clone();
        complaints.extend(self.storm.lines());
        if self.panics > 0 {
            complaints.push(format!("{} panics of the host", self.panics));
        }
        if let Some((before, after)) = self.usage {
            complaints.extend(usage::kept(before, after));
        }
        for kind in &self.storm.without_effect {
            complaints.push(format!("attackers of the kind {kind} had no effect"));
        }
        let counts = &self.storm.counts;
        let opened = self.storm.shared.stats.connections.load(Relaxed);
        if let Some(visits) = self.plan.visits {
            let made = counts.swaps + counts.undone;
            if opened < visits.connections || made < visits.swaps {
                complaints.push(format!("only {opened} connections and {made} swaps"));
            }
            return complaints;
        }
        for (count, what) in [
            (counts.swaps, "swap"),
            (counts.refused - counts.halves, "broken file"),
            (counts.halves, "half-written file"),
            (counts.rolled_back, "rollback"),
            (counts.undone, "swap undone by itself"),
            (counts.migrations, "migration"),
            (counts.failed(), "failed migration"),
            (counts.without_state, "failed `save`"),
            (self.storm.shared.stats.bytes.load(Relaxed), "byte"),
        ] {
            if count == 0 {
                complaints.push(format!("not one {what}"));
            }
        }
        complaints
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (counts, stats) = (&self.storm.counts, &self.storm.shared.stats);
        write!(
            f,
            "soak of {} connections for {} s: {} swaps, {} refused, {} rolled back, {} undone by themselves, \
             {} migrations, {} failed migrations, {} without state, {} bytes, {} lost, {} doubled, \
             {} reordered, {} garbled, {} state gone back, {} dropped, worst pause {}",
            self.plan.connections,
            self.plan.time.as_secs(),
            counts.swaps,
            counts.refused,
            counts.rolled_back,
            counts.undone,
            counts.migrations,
            counts.failed(),
            counts.without_state,
            stats.bytes.load(Relaxed),
            self.count(Wrong::Lost),
            self.count(Wrong::Doubled),
            self.count(Wrong::Reordered),
            self.count(Wrong::Garbled),
            self.count(Wrong::StateBack),
            self.count(Wrong::Dropped),
            ms(self.storm.worst()),
        )?;
        let times =
            |time: &Histogram| format!("{} (of {})", ms(time.quantile(0.999)), time.count());
        let [_, quiet, swaps, storm] = &self.storm.shared.times;
        if !self.plan.measured.is_zero() {
            write!(
                f,
                "; 99.9th percentile: quiet {}, during swaps {}",
                times(quiet),
                times(swaps)
            )?;
        }
        write!(f, ", in all {}", times(storm))?;
        let opened = stats.connections.load(Relaxed);
        write!(f, "; {opened} connections opened")?;
        if self.plan.speakers > 0 {
            let messages = self.storm.shared.speakers.messages();
            write!(
                f,
                "; {messages} messages published to {} speakers",
                self.plan.speakers
            )?;
        }
        if self.plan.attackers > 0 {
            write!(
                f,
                "; {} attacks, {} hostile components refused or undone, {} turned away by them",
                self.storm.attacks,
                counts.hostile,
                stats.turned_away.load(Relaxed)
            )?;
        }
        if let Some((before, after)) = &self.usage {
            write!(f, "\nat the start: {before}\nat the end: {after}")?;
        }
        Ok(())
    }
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
