//! Measures hotsocket against the fastest thing that one could write instead.
//!
//! `cargo run --release -p hotsocket-bench` runs everything and prints one table.
//! The servers and the load are processes of their own: this binary starts
//! itself again as `native` (the server to compare with) and as `load`.
//!
//! - [`run`]: the rows, their order, and what is done for each
//! - [`subject`]: the servers to be measured, started and watched
//! - [`gauge`]: what a process has used so far
//! - [`load`]: the clients
//! - [`native`]: the server to compare with
//! - [`component`]: components made from others
//! - [`table`]: ratios and their spread
//! - [`report`]: writes `docs/benchmarks.md`
//! - [`place`]: which processor runs what; the machine
//! - [`undo`]: what must not be left behind

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

mod component;
mod gauge;
mod load;
mod native;
mod place;
mod report;
mod run;
mod subject;
mod table;
mod undo;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What ends a measurement, in one line.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// Measure hotsocket against a native server, interleaved, and print one table
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,

    #[command(flatten)]
    run: run::Args,
}

#[derive(Subcommand)]
enum Part {
    /// Serve echo with tokio and nothing else, until killed
    Native,
    /// Be the clients of one measurement; told what to do on standard input
    Load(load::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.part {
        Some(Part::Native) => native::serve(),
        Some(Part::Load(args)) => load::run(args),
        None => run::run(cli.run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
