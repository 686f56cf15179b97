//! `hotsocket [serve]`.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::ArgAction;
use hotsocket_sandbox::{CodeCacheDir, Grants, prepare_thread};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::level_filters::LevelFilter;

use super::failed;
use crate::limits::{Limits, OnTrap, WhenFull};
use crate::listener::SocketOptions;
use crate::log::{self, Format};
use crate::node::{Control, Node, Options};
use crate::output::Output;
use crate::registry::Rules;
use crate::rollout::{Policy, RollbackAfter};
use crate::{build, descriptors, duration, size};

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

/// What can be said to a server, whatever it serves.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// An address to listen on; may be given several times. Port 0 takes a free one. A guest may
    /// name another port than the default [default: 127.0.0.1:3000]
    #[arg(long, short, value_name = "ADDR", value_parser = address)]
    listen: Vec<SocketAddr>,

    /// Where the control socket is made [default: in the user's runtime directory]
    #[arg(long, value_name = "PATH|none", value_parser = control)]
    control: Option<Control>,

    /// Where compiled code is kept [default: in the user's cache directory]
    #[arg(long, value_name = "DIR|none", value_parser = code_cache)]
    code_cache: Option<CodeCacheDir>,

    /// What a swap does with open connections: migrate, drain[=30s], close or new-only
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "migrate",
        help_heading = "Swapping"
    )]
    on_swap: Policy,

    /// Undo a swap when N of the first M migrated connections fail on it, as N/M, or never
    #[arg(long, value_name = "N/M", default_value = "3/10", value_parser = rollback_after, help_heading = "Swapping")]
    rollback_after: After,

    /// Generations kept compiled for rollback
    #[arg(long, value_name = "N", default_value = "5", value_parser = count, help_heading = "Swapping")]
    keep: usize,

    /// What to do with a connection whose instance has died
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "close",
        help_heading = "Dead instances",
        hide_short_help = true
    )]
    on_trap: OnTrap,

    /// With --on-trap restart, take a snapshot after every N events
    #[arg(
        long,
        value_name = "N",
        default_value = "1",
        value_parser = clap::value_parser!(u32).range(1..), help_heading = "Dead instances", hide_short_help = true
    )]
    snapshot_every: u32,

    /// With --on-trap restart, fresh instances for one connection within ten seconds
    #[arg(
        long,
        value_name = "N",
        default_value = "3",
        help_heading = "Dead instances",
        hide_short_help = true
    )]
    max_restarts: usize,

    /// Connections open at once
    #[arg(long, value_name = "N", default_value = "10000", value_parser = count, help_heading = LIMITS, hide_short_help = true)]
    max_connections: usize,

    /// What happens to more: they wait until one has closed, or are refused
    #[arg(long, value_name = "WHAT", default_value = "wait", help_heading = LIMITS, hide_short_help = true)]
    when_full: WhenFull,

    /// Connections open at once from one peer address [default: none]
    #[arg(long, value_name = "N", help_heading = LIMITS, hide_short_help = true)]
    max_per_peer: Option<usize>,

    /// Memory of one instance
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    max_memory: usize,

    /// Table elements of one instance
    #[arg(long, value_name = "N", default_value = "100000", help_heading = LIMITS, hide_short_help = true)]
    max_table: usize,

    /// Stack of one instance, 16K to 256M
    #[arg(long, value_name = "SIZE", default_value = "512K", value_parser = stack, help_heading = LIMITS, hide_short_help = true)]
    max_stack: usize,

    /// CPU time of one event
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = duration::parse, help_heading = LIMITS, hide_short_help = true)]
    cpu_budget: Duration,

    /// Time on the clock of one event, for guests that wait
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration::parse, help_heading = LIMITS, hide_short_help = true)]
    event_timeout: Duration,

    /// Bytes that may wait for one peer
    #[arg(long, value_name = "SIZE", default_value = "8M", value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    max_queue: usize,

    /// Size of one connection's snapshot
    #[arg(long, value_name = "SIZE", default_value = "1M", value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    max_snapshot: usize,

    /// Timers of one connection
    #[arg(long, value_name = "N", default_value = "64", help_heading = LIMITS, hide_short_help = true)]
    max_timers: usize,

    /// Length of a line that a guest prints; the rest is cut
    #[arg(long, value_name = "SIZE", default_value = "256K", value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    max_line: usize,

    /// Lines that one connection's guest may print in a second; more are dropped
    #[arg(long, value_name = "N", default_value = "100000", help_heading = LIMITS, hide_short_help = true)]
    max_lines: u32,

    /// Size of a component
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    max_component: usize,

    /// How long a component may take to compile
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = duration::parse, help_heading = LIMITS, hide_short_help = true)]
    compile_timeout: Duration,

    /// A peer that takes nothing for this long loses its connection
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse, help_heading = TIMES, hide_short_help = true)]
    write_timeout: Duration,

    /// A connection on which nothing moves for this long is closed [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = TIMES, hide_short_help = true)]
    idle_timeout: Option<Duration>,

    /// The instance of a connection that is quiet for this long is saved and dropped until the next event [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = TIMES, hide_short_help = true)]
    hibernate_after: Option<Duration>,

    /// How long a shutdown waits for what is still queued
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse, help_heading = TIMES, hide_short_help = true)]
    grace: Duration,

    /// How long a closed connection still listens, so that its last reply arrives
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse, help_heading = TIMES, hide_short_help = true)]
    linger: Duration,

    /// How long a connection ended by the guest waits for its silent peer
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration::parse, help_heading = TIMES, hide_short_help = true)]
    half_close_timeout: Duration,

    /// Silence after which a peer is asked whether it is still there
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration::parse, help_heading = TIMES, hide_short_help = true)]
    keepalive: Duration,

    /// Gather small writes (Nagle's algorithm) instead of sending them at once
    #[arg(long, action = ArgAction::SetTrue, help_heading = TIMES, hide_short_help = true)]
    nagle: bool,

    /// Let guests use a directory, as HOST or HOST::GUEST; may be given several times
    #[arg(long, value_name = "DIR", value_parser = directory, help_heading = GRANTS, hide_short_help = true)]
    dir: Vec<(PathBuf, String)>,

    /// Let guests see an environment variable, as NAME or NAME=VALUE; may be given several times
    #[arg(long, value_name = "VAR", value_parser = variable, help_heading = GRANTS, hide_short_help = true)]
    env: Vec<(String, String)>,

    /// Let guests open sockets of their own
    #[arg(long, help_heading = GRANTS, hide_short_help = true)]
    allow_net: bool,

    /// How the host's log looks
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = LOG)]
    log_format: Format,

    /// What the host's log tells: error, warn, info, debug, trace or off
    #[arg(long, value_name = "LEVEL", default_value = "info", help_heading = LOG)]
    log_level: LevelFilter,

    /// Put the connection's number before each line of its guest
    #[arg(long, help_heading = LOG)]
    label: bool,
}

