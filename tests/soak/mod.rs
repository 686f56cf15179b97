//! The soak: many connections exchange numbered, checksummed messages with a
//! stateful guest, while generations are swapped as fast as they go, good ones
//! and bad ones. The clients prove that every byte comes once and in order,
//! that no state goes back, and that no connection drops.
//!
//! - [`wire`]: the protocol, and what is amiss when it is not kept
//! - [`client`]: connections of several manners
//! - [`speaker`]: connections that publish and hear each other; [`heard`] checks what comes
//! - [`components`]: the guest, with and without a flaw
//! - [`server`]: a whole server in this process, or the binary
//! - [`attackers`]: connections that mean harm
//! - [`usage`]: what the binary has of the machine, and what it must give back
//! - [`swaps`]: what is done to it
//! - [`faulty_socket`]: a socket with a fault, which must be found
//! - [`shared`]: what the clients have in common
//! - [`outcome`]: what came of it, in words
//! - [`stats`]: what the clients have counted, and found wrong
//! - [`random`]: random numbers from a seed

mod attackers;
mod client;
mod components;
pub mod faulty_socket;
mod heard;
mod outcome;
mod random;
mod server;
mod shared;
mod speaker;
mod stats;
mod swaps;
#[cfg(test)]
mod tests;
mod usage;
mod wire;

#[path = "../neighbours/hostile.rs"]
#[allow(
    dead_code,
    reason = "a part of it is for the measurement of neighbours"
)]
mod hostile;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use attackers::Attackers;
use client::Manner;
use faulty_socket::{Fault, Kind};
use server::TestServer;
use shared::{Phase, Shared, Speakers};
use stats::Stats;
use swaps::{Counts, Swapper};
use wire::Wrong;

use crate::harness::Usage;

/// After the end, for connections to say goodbye.
const GOODBYES: Duration = Duration::from_secs(60);

/// How the soak is run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub connections: u32,
    /// Of everything at once.
    pub time: Duration,
    /// It takes longer if not each kind of trouble has been made by then.
    pub complete: bool,
    /// Without swaps, and again with swaps of good code, to compare how long
    /// answers take. None if zero.
    pub measured: Duration,
    /// Messages a second on each connection.
    pub rate: u32,
    /// Built into the server, to be found.
    pub fault: Option<Fault>,
    /// The binary is started instead of a server in this process, and must give back
    /// what it takes of the machine.
    pub binary: bool,
    /// Attackers of each kind, and hostile components among the swaps.
    pub attackers: u32,
    /// Instead of everything at once: connections that come and go.
    pub visits: Option<Visits>,
    /// Connections that publish and hear each other from start to end; half as many more
    /// come and go.
    pub speakers: u32,
    /// Done to one message that is published, to be found.
    pub topic_fault: Option<Kind>,
}

/// Connections that come and go while good code is swapped for good code.
#[derive(Clone, Copy, Debug)]
pub struct Visits {
    /// In all.
    pub connections: u64,
    pub swaps: u64,
}

/// What came of it; shown in one line.
pub struct Outcome {
    plan: Plan,
    storm: Storm,
    /// What the binary had after a first, short time of the same, and at the end.
    usage: Option<(Usage, Usage)>,
    /// What was wrong in that first time.
    early: Vec<String>,
    panics: u64,
    /// The last lines of the server's log.
    log: String,
}

/// What came of one time from the first connection to the last.
struct Storm {
    counts: Counts,
    shared: Arc<Shared>,
    attacks: u64,
    /// Kinds of attackers that showed no effect.
    without_effect: Vec<&'static str>,
    /// Open after all have said goodbye.
    left_open: usize,
}

/// Run the soak from start to end.
pub fn run(plan: Plan) -> Outcome {
    let server = match plan.binary {
        // Hardly more than there are, so that each place of the pool has been used when
        // its mappings are counted first: it keeps some for the next connection.
        true if plan.visits.is_some() => TestServer::start_binary(plan.connections as usize + 50),
        true => TestServer::start_binary(server::max_connections(plan.connections)),
        false => TestServer::start_here(plan.connections, plan.fault),
    };
    let mut early = Vec::new();
    let before = plan.binary.then(|| {
        let first = run_once(&server, usage::first(&plan));
        early = first.lines();
        usage::at_rest(&server, None)
    });
    let storm = run_once(&server, plan);
    let usage = before.map(|before| (before, usage::at_rest(&server, Some(before))));
    let log = server.log.clone();
    server.shut_down();
    Outcome {
        plan,
        storm,
        usage,
        early,
        panics: log.panics.load(Relaxed),
        log: log.last(),
    }
}

