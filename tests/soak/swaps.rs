//! The other side of the soak: swaps of every kind, one after the other.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use hotsocket::registry::{Outcome, Report};
use hotsocket::rollout::Policy;

use super::Plan;
use super::components::{self, Flaw};
use super::random::Random;
use super::server::TestServer;
use super::shared::Shared;

/// For what must happen, and does so at once unless the machine is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Good components that differ.
pub const VARIANTS: u32 = 6;

/// What became of the swaps.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub swaps: u64,
    pub refused: u64,
    /// Of these, files that the watcher found half-written.
    pub halves: u64,
    pub rolled_back: u64,
    pub undone: u64,
    /// Answers that spoke of connections without a snapshot.
    pub without_state: u64,
    pub migrations: u64,
    /// Hostile components that were refused or undone; each of them was.
    pub hostile: u64,
    /// By generation: connections that failed on it.
    failed: BTreeMap<u64, usize>,
}

impl Counts {
    pub fn failed(&self) -> u64 {
        self.failed.values().map(|failed| *failed as u64).sum()
    }
}

/// Swaps a server's guests.
pub struct Swapper<'a> {
    server: &'a TestServer,
    shared: &'a Shared,
    connections: u32,
    random: Random,
    serial: u32,
    /// Hostile components are offered as well.
    attacks: bool,
    pub counts: Counts,
}

impl<'a> Swapper<'a> {
    pub fn new(server: &'a TestServer, shared: &'a Shared, plan: &Plan) -> Self {
        let (connections, attacks) = (plan.connections, plan.attackers > 0);
        Swapper {
            server,
            shared,
            connections,
            random: Random::new(u64::from(connections)),
            serial: 0,
            attacks,
            counts: Counts::default(),
        }
    }

    /// Good code over good code.
    pub fn good(&mut self) {
        self.swap_with(Policy::Migrate);
    }

    /// Code that the server has never seen.
    pub fn new_code(&mut self, number: u32) {
        let answer = self
            .server
            .swap(components::good(1000 + number), Policy::Migrate);
        self.note(answer);
    }

    fn swap_with(&mut self, policy: Policy) {
        // Few enough to be known again, and never twice the same in a row.
        self.serial = self.serial % VARIANTS + 1;
        let answer = self.server.swap(components::good(self.serial), policy);
        self.note(answer);
    }

    /// Each kind of trouble once, in random order.
    pub fn round(&mut self, is_over: impl Fn() -> bool) {
        let mut steps: Vec<fn(&mut Self)> = vec![
            Self::broken,
            Self::half_written,
            Self::some_will_not_open,
            Self::none_will_open,
            Self::some_die_at_once,
            Self::all_die_at_once,
            Self::save_fails,
            Self::roll_back_twice,
            Self::two_at_once,
            Self::beside_each_other,
        ];
        if self.attacks {
            steps.extend([Self::hostile, Self::close_fails] as [fn(&mut Self); 2]);
        }
        while !steps.is_empty() && !is_over() {
            let step = steps.swap_remove(self.random.below(steps.len() as u32) as usize);
            step(self);
            for _ in 0..self.random.below(4) {
                self.good();
            }
            self.look_back();
        }
    }

    /// What is no guest.
    fn broken(&mut self) {
        let mut junk = components::good(90);
        let cut = 8 + self.random.below(junk.len() as u32 - 8) as usize;
        match self.random.below(3) {
            0 => junk.truncate(cut),
            1 => junk[8..].fill(0xff),
            _ => junk = b"\0asm\x01\0\0\0".to_vec(),
        }
        let answer = self.server.swap(junk, Policy::Migrate);
        self.note(answer);
    }

    /// The watched file, first one half of it, then all.
    fn half_written(&mut self) {
        let generation = self.latest();
        let guest = components::good(100 + (generation % 4) as u32);
        let half = guest.len() / 2;
        let halves = self.server.log.halves.load(Relaxed);
        let write = || -> std::io::Result<()> {
            let mut file = File::create(self.server.file())?;
            file.write_all(&guest[..half])?;
            self.wait("the watcher to find half a file", || {
                self.server.log.halves.load(Relaxed) > halves
            });
            file.write_all(&guest[half..])
        };
        write().expect("writable");
        self.wait("the watcher to swap", || self.latest() > generation);
        self.counts.refused += 1;
        self.counts.halves += 1;
        self.counts.swaps += 1;
        // The number of the next swap that is answered tells that this one is
        // through, as there is one at a time.
        self.good();
        let migrated = self
            .record(generation + 1)
            .map_or(0, |(migrated, ..)| migrated);
        self.counts.migrations += migrated as u64;
    }

    fn some_will_not_open(&mut self) {
        let flaw =
            [Flaw::OpenFails, Flaw::OpenTraps, Flaw::OpenLoops][self.random.below(3) as usize];
        let every = self.connections / if flaw == Flaw::OpenLoops { 4 } else { 12 };
        let answer = self
            .server
            .swap(components::bad(flaw, every, 0), Policy::Migrate);
        self.note(answer);
    }

    fn none_will_open(&mut self) {
        let answer = self
            .server
            .swap(components::bad(Flaw::OpenTraps, 1, 0), Policy::Migrate);
        let Some(report) = self.note(answer) else {
            panic!("refused before any connection failed")
        };
        assert_eq!(report.outcome, Outcome::Undone, "{report:?}");
    }

