//! `hotsocket [serve]`.

use std::future::pending;
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hotsocket_sandbox::ComponentBytes;
use tokio::runtime::Runtime;

use super::configuration::{Given, InForce, load};
use super::flags::{Config, Flags, WrongFlags};
use super::reload::Reloader;
use super::signals::{Asked, Signals};
use super::supervisor::Supervisor;
use super::{failed, wrong_usage};
use crate::drain::Order;
use crate::listener::Inherited;
use crate::node::{Guest, Node, Options, Place, ServiceListener, ServiceOptions, StartError};
use crate::output::Output;
use crate::{build, descriptors, listener, log};

/// How long writing the last lines may take when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// How long closing the connections may take after a second signal, and after a first one
/// at least: enough for a farewell to a peer that reads.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Stack that a worker thread needs besides that of the guests it calls, in
/// bytes.
pub(super) const THREAD_STACK: usize = 2 << 20;

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

    /// Another guest, to say what two take.
    #[arg(hide = true)]
    second: Option<PathBuf>,

    /// Read the configuration from this file (TOML); flags override what it says
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    flags: Flags,

    /// Don't swap when the guest's file changes
    #[arg(long)]
    no_watch: bool,
}

/// Let it drain for the grace time. Returns when it is to be gone: closing what is left then
/// takes no longer than the linger time.
fn drain_by_signal(server: &Node) -> Instant {
    let grace = server.grace();
    server.drain().begin(Order::by_signal(grace));
    Instant::now() + grace + server.linger().max(AT_ONCE)
}

/// Serve until the server has drained and is to end, or a second signal says to stop now;
/// the first lets it drain. Read the configuration again when it changes, or a signal asks
/// for that. Returns how long closing what is left may take.
async fn serve_until_end(
    server: &mut Node,
    signals: &mut Signals,
    supervisor: &Supervisor,
    mut reloader: Option<&mut Reloader>,
) -> Duration {
    // When whoever has sent a signal finds the server gone.
    let mut end: Option<Instant> = None;
    let (drain, left) = (Arc::clone(server.drain()), server.left());
    let show = async {
        drain.begun().await;
        supervisor.show_left("draining", left).await
    };
    let mut show = std::pin::pin!(show);
    loop {
        let changed = async {
            match &mut reloader {
                Some(reloader) => reloader.changed().await,
                None => pending().await,
            }
        };
        let asked = tokio::select! {
            () = changed => Asked::Reload,
            asked = signals.next() => asked,
            () = drain.has_ended() => return match end {
                Some(end) => end.saturating_duration_since(Instant::now()),
                None => Duration::MAX,
            },
            never = &mut show => match never {},
        };
        match asked {
            Asked::Stop if end.is_some() => return AT_ONCE,
            Asked::Stop => {
                end = Some(drain_by_signal(server));
                continue;
            }
            Asked::Reload => {}
        }
        let Some(reloader) = &mut reloader else {
            continue;
        };
        supervisor.reloading();
        let stop = tokio::select! {
            () = reloader.reload(server) => None,
            code = signals.stop() => Some(code),
            // It is refused in the end, but may take minutes to build a guest.
            () = drain.has_ended() => None,
        };
        supervisor.reloaded(drain.has_begun());
        match stop {
            None => {}
            Some(_) if end.is_some() => return AT_ONCE,
            Some(_) => {
                end = Some(drain_by_signal(server));
            }
        }
    }
}

impl Args {
    /// The configuration file that they name.
    pub(super) fn file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// What the flags stand for, without a file. A guest that is a source is not built.
    ///
    /// # Errors
    /// When a value is out of its range.
    pub(super) fn config(self) -> Result<Config, WrongFlags> {
        let mut config = self.flags.config()?;
        for service in &mut config.options.services {
            service.guest = match &self.guest {
                Some(guest) => Guest::File(guest.clone()),
                None => Guest::BuiltIn,
            };
            service.watch = !self.no_watch;
        }
        Ok(config)
    }
}

