//! Which clients of the control socket are served, and which one is evicted for
//! a newcomer: the client that has kept the server waiting longest.
//!
//! A client is evicted only while the server waits for it. One whose request is
//! being executed keeps its permit, and so does one whose request has arrived
//! but has not been read yet. What the answers say is up to
//! [`super::server`].

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// A client that has kept the server waiting this long may be evicted, and a
/// newcomer that finds no free permit waits this long before it evicts one.
const EVICT_AFTER: Duration = Duration::from_millis(50);

/// A limit on concurrent clients.
pub struct Admission {
    free: Arc<Semaphore>,
    pending: Mutex<Pending>,
}

/// The clients that the server waits for.
#[derive(Default)]
struct Pending {
    last_key: u64,
    /// Keys count up, so the first entry has been waited for longest.
    clients: BTreeMap<u64, Waiting>,
}

struct Waiting {
    since: Instant,
    /// Dropping it evicts the client.
    _evict: oneshot::Sender<()>,
}

/// The right of one client to be served; dropping it makes room for another.
pub struct Permit {
    admission: Arc<Admission>,
    _permit: OwnedSemaphorePermit,
}

/// The client must make room for a newcomer.
#[derive(Debug)]
pub struct Evicted;

impl Admission {
    pub fn new(clients: usize) -> Arc<Self> {
        Arc::new(Admission {
            free: Arc::new(Semaphore::new(clients)),
            pending: Mutex::default(),
        })
    }

    /// Admit a newcomer: with a free permit, or with that of the client that
    /// has been waited for longest. Waits only while every client's request is
    /// being executed. `None`: the semaphore is closed.
    pub async fn admit(self: &Arc<Self>) -> Option<Permit> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(self.permit(permit));
        }
        loop {
            // Dropped outside the lock, which the evicted client may want at once.
            let evicted = self.pending.lock().take_longest();
            drop(evicted);
            let free = Arc::clone(&self.free).acquire_owned();
            if let Ok(permit) = timeout(EVICT_AFTER, free).await {
                return permit.ok().map(|permit| self.permit(permit));
            }
        }
    }

    fn permit(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Permit {
        Permit {
            admission: Arc::clone(self),
            _permit: permit,
        }
    }
}

impl Pending {
    /// Remove the client that has been waited for longest, if that is
    /// [`EVICT_AFTER`] at least.
    fn take_longest(&mut self) -> Option<Waiting> {
        let longest = self.clients.first_entry()?;
        (longest.get().since.elapsed() >= EVICT_AFTER).then(|| longest.remove())
    }
}

impl Permit {
    /// Wait for the client to do something, for as long as no newcomer needs
    /// its permit. A client of which `is_ready` holds has done its part and is
    /// not evicted.
    ///
    /// # Errors
    /// When the client was evicted.
    pub async fn wait_for<T>(
        &self,
        client: impl Future<Output = T>,
        is_ready: impl Fn() -> bool,
    ) -> Result<T, Evicted> {
        let mut client = pin!(client);
        loop {
            let (key, evicted) = self.enqueue();
            tokio::select! {
                // A client that is ready needs no waiting.
                biased;
                done = &mut client => {
                    self.admission.pending.lock().clients.remove(&key);
                    return Ok(done);
                }
                _ = evicted => if !is_ready() {
                    return Err(Evicted);
                }
            }
        }
    }

    /// Add the client to those that are waited for, as the last one. Returns
    /// its key and what resolves when it is evicted.
    fn enqueue(&self) -> (u64, oneshot::Receiver<()>) {
        let (evict, evicted) = oneshot::channel();
        let mut pending = self.admission.pending.lock();
        pending.last_key += 1;
        let key = pending.last_key;
        let waiting = Waiting {
            since: Instant::now(),
            _evict: evict,
        };
        pending.clients.insert(key, waiting);
        (key, evicted)
    }
}