const LIMITS: &str = "Limits";
const TIMES: &str = "Connections";
const GRANTS: &str = "Grants to guests (nothing is granted by default)";
const LOG: &str = "Output";

/// `None` for `never`.
#[derive(Clone, Copy, Debug)]
struct After(Option<RollbackAfter>);

fn rollback_after(text: &str) -> Result<After, String> {
    RollbackAfter::parse(text).map(After)
}

/// Each serving thread and each fiber has one.
fn stack(text: &str) -> Result<usize, String> {
    const LEAST: usize = 16 << 10;
    const MOST: usize = 256 << 20;
    match size::parse(text)? {
        bytes @ LEAST..=MOST => Ok(bytes),
        _ => Err("not a size from 16K to 256M".to_owned()),
    }
}

/// At least one, and no more than anybody has.
fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=10_000_000) => Ok(count),
        _ => Err("not a number from 1 to 10000000".to_owned()),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    // A port alone, as in `server.listen(3000)`, is one of this machine only.
    let port = text.strip_prefix("localhost").unwrap_or(text);
    let port = port.strip_prefix(':').unwrap_or(port);
    let numeric = match port.parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => text.to_owned(),
    };
    numeric.parse().map_err(|_| {
        "not an IP address with a port; try 127.0.0.1:3000, 0.0.0.0:3000 or [::1]:3000".to_owned()
    })
}

