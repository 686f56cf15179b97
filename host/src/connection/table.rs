//! The open connections, as seen from outside their drivers.

use std::collections::HashMap;
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
    pub fn enter(self: &Arc<Self>, handle: Arc<Handle>) -> Entry {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.shard(handle.ends.id)
            .lock()
            .insert(handle.ends.id, Arc::clone(&handle));
        Entry {
            table: Arc::clone(self),
            handle,
        }
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
pub struct Entry {
    table: Arc<Table>,
    handle: Arc<Handle>,
}

impl Entry {
    pub fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }
}

impl Drop for Entry {
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
