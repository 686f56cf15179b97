//! The open connections of a service, as seen from outside their sessions: how
//! many there are, and how to wake them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

use atomic_waker::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;

use hotsocket_sandbox::ConnectionInfo;

/// Locks that the roster is spread over, so that thousands of accepts a second
/// don't contend for one.
const SHARDS: usize = 16;

/// What a session waits for that is still open when the server has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WaitsFor {
    /// An event of the guest: for its end, or for its turn.
    Guest,
    /// The peer, to take what is queued for it.
    Flush,
    /// The peer, to end its side.
    PeerEnd,
}

/// What others may know of a session, and how they wake it.
pub struct SessionHandle {
    pub connection: ConnectionInfo,
    /// The last rollout that the session has applied or need not apply.
    applied: AtomicU64,
    /// A [`WaitsFor`], for a session that is to close.
    waits_for: AtomicU8,
    waker: AtomicWaker,
}

impl SessionHandle {
    /// For a session that begins with this rollout applied.
    pub fn new(connection: ConnectionInfo, applied: u64) -> Self {
        SessionHandle {
            connection,
            applied: AtomicU64::new(applied),
            waits_for: AtomicU8::new(WaitsFor::Guest as u8),
            waker: AtomicWaker::new(),
        }
    }

    /// Make the session look at the board of rollouts.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// The session's task; the last one registered is woken.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// The last rollout that the session has applied.
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    pub fn waits_for(&self) -> WaitsFor {
        let waits_for = self.waits_for.load(Ordering::Relaxed);
        [WaitsFor::Flush, WaitsFor::PeerEnd]
            .into_iter()
            .find(|which| *which as u8 == waits_for)
            .unwrap_or(WaitsFor::Guest)
    }

    /// A session begins with [`WaitsFor::Guest`].
    pub fn set_waits_for(&self, waits_for: WaitsFor) {
        self.waits_for.store(waits_for as u8, Ordering::Relaxed);
    }

    pub fn set_applied(&self, rollout: u64) {
        self.applied.store(rollout, Ordering::Release);
    }
}

/// Every open connection, by id.
#[derive(Default)]
pub struct Roster {
    shards: [Mutex<HashMap<u64, Arc<SessionHandle>>>; SHARDS],
    open: AtomicUsize,
    /// Of those open, the ones whose instance hibernates now.
    asleep: AtomicUsize,
    /// Connections of each peer address; kept only where they are limited.
    peers: Mutex<HashMap<IpAddr, usize>>,
    /// Notified when a connection has gone.
    pub gone: Notify,
}

impl Roster {
    #[expect(
        clippy::indexing_slicing,
        reason = "the index is taken modulo the length"
    )]
    fn shard(&self, id: u64) -> &Mutex<HashMap<u64, Arc<SessionHandle>>> {
        &self.shards[(id % SHARDS as u64) as usize]
    }

    /// Enter a session; it leaves when the entry is dropped.
    pub fn enter(self: &Arc<Self>, handle: Arc<SessionHandle>) -> RosterEntry {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.shard(handle.connection.id)
            .lock()
            .insert(handle.connection.id, Arc::clone(&handle));
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
            .flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>())
            .collect()
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
        self.roster
            .shard(self.handle.connection.id)
            .lock()
            .remove(&self.handle.connection.id);
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
