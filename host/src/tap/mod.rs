//! Taps: what people see of a connection while it is served.
//!
//! Nothing is recorded unless somebody looks. Whoever does leases a [`Tap`], which is
//! attached to one connection or to all of a service (see [`crate::roster`]); their
//! sessions then put a [`Record`] of each event into its queue, and the viewer takes lines
//! of JSON out of it with [`TapStream::next`]. A tap is over when its stream is dropped,
//! its connection has ended, or its lease has: one that nobody renews expires by itself.
//! A viewer never delays a session: what the queue has no room for is dropped and counted.
//!
//! - [`record`]: what there is to see, and its JSON; [`words`]: effects as people read them
//! - [`queue`]: what waits for one viewer
//! - [`stream`]: the viewer's end
//! - [`limits`]: what bounds all of it
//!
//! What happens in a session, and when it is recorded, is up to [`crate::session`]; HTTP
//! and terminals are up to [`crate::admin`] and [`crate::cli`].

mod limits;
mod queue;
mod record;
mod stream;
mod words;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Weak};
use std::time::Duration;

use hotsocket_sandbox::limit_counters::{Limit, LimitCounters};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

pub use limits::TapLimits;
pub use queue::Tap;
pub use record::{Bytes, EventRecord, MAX_BYTES, Mark, MarkKind, Record, What};
pub use stream::TapStream;
pub use words::in_words;

/// All taps of a process. [`Self::lease`] makes one, [`Self::renew`] keeps it.
pub struct Taps {
    limits: TapLimits,
    /// Counts what viewers do too much of.
    reached: Arc<LimitCounters>,
    /// By their ids; each leaves when its stream is dropped.
    open: Mutex<HashMap<Box<str>, Weak<Tap>>>,
    /// Notified when one has left.
    left: Notify,
}

/// Why there is no tap.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    #[error("no more viewers than {0} may look at connections at once (--max-taps)")]
    TooMany(usize),
    #[error("there is no connection {0}; `hotsocket top` lists those that are open")]
    NoConnection(u64),
    /// The service is not there, or not clear.
    #[error("{0}")]
    NoService(String),
    #[error("the system has no random bytes: {0}")]
    NoRandom(String),
}

impl Taps {
    pub fn new(limits: TapLimits, reached: Arc<LimitCounters>) -> Arc<Self> {
        Arc::new(Taps {
            limits,
            reached,
            open: Mutex::default(),
            left: Notify::new(),
        })
    }

    pub fn limits(&self) -> &TapLimits {
        &self.limits
    }

    /// A tap for one connection of a service, or for all, that is attached to nothing yet. Attach it, then make a [`TapStream`] of it.
    ///
    /// # Errors
    /// When there are as many as there may be, or no random bytes for its id.
    pub fn lease(
        self: &Arc<Self>,
        service: &str,
        connection: Option<u64>,
    ) -> Result<Lease, TapError> {
        let id = unguessable().map_err(|error| TapError::NoRandom(error.to_string()))?;
        let mut open = self.open.lock();
        if open.len() >= self.limits.max_taps {
            self.reached.count(Limit::Taps);
            return Err(TapError::TooMany(open.len()));
        }
        let tap = Arc::new(Tap::new(
            id.clone(),
            service,
            connection,
            self.limits,
            Arc::clone(&self.reached),
        ));
        open.insert(id, Arc::downgrade(&tap));
        Ok(Lease {
            taps: Arc::clone(self),
            tap,
        })
    }

    /// Begin the lease of a tap again. False if there is no such tap, or it is over.
    pub fn renew(&self, id: &str) -> bool {
        let tap = self.open.lock().get(id).and_then(Weak::upgrade);
        tap.is_some_and(|tap| tap.renew())
    }

    /// No more comes. Let viewers take what there is, but wait no longer than this.
    pub async fn finish(&self, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        loop {
            let left = self.left.notified();
            let open: Vec<_> = self
                .open
                .lock()
                .values()
                .filter_map(Weak::upgrade)
                .collect();
            open.iter().for_each(|tap| tap.end());
            if open.is_empty() || timeout_at(deadline, left).await.is_err() {
                return;
            }
        }
    }
}

/// A tap and its place among those that there may be, which is free again when this is
/// dropped.
pub struct Lease {
    taps: Arc<Taps>,
    tap: Arc<Tap>,
}

impl Lease {
    pub fn tap(&self) -> &Arc<Tap> {
        &self.tap
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.tap.end();
        self.taps.open.lock().remove(self.tap.id());
        self.taps.left.notify_waiters();
    }
}

/// 128 random bits in Base16.
fn unguessable() -> Result<Box<str>, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_only_so_many_and_a_dropped_one_makes_room() {
        let limits = TapLimits {
            max_taps: 1,
            ..TapLimits::default()
        };
        let reached = Arc::<LimitCounters>::default();
        let taps = Taps::new(limits, Arc::clone(&reached));
        let first = taps.lease("echo", None).expect("room");
        assert!(matches!(
            taps.lease("echo", None),
            Err(TapError::TooMany(1))
        ));
        assert_eq!(reached.all().collect::<Vec<_>>(), [("max-taps", 1)]);
        let id = first.tap().id().to_owned();
        assert!(taps.renew(&id));
        drop(first);
        assert!(!taps.renew(&id), "it is over");
        let second = taps.lease("echo", None).expect("room again");
        assert_ne!(second.tap().id(), id);
    }
}
