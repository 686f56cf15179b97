//! `hotsocket [serve]`.

use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hotsocket_sandbox::ComponentBytes;
use tokio::runtime::Runtime;

use super::flags::{Config, Flags};
use super::signals::Signals;
use super::supervisor::Supervisor;
use super::{failed, wrong_usage};
use crate::listener::Inherited;
use crate::node::{Guest, Node, Options, Place, ServiceListener, ServiceOptions, StartError};
use crate::output::Output;
use crate::{build, descriptors, listener, log};

/// How long writing the last lines may take when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Stack that a worker thread needs besides that of the guests it calls, in
/// bytes.
const THREAD_STACK: usize = 2 << 20;

/// Threads for what WASI can only do by blocking, in all guests together.
const MAX_BLOCKING_THREADS: usize = 16;

/// How long such a thread waits for more. They stay: without any, tokio panics
/// where the system refuses a new one.
const KEEP_ALIVE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Serve a guest
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Component (.wasm), or source for `hotsocket build` (a file: .rs, .js, .ts, .py, .c…, or a
    /// directory), which is built first if it has changed [default: the built-in hello]
    guest: Option<PathBuf>,

    /// Another guest, to say that there is only one.
    #[arg(hide = true)]
    second: Option<PathBuf>,

    #[command(flatten)]
    flags: Flags,

    /// Don't swap when the guest's file changes
    #[arg(long)]
    no_watch: bool,
}

pub fn run(args: Args, began: Instant) -> ExitCode {
    if let Some(second) = &args.second {
        let first = args.guest.unwrap_or_default();
        return wrong_usage(format!(
            "a server has one guest: serve each with a server of its own, `hotsocket {} --port \
             3000` and `hotsocket {} --port 3001`",
            first.display(),
            second.display()
        ));
    }
    let mut config = match args.flags.config() {
        Ok(config) => config,
        Err(error) => return wrong_usage(error),
    };
    let mut hint = None;
    let guest = match args.guest {
        Some(guest) if build::is_source(&guest) => match built(&guest) {
            Ok((name, component)) => {
                hint = Some(name.display().to_string());
                Guest::Built { name, component }
            }
            Err(error) => return failed(error),
        },
        Some(guest) => Guest::File(guest),
        None => Guest::BuiltIn,
    };
    // Before there are threads: what the environment says of them is removed from it.
    let inherited = match listener::inherited() {
        Ok(inherited) => inherited,
        Err(error) => return failed(error),
    };
    for service in &mut config.options.services {
        adopt(service, &inherited);
        service.guest = guest.clone();
        // What is built lies in the cache, where nobody overwrites it to swap.
        service.watch = !args.no_watch;
    }
    run_in_runtime(config, async |options, output, mut signals| {
        signals.survive();
        let starting = async {
            let node = Node::start(options, output, began).await?;
            if let Some(hint) = hint {
                tracing::info!("`hotsocket dev {hint}` swaps it on every save");
            }
            Ok::<_, StartError>(node)
        };
        let server = tokio::select! {
            started = starting => started?,
            _ = signals.any() => {
                tracing::info!(kind = "stopped", cut_off = 0, "stopped before it was ready");
                return Ok(ExitCode::SUCCESS);
            }
        };
        let supervisor = Supervisor::ready();
        wait_for_end(&server, &mut signals, &supervisor).await;
        Ok(stop(server, &mut signals, Some(&supervisor)).await)
    })
}

/// Let a service listen on sockets that listen already, in addition to the addresses that
/// it names. With one of them it has no default address.
fn adopt(service: &mut ServiceOptions, inherited: &[Inherited]) {
    let is_default = |listener: &ServiceListener| matches!(listener.place, Place::OfGuest);
    let Some(first) = service.listeners.first().cloned() else {
        return;
    };
    if inherited.is_empty() {
        return;
    }
    service.listeners.retain(|listener| !is_default(listener));
    let adopted = inherited.iter().map(|socket| ServiceListener {
        name: socket.name.clone(),
        place: Place::Inherited(socket.clone()),
        ..first.clone()
    });
    service.listeners.splice(..0, adopted);
}

