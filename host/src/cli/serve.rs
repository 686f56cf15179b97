//! `hotsocket [serve]`.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::failed;
use super::flags::Flags;
use super::signals::Signals;
use crate::output::Output;
use crate::server::{Options, Server};
use crate::{build, descriptors, log, runtime};

/// How long the last lines may take to get out when the process ends.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What a serving thread needs beside the stack of a guest that it calls
/// directly.
const THREAD_STACK: usize = 2 << 20;

/// Serve a guest
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The guest: a component (.wasm), or a source that `hotsocket build` takes, built first if it
    /// has changed [default: the built-in hello]
    guest: Option<PathBuf>,

    #[command(flatten)]
    flags: Flags,

    /// Don't swap when the guest's file changes
    #[arg(long)]
    no_watch: bool,
}

impl Args {
    /// Build a guest that is named by its source.
    fn settle(&mut self) -> Result<(), build::Error> {
        if let Some(source) = self.guest.take_if(|guest| build::is_source(guest)) {
            self.guest = Some(build::cached(&source)?);
            // Nobody overwrites what lies in the cache to swap.
            self.no_watch = true;
        }
        Ok(())
    }
}

pub fn run(mut args: Args, began: Instant) -> ExitCode {
    if let Err(error) = args.settle() {
        return failed(error);
    }
    in_runtime(args.flags, async |mut options, output, mut signals| {
        options.guest = args.guest;
        options.watch = !args.no_watch;
        match Server::start(options, output, began).await {
            Ok(server) => {
                signals.any().await;
                stop(server, &mut signals).await
            }
            Err(error) => failed(error),
        }
    })
}

/// Do the work of a process that serves, with the log and the threads for it.
pub(super) fn in_runtime(
    flags: Flags,
    work: impl AsyncFnOnce(Options, Arc<Output>, Signals) -> ExitCode,
) -> ExitCode {
    let output = match Output::start() {
        Ok(output) => output,
        Err(error) => return failed(format!("cannot start a thread: {error}")),
    };
    let (mut options, format, level) = flags.options();
    log::start(&output, format, level);
    descriptors::raise(&mut options.limits.max_connections);
    // Threads that serve are started first; others call no guest.
    let started = AtomicUsize::new(0);
    let serving = std::thread::available_parallelism().map_or(1, NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(THREAD_STACK + options.limits.max_stack)
        .on_thread_start(move || {
            if started.fetch_add(1, Ordering::Relaxed) < serving {
                runtime::ready_thread();
            }
        })
        .enable_all()
        .build();
    let code = match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(async {
                // Before the server says it is ready, so that no signal is missed.
                match Signals::catch() {
                    Ok(signals) => work(options, Arc::clone(&output), signals).await,
                    Err(error) => failed(format!("cannot catch signals: {error}")),
                }
            });
            // Whatever still runs has had its time.
            runtime.shutdown_background();
            code
        }
        Err(error) => failed(format!("cannot start the server's threads: {error}")),
    };
    output.flush(LAST_LINES);
    code
}

/// Shut the server down, or stop at once at one more signal.
pub(super) async fn stop(server: Server, signals: &mut Signals) -> ExitCode {
    let open = server.connections();
    if open > 0 {
        tracing::info!("stopping: connections being closed: {open}; Ctrl-C again stops at once");
    }
    tokio::select! {
        () = server.shut_down() => ExitCode::SUCCESS,
        code = signals.any() => {
            tracing::warn!("stopped at once");
            code
        }
    }
}
