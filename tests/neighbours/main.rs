//! What bad neighbours cost: connections that behave well are timed, first
//! alone, then beside hostile ones of each kind.
//!
//! `cargo build --release && cargo run --release --example neighbours`. It prints a table, and fails
//! when an answer is wrong, or when the 99th percentile beside a kind exceeds
//! three times the quiet one and two ticks. Thousands of idle connections are
//! there as well.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::print_stderr,
    dead_code,
    unused_imports,
    reason = "a measurement ends where something is not as it must be, and tells; it needs only a part of the harness"
)]

#[path = "../guests/mod.rs"]
mod guests;
#[path = "../harness/mod.rs"]
mod harness;

mod hostile;

use std::fs::File;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::thread::CpuSet;

use guests::guest;
use harness::{Client, Server, serve, wait_for};
use hostile::{KINDS, Kind, ORDER};

/// Ticks of the host's clock that a neighbour may cost, on top of a factor.
const TICKS: Duration = Duration::from_millis(2);
const FACTOR: u32 = 3;

/// Well-behaved connections beside hostile ones
#[derive(Parser)]
struct Args {
    /// Connections that are timed
    #[arg(long, default_value = "100")]
    connections: usize,

    /// Hostile connections of each kind
    #[arg(long, default_value = "20")]
    hostile: usize,

    /// Connections that do nothing
    #[arg(long, default_value = "2000")]
    idle: usize,

    /// Processors of the server
    #[arg(long, default_values_t = [1, 2])]
    cores: Vec<usize>,

    /// How long each kind is measured
    #[arg(long, default_value = "4s", value_parser = hotsocket::duration::parse)]
    time: Duration,

    /// Messages a second on each connection
    #[arg(long, default_value = "20")]
    rate: u32,

    /// Only this kind
    #[arg(long)]
    kind: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let kinds: Vec<&Kind> = KINDS
        .iter()
        .filter(|kind| args.kind.as_ref().is_none_or(|name| kind.name == name))
        .collect();
    println!(
        "{} connections, {} messages a second each, beside {} hostile and {} idle ones\n",
        args.connections, args.rate, args.hostile, args.idle
    );
    println!("| cores | beside | messages | median | 99 % | 99.9 % | slowest | hostile events |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut complaints = Vec::new();
    let all = args
        .cores
        .iter()
        .flat_map(|cores| kinds.iter().map(|kind| (*cores, *kind)));
    for (cores, kind) in all {
        // Each kind has its own quiet time, on the same server: the machine
        // may be busier by now.
        let server = start(kind, cores);
        let _idle: Vec<_> = (0..args.idle).map(|_| silent(&server)).collect();
        let mut good: Vec<_> = (0..args.connections).map(|_| server.connect()).collect();
        let before = measure(&mut good, &args);
        let (over, address) = (AtomicBool::new(false), server.addresses[0]);
        let (beside, events) = thread::scope(|scope| {
            let bad: Vec<_> = (0..args.hostile)
                .map(|_| {
                    scope.spawn(|| {
                        leave_cores(cores);
                        hostile::run(kind, address, ORDER, usize::MAX, &over)
                    })
                })
                .collect();
            let connected = args.idle + args.connections + args.hostile;
            hostile::wait_for_them(kind, &server, connected as u64);
            let beside = measure(&mut good, &args);
            over.store(true, Ordering::Relaxed);
            let events: u64 = bad
                .into_iter()
                .map(|one| one.join().expect("it ends"))
                .sum();
            (beside, events)
        });
        let left = args.idle + args.connections;
        wait_for("the hostile ones to be gone", || {
            server.connections("open") <= left as u64
        });
        let after = measure(&mut good, &args);
        let quiet = if before.at(990) > after.at(990) {
            before
        } else {
            after
        };
        quiet.row(cores, "nobody", 0);
        beside.row(cores, kind.name, events);
        let allowed = quiet.at(990) * FACTOR + TICKS;
        if beside.at(990) > allowed {
            complaints.push(format!(
                "{cores} cores, beside {}: the 99th percentile is {:?}, more than {allowed:?}",
                kind.name,
                beside.at(990)
            ));
        }
    }
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    match complaints.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// A guest that answers with the bytes it gets, or does its mischief when they
/// begin with an exclamation mark.
fn start(kind: &Kind, cores: usize) -> Server {
    let body = format!(
        "(local $n i32)
         (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 33))
           (then {})
           (else (call $say (local.get $at) (local.get $count))))",
        kind.body
    );
    let guest = guest().data(&body).body("timer", kind.timer).build();
    // Who reads what guests print would take a processor from the ones that are timed.
    let nobody = File::options()
        .write(true)
        .open("/dev/null")
        .expect("a device");
    on_cores(cores, || {
        serve(guest).args(kind.args).stdout_to(nobody).start()
    })
}

