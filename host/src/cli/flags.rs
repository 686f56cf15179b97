//! The flags of a server: those that `serve` and `dev` share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction;
use tracing::level_filters::LevelFilter;

use super::parse::{self, After};
use crate::limits::{Limits, OnTrap, WhenFull};
use crate::listener::SocketOptions;
use crate::log::Format;
use crate::registry::{Policy, Rules};
use crate::runtime::{CachePlace, Grants};
use crate::server::{Control, Options};
use crate::{duration, size};

/// What can be said to a server, whatever it serves.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// An address to listen on; may be given several times. Port 0 takes a free one. A guest may
    /// name another port than the default [default: 127.0.0.1:3000]
    #[arg(long, short, value_name = "ADDR", value_parser = parse::address)]
    listen: Vec<SocketAddr>,

    /// Where the control socket is made [default: in the user's runtime directory]
    #[arg(long, value_name = "PATH|none", value_parser = parse::control)]
    control: Option<Control>,

    /// Where compiled code is kept [default: in the user's cache directory]
    #[arg(long, value_name = "DIR|none", value_parser = parse::code_cache)]
    code_cache: Option<CachePlace>,

    /// What a swap does with open connections: migrate, drain[=30s], close or new-only
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "migrate",
        help_heading = "Swapping"
    )]
    on_swap: Policy,

    /// Undo a swap when N of the first M migrated connections fail on it, as N/M, or never
    #[arg(long, value_name = "N/M", default_value = "3/10", value_parser = parse::rollback_after, help_heading = "Swapping")]
    rollback_after: After,

    /// Generations kept compiled for rollback
    #[arg(long, value_name = "N", default_value = "5", value_parser = parse::count, help_heading = "Swapping")]
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
    #[arg(long, value_name = "N", default_value = "10000", value_parser = parse::count, help_heading = LIMITS, hide_short_help = true)]
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
    #[arg(long, value_name = "SIZE", default_value = "512K", value_parser = parse::stack, help_heading = LIMITS, hide_short_help = true)]
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
    #[arg(long, value_name = "DIR", value_parser = parse::directory, help_heading = GRANTS, hide_short_help = true)]
    dir: Vec<(PathBuf, String)>,

    /// Let guests see an environment variable, as NAME or NAME=VALUE; may be given several times
    #[arg(long, value_name = "VAR", value_parser = parse::variable, help_heading = GRANTS, hide_short_help = true)]
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

impl Flags {
    /// The guest is still to be named.
    pub(super) fn options(self) -> (Options, Format, LevelFilter) {
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
            label: self.label,
        };
        (options, self.log_format, self.log_level)
    }
}