pub fn run(args: &Args, given: &Given, began: Instant) -> ExitCode {
    if let Some(second) = &args.second {
        let first = args.guest.clone().unwrap_or_default();
        return wrong_usage(format!(
            "one guest is served without a file of services: serve each with a server of its \
             own, `hotsocket {} --port 3000` and `hotsocket {} --port 3001`, or name both in a \
             file for --config",
            first.display(),
            second.display()
        ));
    }
    let file = args.config.as_deref();
    let loaded = match load(file, given) {
        Ok(loaded) => loaded,
        Err(problems) => return wrong_usage(problems),
    };
    let in_force = InForce::new(&loaded);
    let mut config = loaded.config;
    let mut hint = None;
    for service in &mut config.options.services {
        match build_source(service) {
            Ok(None) => {}
            Ok(Some(name)) if file.is_none() => hint = Some(name),
            Ok(Some(_)) => {}
            Err(error) => return failed(error),
        }
    }
    // Before there are threads: what the environment says of them is removed from it.
    let inherited = match listener::inherited() {
        Ok(inherited) => inherited,
        Err(error) => return failed(error),
    };
    if let Err(error) = adopt(&mut config.options.services, &inherited) {
        return failed(error);
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
        let mut server = tokio::select! {
            started = starting => started?,
            _ = signals.stop() => {
                tracing::info!(kind = "stopped", cut_off = 0, "stopped before it was ready");
                return Ok(ExitCode::SUCCESS);
            }
        };
        let supervisor = Supervisor::ready();
        let file = file.map(Path::to_owned);
        let mut reloader = file.map(|file| Reloader::new(file, given.clone(), inherited, in_force));
        let within =
            serve_until_end(&mut server, &mut signals, &supervisor, reloader.as_mut()).await;
        Ok(stop(server, &mut signals, Some(&supervisor), within).await)
    })
}

/// Let services listen on sockets that listen already, in addition to the addresses that
/// they name: the only service on all of them, one of several on those with its name.
pub(super) fn adopt(
    services: &mut [ServiceOptions],
    inherited: &[Inherited],
) -> Result<(), String> {
    let is_only = services.len() == 1;
    for socket in inherited {
        let mut named = services.iter_mut();
        let Some(service) = named.find(|service| is_only || service.name() == socket.name) else {
            let names: Vec<_> = services.iter().map(ServiceOptions::name).collect();
            return Err(format!(
                "no service is called {:?}, as the socket from systemd is for {} \
                 (FileDescriptorName=); there are: {}",
                socket.name,
                socket.address,
                names.join(", ")
            ));
        };
        let Some(first) = service.listeners.first().cloned() else {
            continue;
        };
        // With such a socket there is no default address.
        service
            .listeners
            .retain(|listener| !matches!(listener.place, Place::OfGuest));
        let is_inherited = |it: &&ServiceListener| matches!(it.place, Place::Inherited(_));
        let before = service.listeners.iter().filter(is_inherited).count();
        let adopted = ServiceListener {
            name: socket.name.clone(),
            place: Place::Inherited(socket.clone()),
            ..first
        };
        service.listeners.insert(before, adopted);
    }
    Ok(())
}

/// Build the guest of a service if it is a source. Returns what it is called then.
pub(super) fn build_source(service: &mut ServiceOptions) -> Result<Option<String>, build::Error> {
    let Guest::File(guest) = &service.guest else {
        return Ok(None);
    };
    if !build::is_source(guest) {
        return Ok(None);
    }
    let (name, component) = built(guest)?;
    let hint = name.display().to_string();
    service.guest = Guest::Built { name, component };
    Ok(Some(hint))
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
    descriptors::raise_limit(options.connections());
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

/// Close every connection and end the server. Closing takes at most the grace and linger
/// times, and at most `within`; one more signal after the first ends the server at once.
pub(super) async fn stop(
    server: Node,
    signals: &mut Signals,
    supervisor: Option<&Supervisor>,
    within: Duration,
) -> ExitCode {
    let left = server.left_while_stopping();
    if let Some(supervisor) = supervisor {
        supervisor.stopping();
    }
    let show = async {
        match supervisor {
            Some(supervisor) => supervisor.show_left("stopping", left).await,
            None => pending().await,
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
    let at_once = async {
        if !signals.has_stop_come() {
            // The end of a drain by a command. What the first signal asks for happens already.
            signals.stop().await;
        }
        signals.stop().await
    };
    tokio::select! {
        () = server.shut_down(within) => ExitCode::SUCCESS,
        never = show => match never {},
        code = at_once => {
            tracing::warn!("stopped at once");
            code
        }
    }
}
