//! The soak, by hand and as long as one likes:
//! `cargo build --release && cargo run --release --example soak -- --time 5m`.
//! With `--attackers 20`, attackers of each kind use the same server; with `--visits 100000
//! --swaps 1000`, so many connections come and go while so many swaps are made.
//! It prints what came of it, and fails when anything is not as it must be.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::string_slice,
    dead_code,
    unused_imports,
    reason = "a failed expectation ends the program with its message; it needs only a part of the harness"
)]

#[path = "../guests/mod.rs"]
mod guests;
#[path = "../harness/mod.rs"]
mod harness;
#[path = "mod.rs"]
mod soak;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use soak::faulty_socket::{Fault, Kind, Way};

/// Many connections, many swaps, and every byte checked
#[derive(Parser)]
struct Args {
    /// Connections open at once
    #[arg(long, default_value = "1000")]
    connections: u32,

    /// How long
    #[arg(long, default_value = "1m", value_parser = hotsocket::duration::parse)]
    time: Duration,

    /// How long answers are timed without swaps, and with swaps of good code
    #[arg(long, default_value = "5s", value_parser = hotsocket::duration::parse)]
    measured: Duration,

    /// Do this to one byte on its way to the guest, to see that it is found
    #[arg(long)]
    fault: Option<Kind>,

    /// Messages a second on each connection
    #[arg(long, default_value = "5")]
    rate: u32,

    /// Connections that publish and hear each other; half as many more come and go
    #[arg(long, default_value = "40")]
    speakers: u32,

    /// Hostile connections of each kind, and hostile components among the swaps
    #[arg(long, default_value = "0")]
    attackers: u32,

    /// So many connections in all, which come and go, instead of everything at once
    #[arg(long, requires = "swaps")]
    visits: Option<u64>,

    /// So many swaps of good code, with --visits
    #[arg(long, requires = "visits")]
    swaps: Option<u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = soak::run(soak::Plan {
        connections: args.connections,
        time: args.time,
        complete: true,
        measured: args.measured,
        rate: args.rate,
        fault: args.fault.map(|kind| Fault {
            kind,
            way: Way::ToGuest,
            after: 1000,
        }),
        binary: args.fault.is_none(),
        attackers: args.attackers,
        speakers: args.speakers,
        topic_fault: None,
        visits: args
            .visits
            .zip(args.swaps)
            .map(|(connections, swaps)| soak::Visits { connections, swaps }),
    });
    println!("{outcome}");
    let complaints = outcome.complaints();
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    if complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
