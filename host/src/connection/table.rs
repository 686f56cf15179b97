//! The open connections, as seen from outside their drivers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

use atomic_waker::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::runtime::Ends;

/// Locks that the table is spread over, so that thousands of accepts a second
/// don't meet at one.
const SHARDS: usize = 16;

/// What others may know of a connection, and how they get its attention.
pub struct Handle {
    pub ends: Ends,
    /// The last order that the driver has carried out or need not.
    settled: AtomicU64,
    waker: AtomicWaker,
}

impl Handle {
    pub fn new(ends: Ends, settled: u64) -> Self {
        Handle {
            ends,
            settled: AtomicU64::new(settled),
            waker: AtomicWaker::new(),
        }
    }

    /// Make the driver look at its orders.
    pub fn wake(&self) {
        self.waker.wake();
    }

    pub(super) fn listen(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    pub fn settled(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }

    pub(super) fn settle(&self, order: u64) {
        self.settled.store(order, Ordering::Release);
    }
}

/// Every open connection, by id.
#[derive(Default)]
pub struct Table {
    shards: [Mutex<HashMap<u64, Arc<Handle>>>; SHARDS],
    open: AtomicUsize,
    /// Connections of each peer address; kept only where they are limited.
    peers: Mutex<HashMap<IpAddr, usize>>,
    /// Told when a connection has gone.
    pub gone: Notify,
}

impl Table {
    #[expect(
        clippy::indexing_slicing,
        reason = "the index is taken modulo the length"
    )]
    fn shard(&self, id: u64) -> &Mutex<HashMap<u64, Arc<Handle>>> {
        &self.shards[(id % SHARDS as u64) as usize]
    }

    /// Enter a connection; it leaves when the entry is dropped.
    pub fn enter(self: &Arc<Self>, handle: Arc<Handle>) -> Entered {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.shard(handle.ends.id)
            .lock()
            .insert(handle.ends.id, Arc::clone(&handle));
        Entered {
            table: Arc::clone(self),
            handle,
        }
    }

    /// Take one of the `max` places that a peer address has. The place is free
    /// again when it is dropped.
    pub fn place(self: &Arc<Self>, peer: IpAddr, max: usize) -> Option<PeerPlace> {
        let mut peers = self.peers.lock();
        let taken = peers.entry(peer).or_default();
        if *taken >= max {
            return None;
        }
        *taken += 1;
        Some(PeerPlace {
            table: Arc::clone(self),
            peer,
        })
    }

    pub fn len(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All connections that are open now.
    pub fn all(&self) -> Vec<Arc<Handle>> {
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

/// A connection's place in the table.
pub struct Entered {
    table: Arc<Table>,
    handle: Arc<Handle>,
}

impl Entered {
    pub fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Whoever waits for this connection to settle need not wait longer.
        self.handle.settle(u64::MAX);
        self.table
            .shard(self.handle.ends.id)
            .lock()
            .remove(&self.handle.ends.id);
        self.table.open.fetch_sub(1, Ordering::AcqRel);
        self.table.gone.notify_waiters();
    }
}

/// One of a peer address' places.
pub struct PeerPlace {
    table: Arc<Table>,
    peer: IpAddr,
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut peers = self.table.peers.lock();
        if let Entry::Occupied(mut taken) = peers.entry(self.peer) {
            *taken.get_mut() -= 1;
            if *taken.get() == 0 {
                taken.remove();
            }
        }
    }
}
