//! Who of the control socket's clients has a place, and who loses it to a
//! newcomer: the one that has kept the server waiting longest.
//!
//! A client whose request is being carried out keeps its place. What is said
//! to clients, this module leaves to [`super::server`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// A newcomer that has no place after this time may take another's.
const A_WHILE: Duration = Duration::from_millis(50);

/// So many places.
pub struct Crowd {
    free: Arc<Semaphore>,
    waited_for: Mutex<WaitedFor>,
}

/// The clients that have to do something next.
#[derive(Default)]
struct WaitedFor {
    last: u64,
    /// In the order in which they became so. Dropping a sender tells a client
    /// that its place is wanted.
    clients: BTreeMap<u64, oneshot::Sender<()>>,
}

/// One client's place.
pub struct Seat {
    crowd: Arc<Crowd>,
    _permit: OwnedSemaphorePermit,
}

/// The place is another's now.
#[derive(Debug)]
pub struct Lost;

impl Crowd {
    pub fn new(places: usize) -> Arc<Self> {
        Arc::new(Crowd {
            free: Arc::new(Semaphore::new(places)),
            waited_for: Mutex::default(),
        })
    }

    /// A place: a free one, or that of whoever was waited for longest. Only
    /// where all requests are being carried out is one of them waited for.
    /// `None`: the server is stopping.
    pub async fn seat(self: &Arc<Self>) -> Option<Seat> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(self.given(permit));
        }
        loop {
            // Dropped outside the lock, which the client may want at once.
            let longest = self.waited_for.lock().clients.pop_first();
            drop(longest);
            let free = Arc::clone(&self.free).acquire_owned();
            if let Ok(permit) = timeout(A_WHILE, free).await {
                return permit.ok().map(|permit| self.given(permit));
            }
        }
    }

    fn given(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Seat {
        Seat {
            crowd: Arc::clone(self),
            _permit: permit,
        }
    }
}

impl Seat {
    /// Do what takes as long as the client likes, while nobody else wants its
    /// place.
    ///
    /// # Errors
    /// When somebody does.
    pub async fn wait_for<T>(&self, client: impl Future<Output = T>) -> Result<T, Lost> {
        let (keep, wanted) = oneshot::channel();
        let number = {
            let mut waited_for = self.crowd.waited_for.lock();
            waited_for.last += 1;
            let number = waited_for.last;
            waited_for.clients.insert(number, keep);
            number
        };
        tokio::select! {
            // What is there already is no matter of waiting.
            biased;
            done = client => {
                // The newcomer counts on the place, once it was told that it is
                // free.
                let mine = self.crowd.waited_for.lock().clients.remove(&number);
                mine.map(|_| done).ok_or(Lost)
            }
            _ = wanted => Err(Lost),
        }
    }
}
