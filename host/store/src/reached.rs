//! Which limits were reached, how often, and that it is told once.
//!
//! Every limit has a name, that of the flag that sets it; a few have no flag
//! and a name of their own. Reaching one is counted here and shown by `status`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

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
            pub fn name(self) -> &'static str {
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
    Line = "max-line",
    Lines = "max-lines",
    Restarts = "max-restarts",
    Component = "max-component",
    CompileTimeout = "compile-timeout",
    // No flag sets it.
    Handles = "wasi-handles",
    Connections = "max-connections",
    PerPeer = "max-per-peer",
    IdleTimeout = "idle-timeout",
    WriteTimeout = "write-timeout",
    HalfCloseTimeout = "half-close-timeout",
    HandshakeTimeout = "handshake-timeout",
    Linger = "linger",
    Grace = "grace",
    // Those of the machine; the log names what raises them.
    Descriptors = "descriptors",
    Room = "room",
}

// `Notes` has a bit for each.
const _: () = assert!(Limit::ALL.len() <= u32::BITS as usize);

/// How often each limit was reached since the server started.
#[derive(Debug, Default)]
pub struct Reached {
    counts: [AtomicU64; Limit::ALL.len()],
    complaints: [Complaint; Limit::ALL.len()],
}

impl Reached {
    pub fn count(&self, limit: Limit) {
        if let Some(count) = self.counts.get(limit as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Count it, and say it, once for all those within a while.
    pub fn tell(&self, limit: Limit, what: impl FnOnce() -> String) {
        self.count(limit);
        if let Some(complaint) = self.complaints.get(limit as usize) {
            complaint.make(|| format!("{} (--{})", what(), limit.name()));
        }
    }

    /// Those that were reached at all.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        Limit::ALL
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .map(|(limit, count)| (limit.name(), count))
    }
}

/// One connection's limits: each is told once in the log, and counted always.
#[derive(Debug)]
pub struct Notes {
    reached: Arc<Reached>,
    /// Id and peer, for the log; `None` outside a connection.
    whose: Option<(u64, SocketAddr)>,
    told: AtomicU32,
}

impl Notes {
    pub fn new(reached: Arc<Reached>, whose: Option<(u64, SocketAddr)>) -> Self {
        Notes {
            reached,
            whose,
            told: AtomicU32::new(0),
        }
    }

    /// Count it; somebody else says it.
    pub fn count(&self, limit: Limit) {
        self.reached.count(limit);
    }

    /// Count it; say what happened the first time.
    pub fn note(&self, limit: Limit, what: &str) {
        self.reached.count(limit);
        let bit = 1 << (limit as u32);
        if self.told.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            return;
        }
        if let Some((id, peer)) = self.whose {
            tracing::warn!("connection {id} from {peer}: {what} (--{})", limit.name());
        }
    }
}

/// A complaint that would come thousands of times a second is made once, and
/// again only after a while, with how many there were.
#[derive(Debug, Default)]
pub struct Complaint {
    last: Mutex<Option<Instant>>,
    unsaid: AtomicU64,
}

/// Between two lines of the same complaint.
const WHILE: Duration = Duration::from_secs(10);

impl Complaint {
    /// Whether to say it now; then with how many others since last time.
    pub fn due(&self) -> Option<u64> {
        let mut last = self.last.lock();
        let now = Instant::now();
        if last.is_some_and(|last| now - last < WHILE) {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *last = Some(now);
        Some(self.unsaid.swap(0, Ordering::Relaxed))
    }

    /// Say it, if it is due.
    pub fn make(&self, what: impl FnOnce() -> String) {
        match self.due() {
            None => {}
            Some(0) => tracing::warn!("{}", what()),
            Some(others) => tracing::warn!("{} (and {others} times before)", what()),
        }
    }
}