/// The component of a source, called as the source is.
fn built(guest: &Path) -> Result<(PathBuf, ComponentBytes), build::Error> {
    let name = build::find(guest)?.name;
    let path = build::cached(guest)?;
    let component = std::fs::read(&path).map_err(|error| build::Error::Read { path, error })?;
    Ok((name, ComponentBytes::new(component)))
}

/// Start what a process that serves needs (log, threads, signals), and run
/// `work` in it.
pub(super) fn run_in_runtime(
    config: Config,
    work: impl AsyncFnOnce(Options, Arc<Output>, Signals) -> Result<ExitCode, StartError>,
) -> ExitCode {
    let output = match Output::start(config.guest_lines) {
        Ok(output) => output,
        Err(error) => return failed(format!("cannot start a thread: {error}")),
    };
    let mut options = config.options;
    log::start(&output, config.log_format, config.log_level);
    for service in &mut options.services {
        descriptors::raise_limit(&mut service.limits.max_connections);
    }
    let runtime = start_runtime(THREAD_STACK + options.pool().max_stack);
    let code = match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(async {
                // Before the server logs that it is ready, so that no signal is missed.
                match Signals::listen() {
                    Ok(signals) => match work(options, Arc::clone(&output), signals).await {
                        Ok(code) => code,
                        Err(error) => {
                            log::failed(&output, config.log_format, &error);
                            ExitCode::FAILURE
                        }
                    },
                    Err(error) => failed(format!("cannot handle signals: {error}")),
                }
            });
            // The tasks that still run have used up their grace time.
            runtime.shutdown_background();
            code
        }
        Err(error) => failed(format!("cannot start the server's threads: {error}")),
    };
    output.flush(FLUSH_TIMEOUT);
    code
}

/// Threads that serve, and one for blocking work from the start.
///
/// # Errors
/// Where the system refuses a thread. Tokio panics then, so each thread is tried
/// before; later it queues the work for the blocking threads that it has.
fn start_runtime(stack: usize) -> io::Result<Runtime> {
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    check_threads(workers + 1, stack)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_stack_size(stack)
        // Also those of the blocking pool: one becomes a worker when a worker is kept
        // by a guest.
        .on_thread_start(hotsocket_sandbox::prepare_thread)
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_keep_alive(KEEP_ALIVE)
        .enable_all()
        .build()?;
    runtime.spawn_blocking(|| ());
    Ok(runtime)
}

/// Start so many threads at once, and end them again.
fn check_threads(count: usize, stack: usize) -> io::Result<()> {
    let start = |_| {
        let (end, ended) = std::sync::mpsc::sync_channel::<()>(0);
        let thread = std::thread::Builder::new().stack_size(stack);
        let thread = thread.spawn(move || ended.recv())?;
        Ok((end, thread))
    };
    let threads: io::Result<Vec<_>> = (0..count).map(start).collect();
    for (end, thread) in threads? {
        drop(end);
        // It receives nothing and ends.
        let _ = thread.join();
    }
    Ok(())
}

/// Until a signal comes, or the server has drained and is to end.
async fn wait_for_end(server: &Node, signals: &mut Signals, supervisor: &Supervisor) {
    let (drain, left) = (server.drain(), server.left());
    let show = async {
        drain.begun().await;
        supervisor.show_left("draining", left).await;
    };
    tokio::select! {
        _ = signals.any() => {}
        () = drain.has_ended() => {}
        () = show => {}
    }
}

/// Shut the server down; one more signal stops it at once.
pub(super) async fn stop(
    server: Node,
    signals: &mut Signals,
    supervisor: Option<&Supervisor>,
) -> ExitCode {
    let left = server.left();
    let show = async {
        match supervisor {
            Some(supervisor) => {
                supervisor.stopping();
                supervisor.show_left("stopping", left).await;
            }
            None => std::future::pending().await,
        }
    };
    let open = server.connections();
    if open > 0 {
        tracing::info!(
            kind = "stopping",
            connections = open,
            "stopping: open connections: {open}; Ctrl-C again stops at once"
        );
    }
    tokio::select! {
        () = server.shut_down() => ExitCode::SUCCESS,
        () = show => ExitCode::SUCCESS,
        code = signals.again() => {
            tracing::warn!("stopped at once");
            code
        }
    }
}
