//! The flags about limits, and what happens after a trap. [`limits`] makes [`Limits`] of all
//! flags that say something about them.

use std::time::Duration;

use super::compile::CompileFlags;
use super::connections::ConnectionFlags;
use crate::limits::{Limits, OnTrap, WhenFull};
use crate::{duration, size};

const TRAPS: &str = "Traps";

/// Their heading.
pub(in crate::cli) const LIMITS: &str =
    "Limits (SIZE in bytes, or 512K, 64M, 1G; TIME as 500ms, 30s, 5m, 1h)";

/// See the module's documentation.
#[derive(Debug, clap::Args)]
pub(super) struct LimitFlags {
    /// What happens to a connection whose instance has trapped
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Limits::default().on_trap, help_heading = TRAPS, hide_short_help = true)]
    pub(super) on_trap: OnTrap,

    /// With --on-trap restart: take a snapshot after every N events
    #[arg(long, value_name = "N", default_value_t = Limits::default().snapshot_every, help_heading = TRAPS, hide_short_help = true)]
    pub(super) snapshot_every: u32,

    /// With --on-trap restart: restarts of one connection within ten seconds
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_restarts, help_heading = TRAPS, hide_short_help = true)]
    pub(super) max_restarts: usize,

    /// Open connections
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_connections, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_connections: usize,

    /// What happens to connections beyond --max-connections
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Limits::default().when_full, help_heading = LIMITS, hide_short_help = true)]
    pub(super) when_full: WhenFull,

    /// Open connections from one IP address [default: none]
    #[arg(long, value_name = "N", help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_per_peer: Option<usize>,

    /// Memory of one instance
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_memory), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_memory: usize,

    /// Table elements of one instance
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_table, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_table: usize,

    /// Stack of one instance
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_stack), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_stack: usize,

    /// CPU time of one event
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().cpu_budget), value_parser = duration::parse, help_heading = LIMITS, hide_short_help = true)]
    pub(super) cpu_budget: Duration,

    /// CPU time of `open` and `listening` instead of --cpu-budget, for scripts whose modules run in each instance [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = LIMITS, hide_short_help = true)]
    pub(super) start_budget: Option<Duration>,

    /// Wall-clock time of one event, for guests that wait in WASI
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().event_timeout), value_parser = duration::parse, help_heading = LIMITS, hide_short_help = true)]
    pub(super) event_timeout: Duration,

    /// Bytes queued for one peer
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_queue), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_queue: usize,

    /// Size of one connection's snapshot
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_snapshot), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_snapshot: usize,

    /// Timers of one connection
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_timers, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_timers: usize,

    /// Topics and patterns that one connection may have subscribed to
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_subscriptions, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_subscriptions: usize,

    /// Messages that may wait for one connection
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_mailbox), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_mailbox: usize,

    /// What one connection may publish in a second, in bytes times receivers
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_fan_out), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_fan_out: usize,

    /// Keys and values of the store, all together
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_store_size), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_store_size: usize,

    /// Keys of the store
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_store_keys, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_store_keys: usize,

    /// Length of a line that a guest prints; the rest is cut
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_line), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_line: usize,

    /// Lines per second that the guest of one connection prints; more are dropped
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_lines, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_lines: u32,

    /// Size of a component
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_component), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    pub(super) max_component: usize,
}

/// The limits that these flags and `--max-handshakes` stand for. They are not yet validated.
pub(super) fn limits(
    limits: &LimitFlags,
    compile: &CompileFlags,
    connections: &ConnectionFlags,
    max_handshakes: usize,
) -> Limits {
    Limits {
        max_memory: limits.max_memory,
        max_table: limits.max_table,
        max_stack: limits.max_stack,
        max_timers: limits.max_timers,
        max_subscriptions: limits.max_subscriptions,
        max_mailbox: limits.max_mailbox,
        max_fan_out: limits.max_fan_out,
        max_store_size: limits.max_store_size,
        max_store_keys: limits.max_store_keys,
        max_line: limits.max_line,
        max_lines: limits.max_lines,
        compile_timeout: compile.compile_timeout,
        compile_memory: compile.compile_memory,
        when_full: limits.when_full,
        max_per_peer: limits.max_per_peer,
        cpu_budget: limits.cpu_budget,
        start_budget: limits.start_budget,
        event_timeout: limits.event_timeout,
        max_queue: limits.max_queue,
        max_snapshot: limits.max_snapshot,
        max_component: limits.max_component,
        max_connections: limits.max_connections,
        handshake_timeout: connections.handshake_timeout,
        max_handshakes,
        write_timeout: connections.write_timeout,
        idle_timeout: connections.idle_timeout,
        hibernate_after: connections.hibernate_after,
        grace: connections.grace,
        linger: connections.linger,
        half_close_timeout: connections.half_close_timeout,
        on_trap: limits.on_trap,
        snapshot_every: limits.snapshot_every,
        max_restarts: limits.max_restarts,
    }
}
