//! The command line. Doc comments of arguments are the `--help`. Each command
//! has a file of its own and returns what to print or why it failed; [`flags`]
//! are those of a server, and [`parse`] reads their values.

mod build;
mod component;
mod config;
mod configuration;
mod dev;
mod drain;
mod flags;
mod history;
mod inspect;
mod list;
mod new;
mod open;
mod parse;
mod reload;
mod serve;
mod signals;
mod status;
mod store;
mod supervisor;
mod swap;
mod test;
mod top;
mod topics;
mod watch;
mod word;

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Instant;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::output::{escape, harmless};
use configuration::Given;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use configuration::parse as parse_configuration;

/// An application server for raw TCP whose connection logic is a WebAssembly
/// component that can be swapped under open connections.
///
/// Without a command it serves: `hotsocket` alone serves the built-in guest on
/// 127.0.0.1:3000. Try it with `nc 127.0.0.1 3000`.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 100,
    after_help = EXAMPLES
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Args,
}

const EXAMPLES: &str = "\
Examples:
  hotsocket                              serve the built-in guest on 127.0.0.1:3000
  hotsocket --listen 0.0.0.0:4000 e.wasm serve e.wasm; overwrite the file to swap
  hotsocket server.js                    build a guest from its source and serve it
  hotsocket swap new.wasm                swap in a running server
  hotsocket rollback                     go back to the previous generation
  hotsocket new chat; cd chat; hotsocket dev
                                         create a guest, serve it, swap on save";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Config(Box<config::Args>),
    Check(config::CheckArgs),
    Swap(swap::Args),
    Rollback(swap::RollbackArgs),
    Status(status::Args),
    List(list::Args),
    History(history::Args),
    Drain(drain::Args),
    Top(top::Args),
    Open(open::Args),
    Watch(watch::Args),
    Publish(topics::PublishArgs),
    Topics(topics::Args),
    Store(store::Args),
    Inspect(inspect::Args),
    Build(build::Args),
    Test(test::Args),
    New(new::Args),
    Dev(Box<dev::Args>),
}

/// Run the command that the process was started with. The exit code is 2 for
/// wrong usage and 1 for any other failure.
pub fn main(began: Instant) -> ExitCode {
    if let Some(error) = std::env::args_os()
        .nth(1)
        .and_then(|word| word::wrong(&word))
    {
        return wrong_usage(error);
    }
    let matches = Cli::command().get_matches();
    // Without a command the flags are those of `serve`.
    let given = match matches.subcommand() {
        None => Given::of(&matches),
        Some(("serve" | "config" | "check", matches)) => Given::of(matches),
        Some(_) => Given::default(),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match cli.command {
        None => serve::run(&cli.serve, &given, began),
        Some(Command::Serve(args)) => serve::run(&args, &given, began),
        Some(Command::Config(args)) => config::run(&args, &given),
        Some(Command::Check(args)) => config::check(&args),
        Some(Command::Swap(args)) => print_result_as(args.server.json, swap::run(&args)),
        Some(Command::Rollback(args)) => print_result_as(args.server.json, swap::roll_back(&args)),
        Some(Command::History(args)) => print_result_as(args.server.json, history::run(&args)),
        Some(Command::Drain(args)) => print_result_as(args.server.json, drain::run(&args)),
        Some(Command::Top(args)) => print_result_as(args.server.json, top::run(&args)),
        Some(Command::Open(args)) => print_result_as(args.server.json, open::run(&args)),
        Some(Command::Watch(args)) => print_result_as(args.server.json, watch::run(&args)),
        Some(Command::Status(args)) => print_result_as(args.server.json, status::run(&args)),
        Some(Command::List(args)) => print_result_as(args.json, list::run(&args)),
        Some(Command::Publish(args)) => print_result_as(args.server.json, topics::publish(&args)),
        Some(Command::Topics(args)) => print_result_as(args.server.json, topics::run(&args)),
        Some(Command::Store(args)) => print_result_as(args.json(), store::run(&args)),
        Some(Command::Inspect(args)) => print_result_as(args.json, inspect::run(&args)),
        Some(Command::Build(args)) => print_result(build::run(&args)),
        Some(Command::Test(args)) => test::run(args),
        Some(Command::New(args)) => new::run(&args),
        Some(Command::Dev(args)) => dev::run(*args, began),
    }
}

/// What a command prints to standard output, and whether it failed all the
/// same.
struct Reply {
    text: String,
    failure: bool,
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Reply {
            text,
            failure: false,
        }
    }
}

/// Print the result, or the error in one line. A closed standard output (as by
/// `head`) is not a failure. What components, servers and compilers say is in it,
/// so control characters are escaped.
fn print_result<R: Into<Reply>, E: Display>(result: Result<R, E>) -> ExitCode {
    use std::io::Write;
    match result {
        Ok(reply) => {
            let reply = reply.into();
            let _ = std::io::stdout().write_all(harmless(reply.text.as_bytes()).as_bytes());
            match reply.failure {
                true => ExitCode::FAILURE,
                false => ExitCode::SUCCESS,
            }
        }
        Err(error) => failed(error),
    }
}

/// The same, with errors as JSON, too, if `json` was requested.
fn print_result_as<E: Display>(json: bool, result: Result<Reply, E>) -> ExitCode {
    print_result(match result {
        Err(error) if json => Ok(Reply {
            text: format!(
                "{}\n",
                escape::json(&serde_json::json!({ "error": error.to_string() }))
            ),
            failure: true,
        }),
        result => result,
    })
}

/// Print why a command was not tried, because it was used wrongly.
fn wrong_usage(error: impl Display) -> ExitCode {
    failed(error);
    ExitCode::from(2)
}

/// Print why a command failed.
fn failed(error: impl Display) -> ExitCode {
    use std::io::Write;
    let line = escape::error_line(&error.to_string());
    let _ = writeln!(std::io::stderr(), "{line}");
    ExitCode::FAILURE
}