    fn some_die_at_once(&mut self) {
        let every = self.connections / 16;
        let answer = self.server.swap(
            components::bad(Flaw::FirstEventTraps, every, 0),
            Policy::Migrate,
        );
        if let Some(report) = self.note(answer) {
            let number = report.generation.max(report.previous);
            self.wait("a first event", || {
                self.record(number).is_none_or(|(_, failed, _)| failed > 0)
            });
            self.settle();
        }
    }

    /// Undone by itself, be it before the answer to the swap or after it.
    fn all_die_at_once(&mut self) {
        let answer = self.server.swap(
            components::bad(Flaw::FirstEventTraps, 1, 0),
            Policy::Migrate,
        );
        let Some(report) = self.note(answer) else {
            panic!("refused before any connection failed")
        };
        if report.outcome == Outcome::Undone {
            return;
        }
        let number = report.generation;
        self.wait("a swap to undo itself", || {
            self.record(number)
                .is_none_or(|(_, _, outcome)| outcome.starts_with("undone"))
        });
        self.counts.undone += 1;
        self.settle();
    }

    /// Their successors begin without a state, as both sides know.
    fn save_fails(&mut self) {
        let flaw =
            [Flaw::SaveTraps, Flaw::SaveTooLarge, Flaw::SaveLoops][self.random.below(3) as usize];
        let every = self.connections / if flaw == Flaw::SaveLoops { 4 } else { 20 };
        self.shared.losing_swaps.fetch_add(1, Relaxed);
        let answer = self
            .server
            .swap(components::bad(flaw, every, 0), Policy::Migrate);
        self.note(answer);
        // Out of probation only with an event.
        let messages = self.shared.stats.messages.load(Relaxed);
        let some = u64::from(self.connections);
        self.wait("some messages", || {
            self.shared.stats.messages.load(Relaxed) > messages + some
        });
        self.good();
    }

    /// What means harm does not become active, or not for long.
    fn hostile(&mut self) {
        for component in components::hostile() {
            self.shared.closed_times.fetch_add(1, Relaxed);
            let answer = self.server.swap(component, Policy::Migrate);
            self.shared.closed_times.fetch_add(1, Relaxed);
            if let Some(report) = self.note(answer) {
                assert_eq!(report.outcome, Outcome::Undone, "{report:?}");
            }
            self.counts.hostile += 1;
        }
    }

    /// What its guest does after the end is nothing that a client sees.
    fn close_fails(&mut self) {
        let answer = self
            .server
            .swap(components::bad(Flaw::CloseTraps, 2, 0), Policy::Migrate);
        self.note(answer);
        let connections = self.shared.stats.connections.load(Relaxed);
        self.wait("some connections to end", || {
            self.shared.stats.connections.load(Relaxed) > connections + 3
        });
    }

    fn roll_back_twice(&mut self) {
        self.good();
        self.good();
        for _ in 0..2 {
            let answer = self.server.roll_back();
            self.note(answer);
        }
    }

    fn two_at_once(&mut self) {
        // Whichever comes first, the way back leads to good code.
        self.good();
        self.good();
        let server = self.server;
        let answers = thread::scope(|scope| {
            let one = scope.spawn(|| server.swap(components::good(7), Policy::Migrate));
            let other = scope.spawn(|| server.swap(components::good(8), Policy::Migrate));
            let back = scope.spawn(|| server.roll_back());
            [one, other, back].map(|asking| asking.join().expect("no panic"))
        });
        for answer in answers {
            self.note(answer);
        }
    }

    /// Some connections on old code, some on new; then all on the newest.
    fn beside_each_other(&mut self) {
        self.swap_with(Policy::NewOnly);
        let connections = self.shared.stats.connections.load(Relaxed);
        let deadline = Instant::now() + Duration::from_millis(300);
        while self.shared.stats.connections.load(Relaxed) < connections + 3
            && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(5));
        }
        self.good();
    }

    fn note(&mut self, answer: Result<Report, String>) -> Option<Report> {
        let report = match answer {
            Ok(report) => report,
            Err(_) => {
                self.counts.refused += 1;
                return None;
            }
        };
        let counts = &mut self.counts;
        match report.outcome {
            Outcome::Swapped => counts.swaps += 1,
            Outcome::RolledBack => counts.rolled_back += 1,
            Outcome::Undone => counts.undone += 1,
            Outcome::Unchanged => {}
        }
        counts.migrations += report.count.migrated as u64;
        counts.without_state += report.count.without_snapshot as u64;
        Some(report)
    }

    /// Wait for a swap that the server made by itself, by making one.
    fn settle(&mut self) {
        self.good();
    }

    fn latest(&self) -> u64 {
        self.server
            .history()
            .last()
            .map_or(0, |record| record.generation)
    }

    fn record(&self, generation: u64) -> Option<(usize, usize, String)> {
        let record = self
            .server
            .history()
            .into_iter()
            .find(|record| record.generation == generation)?;
        Some((record.migrated, record.failed, record.outcome))
    }

    /// Take down what became of each generation, before it is forgotten, or
    /// counted again because it is active again.
    pub fn look_back(&mut self) {
        for record in self.server.history() {
            let failed = self.counts.failed.entry(record.generation).or_default();
            *failed = record.failed.max(*failed);
        }
    }

    fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            if self.shared.stats.wrongs() > 0 {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}:\n{}",
                self.server.log.last()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The file is put back, so that nothing is left half-written.
    pub fn finish(&mut self) {
        self.look_back();
        let _ = fs::write(self.server.file(), components::good(0));
    }
}
