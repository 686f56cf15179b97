//! `hotsocket config` and `hotsocket check`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::configuration::{Given, Problem, Problems, load, reference, show};
use super::{print_result, serve};
use crate::node::{Options, StartError, check as check_services};
use crate::output::{GuestLines, Output, harmless};

/// Print the configuration that is in force, and whence each value of it comes
///
/// Takes a file and the flags of `serve`, and prints a file that says the same: each
/// value with its place in the file, `command line` or `default`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    serve: serve::Args,

    /// Print the table of all keys, as in docs/configuration.md
    #[arg(long, hide = true)]
    reference: bool,
}

/// Check a configuration file without serving
///
/// Reads it as `serve --config` does, and finds out whether its guests can be served:
/// they are read, or built, and compiled. Prints one line, or one for each problem.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The file
    #[arg(default_value = "hotsocket.toml")]
    file: PathBuf,
}

pub fn run(args: &Args, given: &Given) -> ExitCode {
    if args.reference {
        return print_result::<_, String>(Ok(reference()));
    }
    match load(args.serve.file(), given) {
        Ok(loaded) => print_result::<_, String>(Ok(show(&loaded))),
        Err(problems) => print_problems(&problems),
    }
}

pub fn check(args: &CheckArgs) -> ExitCode {
    let loaded = match load(Some(&args.file), &Given::default()) {
        Ok(loaded) => loaded,
        Err(problems) => return print_problems(&problems),
    };
    let (wrong, summary) = match check_guests(&args.file, loaded.config.options) {
        Ok(checked) => checked,
        Err(error) => return super::failed(error),
    };
    if !wrong.all.is_empty() {
        print_problems(&wrong);
        return ExitCode::FAILURE;
    }
    print_result::<_, String>(Ok(format!("{}: {summary}\n", args.file.display())))
}

/// What is wrong with the services of a file, and what to say if nothing is.
fn check_guests(file: &Path, mut options: Options) -> Result<(Problems, String), String> {
    let mut problems = Vec::new();
    for service in &mut options.services {
        let name = service.name();
        if let Err(error) = serve::build_source(service) {
            problems.push(Problem::everywhere(format!("service {name}: {error}")));
        }
    }
    if problems.is_empty() {
        let output = Output::start(GuestLines::Plain);
        let output = output.map_err(|error| format!("cannot start a thread: {error}"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(hotsocket_sandbox::prepare_thread)
            .thread_stack_size(serve::THREAD_STACK + options.pool().max_stack)
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| format!("cannot start threads: {error}"))?;
        let checking = runtime.spawn(check_services(options.clone(), output));
        let checked = runtime
            .block_on(checking)
            .map_err(|error| error.to_string())?;
        let checked = checked.map_err(|error: StartError| error.to_string())?;
        for (name, error) in checked {
            let error = error.map(|error| format!("service {name}: {error}"));
            problems.extend(error.map(Problem::everywhere));
        }
    }
    let listeners: usize = options.services.iter().map(|it| it.listeners.len()).sum();
    let summary = format!(
        "valid; {}, {}",
        count(options.services.len(), "service"),
        count(listeners, "listener")
    );
    Ok((Problems::new(Some(file), problems), summary))
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// Each on a line of its own.
fn print_problems(problems: &Problems) -> ExitCode {
    use std::io::Write;
    for line in problems.lines() {
        let _ = writeln!(std::io::stderr(), "{}", harmless(line.as_bytes()));
    }
    ExitCode::from(2)
}
