//! What the clients of a soak share: what goes on, what they have found, and what
//! speakers know of each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::faulty_socket::Kind;
use super::stats::{Histogram, Stats};

/// What the clients of a soak share.
pub struct Shared {
    pub address: SocketAddr,
    pub stats: Stats,
    /// See [`Phase`].
    pub phase: AtomicU8,
    pub stop: AtomicBool,
    pub speakers: Speakers,
    /// Swaps so far after which a guest may have lost its state.
    pub losing_swaps: AtomicU64,
    /// Odd while a component that opens no connection may be the active one, so that
    /// those that are accepted meanwhile are closed.
    pub closed_times: AtomicU64,
    /// Silence that is taken for a stall.
    pub stall: Duration,
    /// Messages a second on a steady connection.
    pub rate: u32,
    /// Visits that may end: see [`Manner::Visit`].
    pub endings: AtomicU64,
    /// How long answers took, by phase.
    pub times: [Histogram; 4],
}

/// What goes on, for the times taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "the first is what a number is before it is set")]
pub enum Phase {
    Begin,
    /// No swaps.
    Quiet,
    /// Swaps to good code, without a break.
    Swaps,
    /// Everything at once.
    Storm,
}

impl Shared {
    pub fn time(&self, phase: Phase) -> &Histogram {
        &self.times[phase as usize]
    }

    /// Whether no connection may have been opened at some time since this number was read.
    pub fn was_closed_since(&self, closed_times: u64) -> bool {
        closed_times % 2 == 1 || self.closed_times.load(Relaxed) != closed_times
    }

    pub fn is(&self, phase: Phase) -> bool {
        self.phase.load(Relaxed) == phase as u8
    }
}

/// What speakers know of each other.
#[derive(Default)]
pub struct Speakers {
    pub next_id: AtomicU32,
    /// Steady ones that have subscribed, and that have said all.
    pub subscribed: AtomicU32,
    pub done: AtomicU32,
    pub steady: u32,
    /// The last record of each that its guest has acknowledged, by id.
    pub published: Mutex<BTreeMap<u32, u32>>,
    /// Those that have left since all steady ones had subscribed.
    pub left: Mutex<Vec<u32>>,
    /// Done to one record of the first speaker, to be found.
    pub fault: Option<Kind>,
}

impl Speakers {
    pub fn new(steady: u32, fault: Option<Kind>) -> Self {
        Speakers {
            steady,
            fault,
            ..Speakers::default()
        }
    }

    pub fn messages(&self) -> u64 {
        let published = self.published.lock().expect("no panic under the lock");
        published.values().copied().map(u64::from).sum()
    }

    pub fn all_have_subscribed(&self) -> bool {
        self.subscribed.load(Relaxed) >= self.steady
    }
}
