//! The open connections of a service, as seen from outside their sessions: how
//! many there are, what they carry, and how to wake them.
//!
//! - [`handle`]: what is seen of one session
//! - [`watched`]: taps on sessions

mod handle;
mod watched;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

pub use handle::{Progress, SessionHandle, SessionState, WaitsFor};
pub use watched::Watched;

use crate::tap::Tap;

/// Locks that the roster is spread over, so that thousands of accepts a second
/// don't contend for one.
const SHARDS: usize = 16;

/// What the connections of a service have carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes from peers, and bytes for them, since the start.
    pub received: u64,
    pub sent: u64,
    /// Bytes that wait for them now.
    pub queued: u64,
}

impl Carried {
    fn add(&mut self, progress: Progress) {
        self.received += progress.received;
        self.sent += progress.sent;
        self.queued += progress.queued;
    }
}

/// Some of the sessions.
#[derive(Default)]
struct Shard {
    open: HashMap<u64, Arc<SessionHandle>>,
    /// What those that have left this shard had carried. Under the same lock, so that
    /// totals never go back.
    left: Carried,
}

/// Every open connection, by id.
#[derive(Default)]
pub struct Roster {
    shards: [Mutex<Shard>; SHARDS],
    open: AtomicUsize,
    /// Of those open, the ones whose instance hibernates now.
    asleep: AtomicUsize,
    /// Connections of each peer address; kept only where they are limited.
    peers: Mutex<HashMap<IpAddr, usize>>,
    /// How many taps there are, on one session or on all.
    taps: AtomicUsize,
    /// Those on all, for sessions that come.
    of_all: Mutex<Vec<Arc<Tap>>>,
    /// Notified when a connection has gone.
    pub gone: Notify,
}

impl Roster {
    #[expect(
        clippy::indexing_slicing,
        reason = "the index is taken modulo the length"
    )]
    fn shard(&self, id: u64) -> &Mutex<Shard> {
        &self.shards[(id % SHARDS as u64) as usize]
    }

    /// Enter a session; it leaves when the entry is dropped.
    pub fn enter(self: &Arc<Self>, handle: Arc<SessionHandle>) -> RosterEntry {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.shard(handle.connection.id)
            .lock()
            .open
            .insert(handle.connection.id, Arc::clone(&handle));
        if self.is_watched() {
            // Under the lock, so that a tap that is just detached finds it.
            for tap in self.of_all.lock().iter() {
                handle.attach(tap);
            }
        }
        RosterEntry {
            roster: Arc::clone(self),
            handle,
        }
    }

    /// Take one of the `max` permits of a peer address. `None` if all are taken.
    pub fn peer_permit(self: &Arc<Self>, peer: IpAddr, max: usize) -> Option<PeerPermit> {
        let mut peers = self.peers.lock();
        let taken = peers.entry(peer).or_default();
        if *taken >= max {
            return None;
        }
        *taken += 1;
        Some(PeerPermit {
            roster: Arc::clone(self),
            peer,
        })
    }

    /// The session of a connection, if it is open.
    pub fn get(&self, id: u64) -> Option<Arc<SessionHandle>> {
        self.shard(id).lock().open.get(&id).cloned()
    }

    pub fn len(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Connections whose instance hibernates now.
    pub fn asleep(&self) -> usize {
        self.asleep.load(Ordering::Relaxed)
    }

    /// Connections that hold an instance.
    pub fn awake(&self) -> usize {
        self.len().saturating_sub(self.asleep())
    }

    /// The instance of a connection hibernates, until [`Self::woke_up`].
    pub fn fell_asleep(&self) {
        self.asleep.fetch_add(1, Ordering::Relaxed);
    }

    /// It needs an instance again, or has gone.
    pub fn woke_up(&self) {
        self.asleep.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All connections that are open now.
    pub fn all(&self) -> Vec<Arc<SessionHandle>> {
        self.shards
            .iter()
            .flat_map(|shard| shard.lock().open.values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// What all connections have carried, also those that are over. Takes as long as
    /// there are connections, and each lock a sixteenth of that.
    pub fn carried(&self) -> Carried {
        let mut all = Carried::default();
        for shard in &self.shards {
            let shard = shard.lock();
            all.received += shard.left.received;
            all.sent += shard.left.sent;
            for handle in shard.open.values() {
                all.add(handle.progress());
            }
        }
        all
    }

    pub fn wake_all(&self) {
        for handle in self.all() {
            handle.wake();
        }
    }
}

/// A session's entry in the roster; it leaves when this is dropped.
pub struct RosterEntry {
    roster: Arc<Roster>,
    handle: Arc<SessionHandle>,
}

impl RosterEntry {
    pub fn handle(&self) -> &Arc<SessionHandle> {
        &self.handle
    }
}

impl Drop for RosterEntry {
    fn drop(&mut self) {
        // Whoever waits for this session to apply a rollout need not wait longer.
        self.handle.set_applied(u64::MAX);
        let id = self.handle.connection.id;
        let mut shard = self.roster.shard(id).lock();
        shard.open.remove(&id);
        shard.left.add(self.handle.progress());
        drop(shard);
        self.handle.end_taps();
        self.roster.open.fetch_sub(1, Ordering::AcqRel);
        self.roster.gone.notify_waiters();
    }
}

/// One of the connections that a peer address may have.
pub struct PeerPermit {
    roster: Arc<Roster>,
    peer: IpAddr,
}

impl Drop for PeerPermit {
    fn drop(&mut self) {
        let mut peers = self.roster.peers.lock();
        if let Entry::Occupied(mut taken) = peers.entry(self.peer) {
            *taken.get_mut() -= 1;
            if *taken.get() == 0 {
                taken.remove();
            }
        }
    }
}
