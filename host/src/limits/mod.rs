//! Every limit of the server in one place, with its default.
//!
//! Each limit is set by the flag of the same name of `hotsocket serve`
//! (`max_memory`: `--max-memory`). [`Limits::default`] is the only place with
//! defaults and [`Limits::settings`] the only one with ranges: the flags, their
//! help and the documentation take them from here. What happens when a limit is
//! reached is up to the module that enforces it; that is counted in
//! [`hotsocket_sandbox::limit_counters`] and documented in `docs/limits.md`.

mod setting;

use std::time::Duration;

use clap::ValueEnum;
use hotsocket_sandbox::PoolLimits;

pub use setting::{LimitError, Setting, Value};

use crate::store::StoreLimits;

/// What one guest, one connection and the server as a whole may use.
///
/// Take what you don't care about from the default, and check the result; a
/// [`Node`](crate::node::Node) checks it when it starts:
///
/// ```
/// use hotsocket::limits::Limits;
///
/// let limits = Limits { max_connections: 100, ..Limits::default() };
/// assert!(limits.validate().is_ok());
/// let none = Limits { max_connections: 0, ..Limits::default() };
/// assert_eq!(
///     none.validate().unwrap_err().to_string(),
///     "--max-connections 0 is out of range: it must be from 1 to 10000000"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of one instance, in bytes: all of its linear memories together.
    pub max_memory: usize,
    /// Elements of one instance's tables, all together.
    pub max_table: usize,
    /// CPU time of one event.
    pub cpu_budget: Duration,
    /// CPU time of `listening` and of `open`; [`Self::cpu_budget`] if not set.
    pub start_budget: Option<Duration>,
    /// Wall-clock time of one event, for guests that wait in WASI.
    pub event_timeout: Duration,
    /// Bytes that may be queued for one peer.
    pub max_queue: usize,
    /// Size of one connection's snapshot, in bytes.
    pub max_snapshot: usize,
    /// Length of a line that a guest prints, in bytes; longer ones are cut.
    pub max_line: usize,
    /// Lines that one instance may print per second; more are dropped.
    pub max_lines: u32,
    /// Stack of one instance, in bytes.
    pub max_stack: usize,
    /// Timers that one connection may have set at a time.
    pub max_timers: usize,
    /// Topics and patterns that one connection may have subscribed to.
    pub max_subscriptions: usize,
    /// Messages that may wait for one connection, in bytes; each counts 64 and its
    /// topic in addition.
    pub max_mailbox: usize,
    /// What one connection may publish in a second, in bytes times receivers; each
    /// message counts 64 bytes in addition.
    pub max_fan_out: usize,
    /// What the store may have, in bytes of keys and values; each key counts 192 in
    /// addition.
    pub max_store_size: usize,
    /// Keys of the store, in all buckets together.
    pub max_store_keys: usize,
    /// Size of a component, in bytes.
    pub max_component: usize,
    /// How long compiling a component may take.
    pub compile_timeout: Duration,
    /// Address space of the process that compiles a component, in bytes.
    pub compile_memory: usize,
    /// Open connections.
    pub max_connections: usize,
    /// What happens to connections beyond [`Self::max_connections`].
    pub when_full: WhenFull,
    /// Open connections from one IP address; `None`: as many as all together.
    pub max_per_peer: Option<usize>,
    /// How long the handshake of a connection may take, before an instance is
    /// made for it.
    pub handshake_timeout: Duration,
    /// TLS handshakes of a listener's options that may be going on at once.
    pub max_handshakes: usize,
    /// How long a peer may read nothing of what is queued for it.
    pub write_timeout: Duration,
    /// How long a connection may be silent in both directions; `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// How long a connection is idle before it hibernates; `None`: it never
    /// does.
    pub hibernate_after: Option<Duration>,
    /// How long connections may go on after a signal to stop; and how long closing one
    /// waits until what is queued has been sent.
    pub grace: Duration,
    /// How long to read and discard after our FIN. Closing a socket with unread
    /// bytes resets the connection, and a reply on its way is lost
    /// (RFC 1122, section 4.2.2.13).
    pub linger: Duration,
    /// What happens to a connection when its instance has trapped.
    pub on_trap: OnTrap,
    /// With [`OnTrap::Restart`]: a snapshot is taken after this many events.
    pub snapshot_every: u32,
    /// With [`OnTrap::Restart`]: restarts of one connection within ten seconds.
    pub max_restarts: usize,
    /// How long to wait for a silent peer after the guest has ended its side.
    pub half_close_timeout: Duration,
}

/// What happens to connections beyond [`Limits::max_connections`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WhenFull {
    /// They wait in the kernel's backlog until others have closed.
    #[default]
    Wait,
    /// They are reset.
    Refuse,
}

