//! What waits for one viewer: a queue of records, bounded in bytes.
//!
//! Sessions push and never wait; what does not fit is dropped, and the viewer learns how
//! much where it would have been.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use hotsocket_sandbox::limit_counters::{Limit, LimitCounters};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::limits::TapLimits;
use super::record::Record;

/// A viewer takes so much at once, in bytes of the queue: it encodes them, and others of
/// its thread wait meanwhile.
const BATCH: usize = 64 << 10;

/// See the module's documentation. The viewer's end is a [`super::TapStream`].
pub struct Tap {
    id: Box<str>,
    service: Box<str>,
    /// The only connection that it shows; `None`: all of the service.
    connection: Option<u64>,
    limits: TapLimits,
    reached: Arc<LimitCounters>,
    state: Mutex<State>,
    /// Notified when there is something to take.
    changed: Notify,
}

struct State {
    queue: VecDeque<Entry>,
    /// Of the records in it.
    bytes: usize,
    /// Of the last record, also of one that was dropped.
    seq: u64,
    /// Since the last one that fitted.
    dropped: Dropped,
    expires: Instant,
    end: Option<End>,
}

/// Records that a viewer will not see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub records: u64,
    /// What they carried in both directions.
    pub bytes: u64,
}

/// One thing for the viewer.
pub(super) enum Entry {
    Record { seq: u64, record: Arc<Record> },
    Dropped(Dropped),
}

/// Why a tap records nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its connection or its viewer has gone.
    Over,
    /// Nobody has renewed it.
    Expired,
}

/// What a viewer finds.
pub(super) enum Taken {
    Some(Vec<Entry>),
    /// There is nothing yet; it may expire then.
    Nothing(Instant),
    End(End),
}

impl Tap {
    pub(super) fn new(
        id: Box<str>,
        service: &str,
        connection: Option<u64>,
        limits: TapLimits,
        reached: Arc<LimitCounters>,
    ) -> Self {
        Tap {
            id,
            service: service.into(),
            connection,
            limits,
            reached,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                bytes: 0,
                seq: 0,
                dropped: Dropped::default(),
                expires: Instant::now() + limits.lease,
                end: None,
            }),
            changed: Notify::new(),
        }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// The service that it shows.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The only connection that it shows; `None`: all of the service.
    pub fn connection(&self) -> Option<u64> {
        self.connection
    }

    pub(super) fn limits(&self) -> &TapLimits {
        &self.limits
    }

    /// A record for the viewer. False if the tap is over and wants no more.
    pub fn push(&self, record: &Arc<Record>) -> bool {
        let mut state = self.state.lock();
        if state.is_over(&self.reached) {
            return false;
        }
        state.seq += 1;
        let size = record.size();
        // Of one connection there is one last record; of all, peers may make any number.
        let has_room = state.bytes.saturating_add(size) <= self.limits.buffer
            || self.connection.is_some() && record.is_last();
        if !has_room {
            self.reached.count(Limit::TapBuffer);
            state.dropped.records += 1;
            state.dropped.bytes = state.dropped.bytes.saturating_add(record.carried());
            return true;
        }
        state.push_dropped();
        state.bytes = state.bytes.saturating_add(size);
        let entry = Entry::Record {
            seq: state.seq,
            record: Arc::clone(record),
        };
        state.queue.push_back(entry);
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Nothing more comes. What waits stays for the viewer.
    pub fn end(&self) {
        self.state.lock().end.get_or_insert(End::Over);
        self.changed.notify_one();
    }

    /// This connection is over.
    pub fn end_with(&self, connection: u64) {
        if self.connection == Some(connection) {
            self.end();
        }
    }

    /// Begin the lease again. False if the tap is over; the viewer of a connection that is
    /// over has more time to take what waits all the same.
    pub(super) fn renew(&self) -> bool {
        let mut state = self.state.lock();
        let is_over = state.is_over(&self.reached);
        if state.end != Some(End::Expired) {
            state.expires = Instant::now() + self.limits.lease;
        }
        !is_over
    }

    /// When the lease ends, or has ended.
    pub(super) fn expires(&self) -> Instant {
        let mut state = self.state.lock();
        state.is_over(&self.reached);
        state.expires
    }

    /// What the viewer is to see next.
    pub(super) fn take(&self) -> Taken {
        let mut state = self.state.lock();
        let mut taken = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH
            && let Some(entry) = state.queue.pop_front()
        {
            if let Entry::Record { record, .. } = &entry {
                bytes += record.size();
            }
            taken.push(entry);
        }
        state.bytes = state.bytes.saturating_sub(bytes);
        if taken.is_empty() {
            state.push_dropped();
            taken.extend(state.queue.pop_front());
        }
        if !taken.is_empty() {
            return Taken::Some(taken);
        }
        match state.is_over(&self.reached) {
            true => Taken::End(state.end.unwrap_or(End::Over)),
            false => Taken::Nothing(state.expires),
        }
    }

    /// Wait until [`Self::take`] may find something.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl State {
    /// Whether the tap is over, or just expires.
    fn is_over(&mut self, reached: &LimitCounters) -> bool {
        if self.end.is_none() && self.expires <= Instant::now() {
            reached.count(Limit::TapLease);
            self.end = Some(End::Expired);
        }
        self.end.is_some()
    }

    /// Say what was dropped, where it was.
    fn push_dropped(&mut self) {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped != Dropped::default() {
            self.queue.push_back(Entry::Dropped(dropped));
        }
    }
}
