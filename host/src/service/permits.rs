//! A permit for each connection that may be open, of which there may become more or fewer
//! while connections are open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// See the module's documentation: [`Self::take`] one for each connection.
#[derive(Debug)]
pub struct Permits {
    free: Arc<Semaphore>,
    /// How many there are, of which [`Self::resize`] makes more or fewer.
    max: AtomicUsize,
    taken: AtomicUsize,
    /// Permits that are to disappear as soon as connections give them back.
    excess: AtomicUsize,
}

/// The right of one connection to be open. Free again when it is dropped.
#[derive(Debug)]
pub struct Permit {
    permits: Arc<Permits>,
    /// Present until it is dropped.
    taken: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// So many that nobody waits.
    pub const MAX: usize = Semaphore::MAX_PERMITS / 2;

    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Permits {
            free: Arc::new(Semaphore::new(max)),
            max: AtomicUsize::new(max),
            taken: AtomicUsize::new(0),
            excess: AtomicUsize::new(0),
        })
    }

    /// Take one if there is one.
    pub fn try_take(self: &Arc<Self>) -> Option<Permit> {
        let taken = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(self.permit(taken))
    }

    /// Wait for one. `None` only if there will be none any more.
    pub async fn take(self: &Arc<Self>) -> Option<Permit> {
        let taken = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(self.permit(taken))
    }

    /// There will be none any more; those that were taken stay.
    pub fn close(&self) {
        self.free.close();
    }

    pub fn is_closed(&self) -> bool {
        self.free.is_closed()
    }

    /// How many have been taken and not given back.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    fn permit(self: &Arc<Self>, taken: OwnedSemaphorePermit) -> Permit {
        self.taken.fetch_add(1, Ordering::Relaxed);
        Permit {
            permits: Arc::clone(self),
            taken: Some(taken),
        }
    }

    /// Change how many there are; one at a time may. Connections that are open beyond that
    /// stay open; for each of them no other is admitted.
    pub fn resize(&self, to: usize) {
        let from = self.max.swap(to, Ordering::Relaxed);
        if to < from {
            let forgotten = self.free.forget_permits(from - to);
            let excess = from - to - forgotten;
            self.excess.fetch_add(excess, Ordering::AcqRel);
        } else {
            let excess = (0..to - from).take_while(|_| self.take_excess()).count();
            self.free.add_permits(to - from - excess);
        }
    }

    fn take_excess(&self) -> bool {
        let less = |excess: usize| excess.checked_sub(1);
        self.excess
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
            .is_ok()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.taken.fetch_sub(1, Ordering::Relaxed);
        if self.permits.take_excess()
            && let Some(taken) = self.taken.take()
        {
            taken.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_beyond_a_lower_limit_give_theirs_back_to_nobody() {
        let permits = Permits::new(3);
        let mut open: Vec<_> = (0..3).filter_map(|_| permits.try_take()).collect();
        assert!(open.len() == 3 && permits.try_take().is_none());
        permits.resize(1);
        open.pop();
        open.pop();
        assert!(permits.try_take().is_none(), "one is open");
        open.pop();
        let one = permits.try_take();
        assert!(one.is_some() && permits.try_take().is_none());
        permits.resize(2);
        let two = permits.try_take();
        assert!(two.is_some() && permits.try_take().is_none());
        // Lowered and raised again while both are open.
        permits.resize(1);
        permits.resize(2);
        drop((one, two));
        let all: Vec<_> = (0..3).filter_map(|_| permits.try_take()).collect();
        assert_eq!(all.len(), 2);
        permits.close();
        drop(all);
        assert!(permits.try_take().is_none() && permits.taken() == 0);
    }
}