/// What happens to a connection when its instance has trapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnTrap {
    /// It is closed.
    #[default]
    Close,
    /// It gets a new instance, which restores its last snapshot.
    Restart,
}

/// Bytes that one `data` event carries at most.
pub const READ_SIZE: usize = 64 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_memory: 64 << 20,
            max_table: 100_000,
            cpu_budget: Duration::from_millis(100),
            start_budget: None,
            event_timeout: Duration::from_secs(5),
            max_queue: 8 << 20,
            max_snapshot: 1 << 20,
            // `hello` prints a `data` event of 64 KiB whole, even if each byte
            // becomes U+FFFD.
            max_line: 256 << 10,
            max_lines: 100_000,
            max_stack: 512 << 10,
            max_timers: 64,
            max_subscriptions: 128,
            max_mailbox: 1 << 20,
            max_fan_out: 64 << 20,
            max_store_size: 256 << 20,
            max_store_keys: 1_000_000,
            max_component: 256 << 20,
            compile_timeout: Duration::from_secs(180),
            compile_memory: 2 << 30,
            max_connections: 10_000,
            when_full: WhenFull::default(),
            max_per_peer: None,
            handshake_timeout: Duration::from_secs(10),
            max_handshakes: 1_000,
            write_timeout: Duration::from_secs(30),
            idle_timeout: None,
            hibernate_after: None,
            // With the linger time less than the 10 s after which Docker kills.
            grace: Duration::from_secs(7),
            linger: Duration::from_secs(2),
            on_trap: OnTrap::default(),
            snapshot_every: 1,
            max_restarts: 3,
            half_close_timeout: Duration::from_secs(60),
        }
    }
}

/// A time that is not zero, in the unit that timers have.
const SHORTEST: Duration = Duration::from_millis(1);
/// Set on sockets, too, as TCP_USER_TIMEOUT (tcp(7)), which is an `int` of
/// milliseconds: 24 days.
pub(crate) const MAX_WRITE_TIMEOUT: Duration = Duration::from_secs(24 * 24 * 3600);

impl Limits {
    /// Every limit by the name of its flag, with its value and its range: what
    /// is checked, shown as default on the help page, and documented.
    ///
    /// Ranges keep out what would panic or overflow elsewhere, and what only
    /// looks like a limit: with zero for most of them no connection would get
    /// anywhere.
    pub fn settings(&self) -> Vec<Setting> {
        // Tokio's semaphores hold more (`Semaphore::MAX_PERMITS`), machines
        // fewer: each connection takes a file descriptor.
        let connections = 1..=10_000_000;
        let times = SHORTEST..=crate::duration::MAX;
        let times_or_none = Duration::ZERO..=crate::duration::MAX;
        vec![
            Setting::number("max-connections", self.max_connections, connections.clone()),
            Setting::number("max-per-peer", self.max_per_peer, connections.clone()),
            Setting::number("max-handshakes", self.max_handshakes, connections),
            // From one page to all that 16 memories of 4 GiB have.
            Setting::size("max-memory", self.max_memory, 64 << 10..=64 << 30),
            // What WebAssembly's JavaScript API allows one table, and wasmtime.
            Setting::number("max-table", self.max_table, 0..=10_000_000),
            // Each serving thread and each fiber has one.
            Setting::size("max-stack", self.max_stack, 16 << 10..=256 << 20),
            Setting::time("cpu-budget", self.cpu_budget, times.clone()),
            Setting::time("start-budget", self.start_budget, times.clone()),
            Setting::time("event-timeout", self.event_timeout, times.clone()),
            Setting::size("max-queue", self.max_queue, 1..=4 << 30),
            // Comes from a guest's memory, which has 4 GiB at most.
            Setting::size("max-snapshot", self.max_snapshot, 0..=4 << 30),
            // A timer costs as much time as there are others.
            Setting::number("max-timers", self.max_timers, 0..=10_000),
            // Each is found by a walk over all of a connection's.
            Setting::number("max-subscriptions", self.max_subscriptions, 0..=10_000),
            // The longest message with its topic, at least.
            Setting::size("max-mailbox", self.max_mailbox, 128 << 10..=4 << 30),
            Setting::size("max-fan-out", self.max_fan_out, 1 << 10..=1 << 40),
            Setting::size("max-store-size", self.max_store_size, 0..=1 << 40),
            Setting::number("max-store-keys", self.max_store_keys, 0..=1_000_000_000),
            // Half of the output's buffer, or a line might never fit.
            Setting::size("max-line", self.max_line, 1..=2 << 20),
            Setting::number("max-lines", self.max_lines as usize, 0..=u32::MAX as usize),
            // Offsets in WebAssembly's binary format have 32 bits.
            Setting::size("max-component", self.max_component, 1..=4 << 30),
            Setting::time("compile-timeout", self.compile_timeout, times.clone()),
            // The program itself takes a good part of the least.
            Setting::size("compile-memory", self.compile_memory, 256 << 20..=1 << 40),
            Setting::number(
                "snapshot-every",
                self.snapshot_every as usize,
                1..=u32::MAX as usize,
            ),
            Setting::number("max-restarts", self.max_restarts, 0..=10_000),
            Setting::time("handshake-timeout", self.handshake_timeout, times.clone()),
            Setting::time(
                "write-timeout",
                self.write_timeout,
                SHORTEST..=MAX_WRITE_TIMEOUT,
            ),
            Setting::time("idle-timeout", self.idle_timeout, times.clone()),
            Setting::time("hibernate-after", self.hibernate_after, times.clone()),
            Setting::time("half-close-timeout", self.half_close_timeout, times),
            Setting::time("grace", self.grace, times_or_none.clone()),
            Setting::time("linger", self.linger, times_or_none),
        ]
    }

