//! What a sandbox holds its guests to. Defaults and flags are the server's
//! business; the sandbox has none of its own.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

/// What the pools of instances are made for. They can't be changed later.
#[derive(Clone, Debug)]
pub struct PoolLimits {
    /// Connections with an instance at once; the pools have some room more.
    pub max_connections: usize,
    /// Stack of one guest in bytes; deeper recursion traps.
    pub max_stack: usize,
    /// Elements of all tables of one instance.
    pub max_table: usize,
    /// Whether the memory of an instance that is gone is kept for the next one.
    /// Then connections that come and go cost no `madvise` and few page faults,
    /// and what they used stays resident: wrong where instances hibernate.
    pub keep_memory: bool,
}

/// Limits of each instance, each event and each component.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Memory of one instance in bytes, all of its linear memories together.
    pub max_memory: usize,
    /// Elements of all tables of one instance.
    pub max_table: usize,
    /// CPU time of one event.
    pub cpu_budget: Duration,
    /// The same for those in which an instance starts: `listening` and `open`.
    pub start_budget: Duration,
    /// Wall-clock time of one event, with its waits for its turn.
    pub event_timeout: Duration,
    /// Size of what `save` may return, in bytes.
    pub max_snapshot: usize,
    /// Bytes that may be queued for the peer. The session enforces it; the sandbox
    /// derives from it what one call may pass.
    pub max_queue: usize,
    /// Timers that one event may set.
    pub max_timers: usize,
    /// Longest guest line in bytes; the rest of a longer one is cut.
    pub max_line: usize,
    /// Lines that one instance may print in a second; more are dropped.
    pub max_lines: u32,
    /// Largest component, in bytes.
    pub max_component: usize,
    /// Address space of a compilation in a process of its own, in bytes.
    pub compile_memory: usize,
    /// Wall-clock time of a compilation.
    pub compile_timeout: Duration,
}

/// The limits of a sandbox, which its owner may change while guests run. Whoever needs
/// several of them takes [`Self::current`] once.
#[derive(Debug)]
pub(crate) struct LiveLimits(RwLock<Arc<Limits>>);

impl LiveLimits {
    pub fn new(limits: Limits) -> Self {
        LiveLimits(RwLock::new(Arc::new(limits)))
    }

    pub fn current(&self) -> Arc<Limits> {
        Arc::clone(&self.0.read())
    }

    pub fn set(&self, limits: Limits) {
        *self.0.write() = Arc::new(limits);
    }
}

/// What any guest may pass in one call, in bytes: a write that is much too large is
/// answered and doesn't trap, and as it isn't copied it costs nothing.
const MAX_TRANSFER: usize = 64 << 20;
/// The same for a guest that imports WASI, whose functions copy what they get.
const MAX_WASI_TRANSFER: usize = 1 << 20;

impl Limits {
    /// What a guest may pass to the host in one call, in bytes, and in any case twice
    /// what may be queued.
    pub fn max_transfer(&self, imports_wasi: bool) -> usize {
        let queue = self.max_queue.saturating_mul(2);
        queue.max(match imports_wasi {
            true => MAX_WASI_TRANSFER,
            false => MAX_TRANSFER,
        })
    }
}
