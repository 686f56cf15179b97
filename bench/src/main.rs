//! Measures hotsocket against the fastest server that one could write instead.
//!
//! `cargo run --release -p hotsocket-bench` runs everything and prints one table.
//! The servers and the load are processes of their own: this binary starts
//! itself again as `native` (the server to compare with) and as `load`.
//!
//! - [`run`]: the rows, their order, and how each is measured
//! - [`subject`]: the servers under test; [`server`]: start, wait until ready, stop
//! - [`usage`]: CPU time, memory and mappings of a process
//! - [`load`]: the clients
//! - [`native`], [`broadcast`]: the servers to compare with
//! - [`component`]: components made from others
//! - `guests`: guests in WebAssembly text, from the tests
//! - [`table`]: ratios and their spread
//! - [`report`]: writes `docs/benchmarks.md`
//! - [`machine`]: processors, temporary directories, the machine's description
//! - [`cleanup`]: child processes and files are removed however the program ends

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

mod broadcast;
mod cleanup;
mod component;
mod load;
mod machine;
mod native;
mod report;
mod run;
mod server;
mod subject;
mod table;
mod usage;

#[path = "../../tests/guests/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    clippy::panic,
    reason = "most of it is for the tests"
)]
mod guests;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An error that ends the program, in one line.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// Measure hotsocket against a native server, interleaved, and print one table
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    process: Option<Process>,

    #[command(flatten)]
    run: run::Args,
}

#[derive(Subcommand)]
enum Process {
    /// Serve echo with tokio and nothing else, until killed
    Native,
    /// Send what the first connection says to all others, until killed
    Broadcast,
    /// Run the clients of one measurement, with commands on standard input
    Load(load::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.process {
        Some(Process::Native) => native::serve(),
        Some(Process::Broadcast) => broadcast::serve(),
        Some(Process::Load(args)) => load::run(args),
        None => run::run(cli.run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