    /// Check that every limit is in its range.
    ///
    /// # Errors
    /// Names the first one that isn't.
    pub fn validate(&self) -> Result<(), LimitError> {
        self.settings().iter().try_for_each(Setting::validate)
    }

    /// What the pools of instances are made for.
    pub fn pool(&self) -> PoolLimits {
        PoolLimits {
            max_connections: self.max_connections,
            max_stack: self.max_stack,
            max_table: self.max_table,
            keep_memory: self.hibernate_after.is_none(),
        }
    }

    /// What the store may have.
    pub fn store(&self) -> StoreLimits {
        StoreLimits {
            max_size: self.max_store_size,
            max_keys: self.max_store_keys,
        }
    }

    /// What instances, events and components are held to.
    pub fn sandbox(&self) -> hotsocket_sandbox::Limits {
        hotsocket_sandbox::Limits {
            max_memory: self.max_memory,
            max_table: self.max_table,
            cpu_budget: self.cpu_budget,
            start_budget: self.start_budget.unwrap_or(self.cpu_budget),
            event_timeout: self.event_timeout,
            max_snapshot: self.max_snapshot,
            max_queue: self.max_queue,
            max_timers: self.max_timers,
            max_line: self.max_line,
            max_lines: self.max_lines,
            max_component: self.max_component,
            compile_memory: self.compile_memory,
            compile_timeout: self.compile_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_range() {
        assert_eq!(Limits::default().validate(), Ok(()));
    }

    /// The name and the value of what `change` makes invalid.
    fn rejected(change: impl FnOnce(&mut Limits)) -> String {
        let mut limits = Limits::default();
        change(&mut limits);
        limits.validate().expect_err("out of range").to_string()
    }

    #[test]
    fn what_would_panic_elsewhere_is_rejected() {
        for (message, limit) in [
            (
                // tokio's `Semaphore::new`.
                rejected(|limits| limits.max_connections = usize::MAX),
                "--max-connections 18446744073709551615 is out of range: it must be from 1 to 10000000",
            ),
            (
                // `thread_stack_size` overflows.
                rejected(|limits| limits.max_stack = usize::MAX),
                "--max-stack 18446744073709551615 is out of range: it must be from 16K to 256M",
            ),
            (
                // `Instant + Duration` overflows.
                rejected(|limits| limits.grace = Duration::MAX),
                "--grace 18446744073709551615999ms is out of range: it must be from 0s to 87600h",
            ),
        ] {
            assert_eq!(message, limit);
        }
    }

    #[test]
    fn zero_is_rejected_where_it_is_no_limit() {
        let zero = Duration::ZERO;
        for message in [
            rejected(|limits| limits.max_connections = 0),
            rejected(|limits| limits.max_per_peer = Some(0)),
            rejected(|limits| limits.cpu_budget = zero),
            rejected(|limits| limits.event_timeout = zero),
            rejected(|limits| limits.max_line = 0),
            rejected(|limits| limits.max_queue = 0),
            rejected(|limits| limits.handshake_timeout = zero),
            rejected(|limits| limits.write_timeout = zero),
            rejected(|limits| limits.idle_timeout = Some(zero)),
            rejected(|limits| limits.hibernate_after = Some(zero)),
            rejected(|limits| limits.compile_timeout = zero),
            rejected(|limits| limits.snapshot_every = 0),
        ] {
            assert!(message.contains("is out of range"), "{message}");
        }
        let limits = Limits {
            grace: zero,
            linger: zero,
            max_restarts: 0,
            max_timers: 0,
            max_snapshot: 0,
            max_lines: 0,
            ..Limits::default()
        };
        assert_eq!(limits.validate(), Ok(()));
    }
}