fn run_once(server: &TestServer, plan: Plan) -> Storm {
    let shared = Arc::new(Shared {
        address: server.address,
        stats: Stats::default(),
        phase: AtomicU8::new(0),
        stop: AtomicBool::new(false),
        losing_swaps: AtomicU64::new(0),
        closed_times: AtomicU64::new(0),
        speakers: Speakers::new(plan.speakers, plan.topic_fault),
        // What was dropped is found by the silence.
        stall: match plan.fault.map(|fault| fault.kind).or(plan.topic_fault) {
            Some(Kind::Drop) => Duration::from_secs(5),
            _ => Duration::from_secs(30),
        },
        rate: plan.rate,
        endings: AtomicU64::new(0),
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
                manner(number, &plan),
            ))
        })
        .collect();
    let speakers = (0..plan.speakers + plan.speakers / 2).map(|number| {
        let is_steady = number < plan.speakers;
        clients.spawn(speaker::run(Arc::clone(&shared), number, is_steady))
    });
    let tasks: Vec<_> = tasks.into_iter().chain(speakers).collect();
    let mut swapper = Swapper::new(server, &shared, &plan);
    let began = Instant::now();
    while shared.stats.connections.load(Relaxed) < u64::from(plan.connections)
        && began.elapsed() < GOODBYES
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    let attackers = (plan.attackers > 0).then(|| Attackers::start(server.address, plan.attackers));
    match plan.visits {
        Some(visits) => receive(&mut swapper, &shared, &plan, visits),
        None => everything(&mut swapper, &shared, &plan),
    }
    swapper.finish();
    let counts = swapper.counts;
    let without_effect = match plan.attackers {
        0 => Vec::new(),
        _ => attackers::without_effect(&server.status()),
    };
    let attacks = attackers.map_or(0, Attackers::stop);
    shared.stop.store(true, Relaxed);
    clients.block_on(async {
        let goodbyes = async {
            for task in tasks {
                task.await.expect("no client panics");
            }
        };
        let in_time = tokio::time::timeout(GOODBYES + shared.stall * 3, goodbyes);
        if in_time.await.is_err() {
            let words = "a connection that does not end".to_owned();
            shared.stats.find(&wire::Finding {
                wrong: Wrong::Dropped,
                words,
            });
        }
    });
    if plan.binary {
        // What attackers and RSTs have left behind has until then.
        let ended = || server.connections() == 0;
        crate::harness::wait_within(GOODBYES, ended);
    }
    let left_open = server.connections();
    drop(clients);
    Storm {
        counts,
        shared,
        attacks,
        without_effect,
        left_open,
    }
}

/// All kinds of swaps, as fast as they go.
fn everything(swapper: &mut Swapper<'_>, shared: &Shared, plan: &Plan) {
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
    if plan.complete {
        // Each kind of trouble at least once.
        swapper.round(|| shared.stats.wrongs() > 0);
    }
    while !is_over() {
        swapper.round(is_over);
    }
}

/// With each swap some visits end, and others begin; one swap in ten brings code that
/// the server has never seen.
fn receive(swapper: &mut Swapper<'_>, shared: &Shared, plan: &Plan, visits: Visits) {
    shared.phase.store(Phase::Storm as u8, Relaxed);
    let all = visits.connections.saturating_sub(plan.connections.into());
    let mut ended = 0;
    for number in 1..=visits.swaps {
        let due = all * number / visits.swaps;
        shared.endings.fetch_add(due - ended, Relaxed);
        ended = due;
        match number % 10 {
            0 => swapper.new_code(number as u32),
            _ => swapper.good(),
        }
        if shared.stats.wrongs() > 0 {
            return;
        }
    }
    let opened = || shared.stats.connections.load(Relaxed) >= visits.connections;
    crate::harness::wait_within(GOODBYES, || opened() || shared.stats.wrongs() > 0);
}

/// Nine of ten are steady, unless a fault is to be found.
fn manner(number: u32, plan: &Plan) -> Manner {
    match number % 100 {
        _ if plan.visits.is_some() => Manner::Visit,
        _ if plan.fault.is_some() => Manner::Steady,
        7 => Manner::Bulk,
        17 => Manner::Slow,
        n if n % 12 == 5 => Manner::Short,
        _ => Manner::Steady,
    }
}

impl Storm {
    /// What the clients found.
    fn lines(&self) -> Vec<String> {
        let words = &self.shared.stats.words;
        let mut lines = words.lock().expect("no panic under the lock").clone();
        if self.left_open > 0 {
            lines.push(format!(
                "{} connections are open after their end",
                self.left_open
            ));
        }
        lines
    }

    fn worst(&self) -> Duration {
        let worst = |phase| self.shared.time(phase).quantile(1.0);
        worst(Phase::Swaps).max(worst(Phase::Storm))
    }
}
