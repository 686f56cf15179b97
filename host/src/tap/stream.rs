//! The viewer's end of a tap: lines of JSON (NDJSON, `application/x-ndjson`), one record
//! each, from the lease to the end.
//!
//! ```text
//! {"type":"lease","tap":"9f…","lease_ms":30000,"connection":{…}}
//! {"type":"event",…}
//! {"type":"dropped","records":12,"bytes":34567}
//! {"type":"end"}     or     {"type":"expired"}
//! ```

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::Lease;
use super::queue::{End, Taken, Tap};
use crate::output;

/// See the module's documentation. Call [`Self::next`] until there is nothing more, and
/// [`Self::renew`] (or [`super::Taps::renew`], with [`Self::id`]) within each
/// [`Self::lease`]. Dropping it ends the tap.
///
/// Whoever sends the lines on must not wait for its client for longer than a lease: the
/// tap itself records nothing more after that, but keeps what is in its queue.
pub struct TapStream {
    lease: Lease,
    /// The first line, and no more lines after the last.
    next: Next,
    /// Detaches the tap from what it shows.
    _attached: Box<dyn Any + Send>,
}

enum Next {
    First(Vec<u8>),
    Records,
    Nothing,
}

impl TapStream {
    /// For a tap that is attached to something for as long as `attached` lives.
    /// `connection` is what the first line says of the only connection that it shows.
    pub fn new(
        lease: Lease,
        attached: impl Any + Send,
        connection: Option<impl Serialize>,
    ) -> Self {
        let tap = lease.tap();
        let mut line = output::Record::empty();
        line.field("type", "lease");
        line.field("tap", tap.id());
        line.field("lease_ms", tap.limits().lease.as_millis() as u64);
        line.field("service", tap.service());
        line.field("connection", connection);
        let mut first = line.end();
        first.push(b'\n');
        TapStream {
            next: Next::First(first),
            lease,
            _attached: Box::new(attached),
        }
    }

    fn tap(&self) -> &Arc<Tap> {
        self.lease.tap()
    }

    /// By which others renew it.
    pub fn id(&self) -> &str {
        self.tap().id()
    }

    /// How long it lasts if it is not renewed.
    pub fn lease(&self) -> Duration {
        self.tap().limits().lease
    }

    /// Begin the lease again. False if the tap is over.
    pub fn renew(&self) -> bool {
        self.tap().renew()
    }

    /// One line or several, each with its newline. `None` after the last, which says why
    /// there are no more. Nothing is lost if the future is dropped before it is ready.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        match std::mem::replace(&mut self.next, Next::Records) {
            Next::First(line) => return Some(line),
            Next::Records => {}
            Next::Nothing => {
                self.next = Next::Nothing;
                return None;
            }
        }
        loop {
            let tap = self.lease.tap();
            match tap.take() {
                Taken::Some(entries) => {
                    let mut lines = Vec::new();
                    for entry in entries {
                        entry.write(tap.service(), &mut lines);
                    }
                    return Some(lines);
                }
                Taken::End(end) => {
                    self.next = Next::Nothing;
                    let last = match end {
                        End::Over => "{\"type\":\"end\"}\n",
                        End::Expired => "{\"type\":\"expired\"}\n",
                    };
                    return Some(last.into());
                }
                Taken::Nothing(expires) => {
                    tokio::select! {
                        () = tap.changed() => {}
                        () = sleep_until(Instant::from_std(expires)) => {}
                    }
                }
            }
        }
    }
}
