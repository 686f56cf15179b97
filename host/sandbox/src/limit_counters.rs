//! Which limits were reached, how often, and one warning for many.
//!
//! Every limit has a name, that of the flag that sets it; a few have no flag
//! and a name of their own. Reaching one is counted here and shown by `status`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::Level;

use crate::log::LoggedConnection;

macro_rules! limits {
    ($($name:ident = $flag:literal),* $(,)?) => {
        /// A limit, by its name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Limit {
            $($name),*
        }

        impl Limit {
            const ALL: &[Limit] = &[$(Limit::$name),*];

            /// The flag without its dashes, where one sets it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Limit::$name => $flag),*
                }
            }
        }
    };
}

limits! {
    CpuBudget = "cpu-budget",
    EventTimeout = "event-timeout",
    Memory = "max-memory",
    Table = "max-table",
    Stack = "max-stack",
    Queue = "max-queue",
    Snapshot = "max-snapshot",
    Timers = "max-timers",
    Mailbox = "max-mailbox",
    Subscriptions = "max-subscriptions",
    FanOut = "max-fan-out",
    StoreSize = "max-store-size",
    StoreKeys = "max-store-keys",
    Line = "max-line",
    Lines = "max-lines",
    Restarts = "max-restarts",
    Component = "max-component",
    CompileTimeout = "compile-timeout",
    CompileMemory = "compile-memory",
    // No flag sets them.
    Handles = "wasi-handles",
    Transfer = "transfer",
    RequestBytes = "request-bytes",
    LogBuffer = "log-buffer",
    Connections = "max-connections",
    PerPeer = "max-per-peer",
    IdleTimeout = "idle-timeout",
    WriteTimeout = "write-timeout",
    HalfCloseTimeout = "half-close-timeout",
    HandshakeTimeout = "handshake-timeout",
    AdminClients = "admin-clients",
    AdminTimeout = "admin-timeout",
    AdminHeader = "admin-header",
    AdminLifetime = "admin-lifetime",
    Taps = "max-taps",
    TapBuffer = "tap-buffer",
    TapLease = "tap-lease",
    Handshakes = "max-handshakes",
    PerListener = "max-per-listener",
    AcceptRate = "max-accept-rate",
    Allow = "allow",
    Deny = "deny",
    ProxyHeader = "proxy-protocol",
    ProxyTimeout = "proxy-timeout",
    Linger = "linger",
    Grace = "grace",
    // Those of the machine; the log names what raises them.
    Descriptors = "descriptors",
    Room = "room",
}

// `ConnectionWarnings` has a bit for each.
const _: () = assert!(Limit::ALL.len() <= u64::BITS as usize);

/// How often each limit was reached since the server started.
#[derive(Debug)]
pub struct LimitCounters {
    counts: [AtomicU64; Limit::ALL.len()],
    logs: [RateLimitedLog; Limit::ALL.len()],
}

impl Default for LimitCounters {
    fn default() -> Self {
        LimitCounters {
            counts: std::array::from_fn(|_| AtomicU64::default()),
            logs: std::array::from_fn(|_| RateLimitedLog::default()),
        }
    }
}

impl LimitCounters {
    pub fn count(&self, limit: Limit) {
        if let Some(count) = self.counts.get(limit as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Count it. Whether the caller should log it: at most once in
    /// [`LOG_INTERVAL`] for each limit.
    pub fn count_and_log(&self, limit: Limit) -> Option<Suppressed> {
        self.count(limit);
        self.logs.get(limit as usize)?.due()
    }

    /// Count it, and log now and then what happened to the connection.
    pub fn warn(&self, limit: Limit, connection: LoggedConnection<'_>, what: &str) {
        let Some(suppressed) = self.count_and_log(limit) else {
            return;
        };
        let limit = limit.name();
        connection.log(Level::WARN, || {
            tracing::warn!(
                kind = "limit",
                limit,
                suppressed = suppressed.count(),
                "{what} (--{limit}){suppressed}"
            );
        });
    }

    /// The names and counts of all limits.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.counts.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        Limit::ALL.iter().map(|limit| limit.name()).zip(counts)
    }

    /// The names and counts of those that were reached at all.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.each().filter(|(_, count)| *count > 0)
    }
}

/// One connection's limits: each is counted always and logged once.
#[derive(Debug)]
pub struct ConnectionWarnings {
    counters: Arc<LimitCounters>,
    /// `None` outside a connection: nothing is logged then.
    connection: Option<LoggedConnection<'static>>,
    /// A bit for each limit that was logged.
    logged: AtomicU64,
}

impl ConnectionWarnings {
    pub fn new(
        counters: Arc<LimitCounters>,
        connection: Option<LoggedConnection<'static>>,
    ) -> Self {
        ConnectionWarnings {
            counters,
            connection,
            logged: AtomicU64::new(0),
        }
    }

    /// The connection's id; `None` outside a connection.
    pub fn connection(&self) -> Option<u64> {
        self.connection.map(|connection| connection.id)
    }

    /// Count it; the caller logs it.
    pub fn count(&self, limit: Limit) {
        self.counters.count(limit);
    }

    /// Count it, and log what happened the first time.
    pub fn warn(&self, limit: Limit, what: &str) {
        self.counters.count(limit);
        let bit = 1u64 << (limit as u32);
        if self.logged.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            return;
        }
        if let Some(connection) = self.connection {
            let limit = limit.name();
            connection.log(Level::WARN, || {
                tracing::warn!(kind = "limit", limit, "{what} (--{limit})");
            });
        }
    }
}

/// A warning that would come thousands of times a second is logged once, and
/// again only after [`LOG_INTERVAL`], with how many were suppressed meanwhile.
#[derive(Debug, Default)]
pub struct RateLimitedLog {
    last: Mutex<Option<Instant>>,
    suppressed: AtomicU64,
}

/// Between two lines of the same warning.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// How many lines of the same warning were suppressed since the last one. It is
/// shown as the end of the line, and not at all if there were none.
#[derive(Clone, Copy, Debug)]
pub struct Suppressed(u64);

impl RateLimitedLog {
    /// Whether to log now. Otherwise the line counts as suppressed.
    pub fn due(&self) -> Option<Suppressed> {
        let mut last = self.last.lock();
        let now = Instant::now();
        if last.is_some_and(|last| now - last < LOG_INTERVAL) {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *last = Some(now);
        Some(Suppressed(self.suppressed.swap(0, Ordering::Relaxed)))
    }
}

impl Suppressed {
    /// For the field of the line, which only some have.
    pub fn count(self) -> Option<u64> {
        Some(self.0).filter(|count| *count > 0)
    }
}

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" (and 1 time before)"),
            times => write!(f, " (and {times} times before)"),
        }
    }
}
