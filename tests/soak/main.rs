//! The soak, by hand and as long as one likes:
//! `cargo run --release --example soak -- --connections 1000 --time 5m`.
//! It prints one line, and fails when anything is not as it must be.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what is not as it must be ends it, and is told"
)]

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
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = soak::run(soak::Plan {
        connections: args.connections,
        time: args.time,
        measured: args.measured,
        rate: args.rate,
        fault: args.fault.map(|kind| Fault {
            kind,
            way: Way::ToGuest,
            after: 1000,
        }),
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
