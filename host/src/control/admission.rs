//! Which clients of the control socket or of the admin address are served, and which one is evicted for
//! a newcomer: the client that has kept the server waiting longest.
//!
//! A client is evicted only while the server waits for it. One whose request is
//! being executed keeps its permit, and so does one whose request has arrived
//! but has not been read yet. What the answers say is up to
//! [`super::server`] and [`crate::admin`].

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout};

/// A client that has kept the server waiting this long may be evicted, and a
/// newcomer that finds no free permit waits this long before it evicts one.
const EVICT_AFTER: Duration = Duration::from_millis(50);

/// The same while more newcomers wait already. All clients together are replaced once in
/// this time at most, so it also is what each of them has at least; a request comes with
/// the connection, or it comes late.
const EVICT_FROM_CROWD_AFTER: Duration = Duration::from_millis(2);

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
    /// has been waited for longest, sooner if `is_crowded`: others wait after this one.
    /// Waits only while every client's request is being executed. `None`: the semaphore is
    /// closed.
    pub async fn admit(self: &Arc<Self>, is_crowded: bool) -> Option<Permit> {
        if let Some(permit) = self.try_admit() {
            return Some(permit);
        }
        let after = match is_crowded {
            true => EVICT_FROM_CROWD_AFTER,
            false => EVICT_AFTER,
        };
        loop {
            // Dropped outside the lock, which the evicted client may want at once.
            let evicted = self.pending.lock().take_longest(after);
            drop(evicted);
            let free = Arc::clone(&self.free).acquire_owned();
            if let Ok(permit) = timeout(after, free).await {
                return permit.ok().map(|permit| self.permit(permit));
            }
        }
    }

    /// Admit a newcomer if there is a free permit.
    pub fn try_admit(self: &Arc<Self>) -> Option<Permit> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(self.permit(permit))
    }

    fn permit(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Permit {
        Permit {
            admission: Arc::clone(self),
            _permit: permit,
        }
    }
}

impl Pending {
    /// Remove the client that has been waited for longest, if that is so long at least.
    fn take_longest(&mut self, at_least: Duration) -> Option<Waiting> {
        let longest = self.clients.first_entry()?;
        (longest.get().since.elapsed() >= at_least).then(|| longest.remove())
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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    /// Admit clients that never do anything. Returns how long it took, and what became of
    /// the first.
    async fn admit_idle(clients: usize, is_crowded: bool) -> (Duration, Duration) {
        let admission = Admission::new(32);
        let began = Instant::now();
        let (first, evicted) = oneshot::channel();
        let mut first = Some(first);
        for _ in 0..clients {
            let permit = admission.admit(is_crowded).await.expect("a permit");
            let first = first.take();
            tokio::spawn(async move {
                let _ = permit.wait_for(pending::<()>(), || false).await;
                drop(permit);
                first.map(|first| first.send(began.elapsed()))
            });
        }
        let stayed = evicted.await.expect("it was evicted");
        (began.elapsed(), stayed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_of_idle_clients_delays_others_little() {
        let (took, stayed) = admit_idle(1500, true).await;
        assert!(took < Duration::from_millis(250), "{took:?}");
        assert!(stayed >= EVICT_FROM_CROWD_AFTER, "{stayed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_crowd_each_has_its_time() {
        let (_, stayed) = admit_idle(40, false).await;
        assert!(stayed >= EVICT_AFTER, "{stayed:?}");
    }
}
