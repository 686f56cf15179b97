//! Totals of a service since its start, for `hotsocket status`.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub struct Counters {
    pub accepted: AtomicU64,
    /// Instances that trapped or reached a limit.
    pub faults: AtomicU64,
    /// Instances replaced after a fault.
    pub restarts: AtomicU64,
    /// Connections refused by the guest, or for lack of room.
    pub refused: AtomicU64,
    /// Instances saved and dropped because their connection was quiet…
    pub hibernated: AtomicU64,
    /// …and made again for its next event.
    pub woken: AtomicU64,
}

impl Counters {
    pub fn count(which: &AtomicU64) {
        which.fetch_add(1, Ordering::Relaxed);
    }

    pub fn read(which: &AtomicU64) -> u64 {
        which.load(Ordering::Relaxed)
    }
}