/// A connection that has an instance, and does nothing with it.
fn silent(server: &Server) -> Client {
    let mut client = server.connect();
    client.ask("x", "x");
    client
}

/// A process that is started in `work` has only so many processors.
fn on_cores<R>(cores: usize, work: impl FnOnce() -> R) -> R {
    let all = rustix::thread::sched_getaffinity(None).expect("Linux");
    let (few, _) = split(&all, cores);
    rustix::thread::sched_setaffinity(None, &few).expect("some of its own");
    let result = work();
    rustix::thread::sched_setaffinity(None, &all).expect("as before");
    result
}

/// This thread stands for another machine: it runs on the processors that the server
/// doesn't have, if there are any.
fn leave_cores(cores: usize) {
    let all = rustix::thread::sched_getaffinity(None).expect("Linux");
    let (_, rest) = split(&all, cores);
    if rest.count() > 0 {
        rustix::thread::sched_setaffinity(None, &rest).expect("some of its own");
    }
}

/// So many processors of these, and the rest.
fn split(all: &CpuSet, count: usize) -> (CpuSet, CpuSet) {
    let (mut few, mut rest) = (CpuSet::new(), CpuSet::new());
    let allowed = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
    for (number, cpu) in allowed.enumerate() {
        let part = if number < count { &mut few } else { &mut rest };
        part.set(cpu);
    }
    (few, rest)
}

/// How long the answers took, in order.
struct Times(Vec<Duration>);

impl Times {
    /// So many thousandths were not slower.
    fn at(&self, thousandth: usize) -> Duration {
        let last = self.0.len() - 1;
        self.0[(self.0.len() * thousandth / 1000).min(last)]
    }

    fn row(&self, cores: usize, beside: &str, events: u64) {
        let told = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
        println!(
            "| {cores} | {beside} | {} | {} | {} | {} | {} | {events} |",
            self.0.len(),
            told(self.at(500)),
            told(self.at(990)),
            told(self.at(999)),
            told(self.at(1000)),
        );
    }
}

/// Ask on every connection at the given rate, one question at a time, and
/// check each byte of the answers. One thread has all of them: its own work is
/// the same with and without neighbours.
fn measure(clients: &mut [Client], args: &Args) -> Times {
    let threads = 4;
    let each = clients.len().div_ceil(threads);
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let parts: Vec<_> = clients
            .chunks_mut(each)
            .map(|part| scope.spawn(|| ask_all(part, args)))
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().expect("every answer is right"))
            .collect()
    });
    times.sort_unstable();
    Times(times)
}

/// One question after the other, evenly spread over the connections and time.
fn ask_all(clients: &mut [Client], args: &Args) -> Vec<Duration> {
    let pause = Duration::from_secs(1) / (args.rate * clients.len() as u32);
    let (began, mut next, mut number) = (Instant::now(), Instant::now(), 0_usize);
    let mut times = Vec::new();
    while began.elapsed() < args.time {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        next += pause;
        let at = number % clients.len();
        let question = format!("{number:0>100}");
        let asked = Instant::now();
        clients[at].ask(&question, &question);
        times.push(asked.elapsed());
        number += 1;
    }
    times
}
