//! The command line. Doc comments here are the `--help`; each command has a
//! file of its own and returns what to print or what went wrong.

mod build;
mod history;
mod inspect;
pub mod serve;
mod status;
mod swap;

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

/// An application server for raw TCP whose connection logic is a WebAssembly
/// component that can be swapped under open connections.
///
/// Without a command it serves: `hotsocket` alone serves the built-in guest on
/// 127.0.0.1:3000; try it with `nc 127.0.0.1 3000`.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Swap(swap::Args),
    Rollback(swap::RollbackArgs),
    Status(status::Args),
    History(history::Args),
    Inspect(inspect::Args),
    Build(build::Args),
}

/// Run the command that the process was started with. Wrong usage exits with
/// 2, whatever else goes wrong with 1.
pub fn main(began: Instant) -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        None => serve::run(cli.serve, began),
        Some(Command::Serve(args)) => serve::run(*args, began),
        Some(Command::Swap(args)) => done(swap::run(&args)),
        Some(Command::Rollback(args)) => done(swap::roll_back(&args)),
        Some(Command::History(args)) => done(history::run(&args)),
        Some(Command::Status(args)) => done(status::run(&args)),
        Some(Command::Inspect(args)) => done(inspect::run(&args)),
        Some(Command::Build(args)) => done(build::run(&args)),
    }
}

/// Print the result, or the error in one line. A reader that has gone (`head`)
/// is no failure.
fn done<E: Display>(result: Result<String, E>) -> ExitCode {
    use std::io::Write;
    match result {
        Ok(text) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => failed(error),
    }
}

fn failed(error: impl Display) -> ExitCode {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::FAILURE
}
