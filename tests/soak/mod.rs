//! The soak: many connections exchange numbered, checksummed messages with a
//! stateful guest, while generations are swapped as fast as they go, good ones
//! and bad ones. The clients prove that every byte comes once and in order,
//! that no state goes back, and that no connection drops.
//!
//! - [`wire`]: the protocol, and what is amiss when it is not kept
//! - [`client`]: connections of several manners
//! - [`components`]: the guest, with and without a flaw
//! - [`server`]: a whole server in this process
//! - [`swaps`]: what is done to it
//! - [`faulty_socket`]: a socket with a fault, which must be found
//! - [`stats`]: what the clients have counted, and found wrong
//! - [`random`]: random numbers from a seed

mod client;
mod components;
pub mod faulty_socket;
mod random;
mod server;
mod stats;
mod swaps;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use client::{Manner, Phase, Shared};
use faulty_socket::Fault;
use server::TestServer;
use stats::{Histogram, Stats};
use swaps::{Counts, Swapper};
use wire::Wrong;

/// After the end, for connections to say goodbye.
const GOODBYES: Duration = Duration::from_secs(60);

/// How the soak is run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub connections: u32,
    /// Of everything at once.
    pub time: Duration,
    /// Without swaps, and again with swaps of good code, to compare how long
    /// answers take. None if zero.
    pub measured: Duration,
    /// Messages a second on each connection.
    pub rate: u32,
    /// Built into the server, to be found.
    pub fault: Option<Fault>,
}

/// What came of it; shown in one line.
pub struct Outcome {
    plan: Plan,
    counts: Counts,
    shared: Arc<Shared>,
    /// Open after all have said goodbye.
    left_open: usize,
}

/// Run the soak from start to end.
pub fn run(plan: Plan) -> Outcome {
    let server = TestServer::start(plan.connections, plan.fault);
    let shared = Arc::new(Shared {
        address: server.address,
        stats: Stats::default(),
        phase: AtomicU8::new(0),
        stop: AtomicBool::new(false),
        losing_swaps: AtomicU64::new(0),
        stall: if plan.fault.is_some() {
            Duration::from_secs(2)
        } else {
            Duration::from_secs(30)
        },
        rate: plan.rate,
        times: Default::default(),
    });
    let clients = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("clients")
        .enable_all()
        .build()
        .expect("threads");
    let tasks: Vec<_> = (0..plan.connections)
        .map(|number| {
            clients.spawn(client::run(
                Arc::clone(&shared),
                number,
                manner(number, plan.fault),
            ))
        })
        .collect();
    let mut swapper = Swapper::new(&server, &shared, plan.connections);
    let began = Instant::now();
    while shared.stats.connections.load(Relaxed) < u64::from(plan.connections)
        && began.elapsed() < GOODBYES
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    let enter = |phase: Phase| shared.phase.store(phase as u8, Relaxed);
    if !plan.measured.is_zero() {
        // So that code is known when the swaps are timed.
        for _ in 0..swaps::VARIANTS {
            swapper.good();
        }
        enter(Phase::Quiet);
        std::thread::sleep(plan.measured);
        enter(Phase::Swaps);
        let began = Instant::now();
        while began.elapsed() < plan.measured {
            swapper.good();
        }
    }
    enter(Phase::Storm);
    let began = Instant::now();
    // With a fault it is over when the fault has been found.
    let is_over = || began.elapsed() >= plan.time || shared.stats.wrongs() > 0;
    // Each kind of trouble at least once.
    swapper.round(|| shared.stats.wrongs() > 0);
    while !is_over() {
        swapper.round(is_over);
    }
    swapper.finish();
    let counts = swapper.counts;
    shared.stop.store(true, Relaxed);
    clients.block_on(async {
        let goodbyes = async {
            for task in tasks {
                task.await.expect("no client panics");
            }
        };
        let in_time = tokio::time::timeout(GOODBYES + shared.stall * 3, goodbyes);
        if in_time.await.is_err() {
            let told = "a connection that does not end".to_owned();
            shared.stats.find(&wire::Finding {
                wrong: Wrong::Dropped,
                told,
            });
        }
    });
    let left_open = server.connections();
    drop(clients);
    server.shut_down();
    Outcome {
        plan,
        counts,
        shared,
        left_open,
    }
}

/// Nine of ten are steady, unless a fault is to be found.
fn manner(number: u32, fault: Option<Fault>) -> Manner {
    match number % 100 {
        _ if fault.is_some() => Manner::Steady,
        7 => Manner::Bulk,
        17 => Manner::Slow,
        n if n % 12 == 5 => Manner::Short,
        _ => Manner::Steady,
    }
}

impl Outcome {
    pub fn count(&self, wrong: Wrong) -> u64 {
        self.shared.stats.count(wrong)
    }

    /// Everything that is not as it must be.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = self
            .shared
            .stats
            .told
            .lock()
            .expect("no panic under the lock")
            .clone();
        let counts = &self.counts;
        for (count, what) in [
            (counts.swaps, "swap"),
            (counts.refused - counts.halves, "broken file"),
            (counts.halves, "half-written file"),
            (counts.rolled_back, "rollback"),
            (counts.undone, "swap undone by itself"),
            (counts.migrations, "migration"),
            (counts.failed(), "failed migration"),
            (counts.without_state, "failed `save`"),
            (self.shared.stats.bytes.load(Relaxed), "byte"),
        ] {
            if count == 0 {
                complaints.push(format!("not one {what}"));
            }
        }
        if self.left_open > 0 {
            complaints.push(format!(
                "{} connections are open after their end",
                self.left_open
            ));
        }
        complaints
    }

    fn worst(&self) -> Duration {
        let worst = |phase| self.shared.time(phase).quantile(1.0);
        worst(Phase::Swaps).max(worst(Phase::Storm))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (counts, stats) = (&self.counts, &self.shared.stats);
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
            ms(self.worst()),
        )?;
        let times =
            |time: &Histogram| format!("{} (of {})", ms(time.quantile(0.999)), time.count());
        let [_, quiet, swaps, storm] = &self.shared.times;
        if !self.plan.measured.is_zero() {
            write!(
                f,
                "; 99.9th percentile: quiet {}, during swaps {}",
                times(quiet),
                times(swaps)
            )?;
        }
        write!(f, ", in all {}", times(storm))
    }
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