fn control(text: &str) -> Result<Control, String> {
    Ok(match text {
        "none" => Control::None,
        path => Control::At(PathBuf::from(path)),
    })
}

pub(super) fn code_cache(text: &str) -> Result<CodeCacheDir, String> {
    Ok(match text {
        "none" => CodeCacheDir::None,
        path => CodeCacheDir::At(PathBuf::from(path)),
    })
}

fn directory(text: &str) -> Result<(PathBuf, String), String> {
    let (host, guest) = text.split_once("::").unwrap_or((text, text));
    let host = PathBuf::from(host);
    match host.is_dir() {
        true => Ok((host, guest.to_owned())),
        false => Err("there is no such directory".to_owned()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    if let Some((name, value)) = text.split_once('=') {
        return Ok((name.to_owned(), value.to_owned()));
    }
    let value = std::env::var(text)
        .map_err(|_| "not set here; give it a value with NAME=VALUE".to_owned())?;
    Ok((text.to_owned(), value))
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

impl Flags {
    /// The guest is still to be named.
    fn options(self) -> (Options, Format, LevelFilter) {
        let limits = Limits {
            max_memory: self.max_memory,
            max_table: self.max_table,
            max_stack: self.max_stack,
            max_timers: self.max_timers,
            max_line: self.max_line,
            max_lines: self.max_lines,
            compile_timeout: self.compile_timeout,
            when_full: self.when_full,
            max_per_peer: self.max_per_peer,
            cpu_budget: self.cpu_budget,
            event_timeout: self.event_timeout,
            max_queue: self.max_queue,
            max_snapshot: self.max_snapshot,
            max_component: self.max_component,
            max_connections: self.max_connections,
            write_timeout: self.write_timeout,
            idle_timeout: self.idle_timeout,
            hibernate_after: self.hibernate_after,
            grace: self.grace,
            linger: self.linger,
            half_close_timeout: self.half_close_timeout,
            on_trap: self.on_trap,
            snapshot_every: self.snapshot_every,
            max_restarts: self.max_restarts,
            ..Limits::default()
        };
        let options = Options {
            guest: None,
            listen: self.listen,
            sockets: SocketOptions {
                keepalive: self.keepalive,
                user_timeout: self.write_timeout,
                nodelay: !self.nagle,
            },
            limits,
            grants: Grants {
                dirs: self.dir,
                env: self.env,
                net: self.allow_net,
            },
            watch: false,
            control: self.control.unwrap_or(Control::Default),
            rules: Rules {
                policy: self.on_swap,
                rollback_after: self.rollback_after.0,
                keep: self.keep,
            },
            code_cache: self.code_cache.unwrap_or_default(),
        };
        (options, self.log_format, self.log_level)
    }
}

pub fn run(mut args: Args, began: Instant) -> ExitCode {
    if let Err(error) = args.settle() {
        return failed(error);
    }
    in_runtime(args.flags, async |mut options, output, mut signals| {
        options.guest = args.guest;
        options.watch = !args.no_watch;
        match Node::start(options, output, began).await {
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
    let output = match Output::start(flags.label) {
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
                prepare_thread();
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
pub(super) async fn stop(server: Node, signals: &mut Signals) -> ExitCode {
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

/// The signals that end a server.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Wait for one; the exit code that a shell expects after it.
    pub(super) async fn any(&mut self) -> ExitCode {
        tokio::select! {
            _ = self.interrupt.recv() => ExitCode::from(130),
            _ = self.terminate.recv() => ExitCode::from(143),
        }
    }
}
