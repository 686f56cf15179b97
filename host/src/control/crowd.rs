//! Who of the control socket's clients has a place, and who loses it to a
//! newcomer: the one that has kept the server waiting longest.
//!
//! A client whose request is being carried out keeps its place, and so does one
//! whose request is there and was not read yet. What is said to clients, this
//! module leaves to [`super::server`].

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// Who has kept the server waiting for this time may lose its place, and a
/// newcomer that has none after this time may take another's.
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
    /// In the order in which they became so.
    clients: BTreeMap<u64, Waiting>,
}

struct Waiting {
    since: Instant,
    /// Dropped when the place is wanted.
    _keep: oneshot::Sender<()>,
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
            let longest = self.waited_for.lock().longest();
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

impl WaitedFor {
    /// Who has been waited for longest, and for a while.
    fn longest(&mut self) -> Option<Waiting> {
        let longest = self.clients.first_entry()?;
        (longest.get().since.elapsed() >= A_WHILE).then(|| longest.remove())
    }
}

impl Seat {
    /// Do what takes as long as the client likes, while nobody else wants its
    /// place. A client that `has_done` its part is not the one that is waited
    /// for.
    ///
    /// # Errors
    /// When somebody does.
    pub async fn wait_for<T>(
        &self,
        client: impl Future<Output = T>,
        has_done: impl Fn() -> bool,
    ) -> Result<T, Lost> {
        let mut client = pin!(client);
        loop {
            let (number, wanted) = self.queue();
            tokio::select! {
                // What is there already is no matter of waiting.
                biased;
                done = &mut client => {
                    self.crowd.waited_for.lock().clients.remove(&number);
                    return Ok(done);
                }
                _ = wanted => if !has_done() {
                    return Err(Lost);
                }
            }
        }
    }

    /// The last of those that are waited for, and what tells it that its place
    /// is wanted.
    fn queue(&self) -> (u64, oneshot::Receiver<()>) {
        let (keep, wanted) = oneshot::channel();
        let mut waited_for = self.crowd.waited_for.lock();
        waited_for.last += 1;
        let number = waited_for.last;
        let waiting = Waiting {
            since: Instant::now(),
            _keep: keep,
        };
        waited_for.clients.insert(number, waiting);
        (number, wanted)
    }
}
