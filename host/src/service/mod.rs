//! A service: one guest with its generations, its open sessions, limits and
//! counters. Listeners bring it connections; the node holds what services share.
//!
//! [`Service::new`] makes it, for the server, for `hotsocket test` and for tests
//! alike. Nothing in it is global, so a process can hold several.
//!
//! - [`counters`]: totals since the start; [`awake`]: what keeps instances awake
//! - [`admission`]: which connections are accepted; [`permits`]: how many
//! - [`lines`]: what its guests print
//!
//! A service knows no socket. Sessions run in tasks of their own (see
//! [`crate::session`]) and hold the service while they live.

mod admission;
mod awake;
mod counters;
mod lines;
mod permits;

use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use hotsocket_sandbox::limit_counters::{LimitCounters, RateLimitedLog};
use hotsocket_sandbox::{CompiledGuest, Sandbox};
use tokio::time::{Instant, timeout_at};

pub use admission::{Refused, SessionPermit};
pub use awake::{AwakeReasons, StaysAwake};
pub use counters::{Counters, TLS_OUTCOMES};
pub use lines::ServiceLines;
pub use permits::{Permit, Permits};

use crate::limits::Limits;
use crate::registry::{Registry, Rules};
use crate::rollout::{Rollouts, Source};
use crate::roster::{Roster, WaitsFor};
use crate::store::Store;
use crate::topics::Topics;

/// Beyond the grace and linger times, what a shutdown waits for sessions that
/// have had theirs.
const SHUTDOWN_MARGIN: Duration = Duration::from_millis(200);

/// The ids of a process' connections, counting up from 1. Shared by all of its
/// services.
#[derive(Clone, Debug, Default)]
pub struct ConnectionIds(Arc<AtomicU64>);

impl ConnectionIds {
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Connections that a shutdown has cut off, by what they waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutOff {
    /// An event of the guest, often `close`, to begin or to end.
    pub guest: usize,
    /// The peer, to take the last bytes.
    pub flush: usize,
    /// The peer, to end its side.
    pub peer_end: usize,
}

impl CutOff {
    /// What those that are open wait for now.
    pub fn of(roster: &Roster) -> Self {
        let mut cut_off = CutOff::default();
        for handle in roster.all() {
            *match handle.waits_for() {
                WaitsFor::Guest => &mut cut_off.guest,
                WaitsFor::Flush => &mut cut_off.flush,
                WaitsFor::PeerEnd => &mut cut_off.peer_end,
            } += 1;
        }
        cut_off
    }

    pub fn total(self) -> usize {
        self.guest + self.flush + self.peer_end
    }
}

impl AddAssign for CutOff {
    fn add_assign(&mut self, more: Self) {
        self.guest += more.guest;
        self.flush += more.flush;
        self.peer_end += more.peer_end;
    }
}

impl fmt::Display for CutOff {
    /// Why, with numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let causes = [
            (
                self.guest,
                "in an event of the guest that did not end in time",
            ),
            (
                self.flush,
                "with a peer that did not take the last bytes in time",
            ),
            (
                self.peer_end,
                "with a peer that did not end its side in time",
            ),
        ];
        let causes = causes.iter().filter(|(count, _)| *count > 0);
        let causes: Vec<_> = causes
            .map(|(count, cause)| format!("{count} {cause}"))
            .collect();
        f.write_str(&causes.join(", "))
    }
}

/// A service and what it is called in metrics, in `top` and by commands.
#[derive(Clone)]
pub struct NamedService {
    pub name: String,
    pub service: Arc<Service>,
    pub store: Arc<dyn Store>,
    /// For each listener with TLS, by its name or address, when the first of its
    /// certificates expires, in seconds since 1970.
    pub expiries: Vec<(String, i64)>,
}

/// See the module's documentation.
pub struct Service {
    /// Makes the instances.
    pub sandbox: Arc<Sandbox>,
    /// The generations, and how they follow one another.
    pub registry: Arc<Registry>,
    /// The board that sessions look at between two events.
    pub rollouts: Arc<Rollouts>,
    /// The open sessions.
    pub roster: Arc<Roster>,
    /// What they say to each other.
    pub topics: Arc<Topics>,
    /// Those of sessions that begin from now on; see [`Self::configure`].
    pub limits: ArcSwap<Limits>,
    /// Log a line for each connection when it is over.
    pub access_log: AtomicBool,
    pub counters: Counters,
    /// Why instances of quiet connections were not put to sleep.
    pub awake_reasons: Arc<AwakeReasons>,
    /// How often each limit was reached, by guests and by connections.
    pub limit_counters: Arc<LimitCounters>,
    ids: ConnectionIds,
    /// A permit for each connection that may be open.
    permits: Arc<Permits>,
    /// Connections refused because there is no room for them.
    pub(crate) no_room: RateLimitedLog,
    /// Connections refused because their peer has too many.
    peer_full: RateLimitedLog,
}

impl Service {
    /// Begin with a guest that the sandbox has compiled and tried out. The
    /// limits are valid (see [`Limits::validate`]).
    pub fn new(
        sandbox: Arc<Sandbox>,
        first: Arc<CompiledGuest>,
        source: Source,
        rules: Rules,
        limits: Arc<Limits>,
        ids: ConnectionIds,
        access_log: bool,
    ) -> Arc<Self> {
        let roster = Arc::<Roster>::default();
        let registry = Registry::new(
            Arc::clone(&sandbox),
            Arc::clone(&roster),
            first,
            source,
            rules,
            &limits,
        );
        let topics = Arc::new(Topics::default());
        sandbox.set_topics(Arc::clone(&topics) as _);
        Arc::new(Service {
            topics,
            rollouts: Arc::clone(registry.rollouts()),
            registry: Arc::new(registry),
            roster,
            permits: Permits::new(limits.max_connections),
            limits: ArcSwap::new(limits),
            access_log: access_log.into(),
            counters: Counters::default(),
            awake_reasons: Arc::default(),
            limit_counters: Arc::clone(sandbox.limit_counters()),
            sandbox,
            ids,
            no_room: RateLimitedLog::default(),
            peer_full: RateLimitedLog::default(),
        })
    }

    /// Change what holds for sessions that begin from now on. What open ones keep of their
    /// limits they took when they began. The limits are valid.
    pub fn configure(&self, limits: &Limits, rules: Rules, access_log: bool) {
        self.sandbox.set_limits(limits.sandbox());
        self.registry.configure(rules, limits);
        self.limits.store(Arc::new(limits.clone()));
        self.permits.resize(limits.max_connections);
        self.access_log.store(access_log, Ordering::Relaxed);
    }

    /// An id for a connection that has been accepted.
    pub fn next_id(&self) -> u64 {
        self.ids.next()
    }

    /// Connections that are open, with those that still are in their handshake.
    pub fn taken(&self) -> usize {
        self.permits.taken().max(self.roster.len())
    }

    /// Close every connection, and wait for that at most the grace and linger times,
    /// and at most `within`. Returns what those that are still open then wait for.
    /// Listeners are to be stopped before.
    pub async fn shut_down(&self, within: Duration) -> CutOff {
        let limits = self.limits.load_full();
        let wait = limits.grace + limits.linger + SHUTDOWN_MARGIN;
        let deadline = Instant::now() + wait.min(within);
        self.rollouts.stop();
        self.roster.wake_all();
        loop {
            let gone = self.roster.gone.notified();
            if self.roster.is_empty() || timeout_at(deadline, gone).await.is_err() {
                return CutOff::of(&self.roster);
            }
        }
    }
}
