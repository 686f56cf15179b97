//! Every limit of the server in one place, with its default.
//!
//! Each is set by the `serve` flag of the same name; see [`crate::cli::serve`].

use std::time::Duration;

use clap::ValueEnum;
use hotsocket_sandbox::PoolLimits;

/// What one guest, one connection and the server as a whole may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Memory of one instance, in bytes, all of its linear memories together.
    pub max_memory: usize,
    /// Elements of all tables of one instance.
    pub max_table: usize,
    /// CPU time of one event.
    pub cpu_budget: Duration,
    /// Wall-clock time of one event, for guests that wait in WASI.
    pub event_timeout: Duration,
    /// Bytes that one connection may have waiting for its peer.
    pub max_queue: usize,
    /// Size of what `save` may give, in bytes.
    pub max_snapshot: usize,
    /// Longest guest line in bytes; the rest of a longer one is cut.
    pub max_line: usize,
    /// Lines that one instance may print in a second; more are dropped.
    pub max_lines: u32,
    /// Stack of one guest, in bytes; deeper recursion traps.
    pub max_stack: usize,
    /// Timers that one connection may have set at once.
    pub max_timers: usize,
    /// Largest component, in bytes.
    pub max_component: usize,
    /// How long a component may take to compile.
    pub compile_timeout: Duration,
    /// Connections open at once.
    pub max_connections: usize,
    /// What happens to connections beyond that.
    pub when_full: WhenFull,
    /// Connections open at once from one peer address.
    pub max_per_peer: Option<usize>,
    /// How long a peer may take nothing of what waits for it.
    pub write_timeout: Duration,
    /// How long a connection may be silent in both directions.
    pub idle_timeout: Option<Duration>,
    /// How long a connection must be quiet before its instance hibernates;
    /// `None`: instances never do.
    pub hibernate_after: Option<Duration>,
    /// How long a shutdown, or a farewell, waits for what is still queued.
    pub grace: Duration,
    /// How long to read and discard after our FIN, so that closing the socket
    /// does not reset it and destroy a reply on its way.
    pub linger: Duration,
    /// What becomes of a connection whose instance has died.
    pub on_trap: OnTrap,
    /// With [`OnTrap::Restart`], a snapshot is taken after so many events.
    pub snapshot_every: u32,
    /// With [`OnTrap::Restart`], fresh instances that one connection gets
    /// within ten seconds.
    pub max_restarts: usize,
    /// How long a connection that the guest has ended may wait for the next
    /// bytes or the FIN of its peer.
    pub half_close_timeout: Duration,
    /// How long a connection's handshake may take before an instance is made.
    pub handshake_timeout: Duration,
}

/// What happens to connections beyond the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WhenFull {
    /// They wait in the kernel until others have closed.
    #[default]
    Wait,
    /// They are reset.
    Refuse,
}

/// What becomes of a connection whose instance has died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnTrap {
    /// It is closed.
    #[default]
    Close,
    /// It gets a fresh instance with its last snapshot.
    Restart,
}

/// The most that one `data` event carries.
pub const READ_SIZE: usize = 64 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_memory: 64 << 20,
            max_table: 100_000,
            cpu_budget: Duration::from_millis(100),
            event_timeout: Duration::from_secs(5),
            max_queue: 8 << 20,
            max_snapshot: 1 << 20,
            // A full `data` event printed by `hello`, each byte as U+FFFD.
            max_line: 256 << 10,
            max_lines: 100_000,
            max_stack: 512 << 10,
            max_timers: 64,
            max_component: 256 << 20,
            compile_timeout: Duration::from_secs(180),
            max_connections: 10_000,
            when_full: WhenFull::Wait,
            max_per_peer: None,
            write_timeout: Duration::from_secs(30),
            idle_timeout: None,
            hibernate_after: None,
            grace: Duration::from_secs(10),
            linger: Duration::from_secs(2),
            on_trap: OnTrap::Close,
            snapshot_every: 1,
            max_restarts: 3,
            half_close_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// What the pools of instances are made for.
    pub fn pool(&self) -> PoolLimits {
        PoolLimits {
            max_connections: self.max_connections,
            max_stack: self.max_stack,
            max_table: self.max_table,
            keep_memory: self.hibernate_after.is_none(),
        }
    }

    /// What instances, events and components are held to.
    pub fn sandbox(&self) -> hotsocket_sandbox::Limits {
        hotsocket_sandbox::Limits {
            max_memory: self.max_memory,
            max_table: self.max_table,
            cpu_budget: self.cpu_budget,
            event_timeout: self.event_timeout,
            max_snapshot: self.max_snapshot,
            max_timers: self.max_timers,
            max_line: self.max_line,
            max_lines: self.max_lines,
            max_component: self.max_component,
        }
    }
}
