//! What waits to be written to one stream: lines of several kinds, in the order in
//! which they came.
//!
//! Each kind has a share of its own, so that one kind that floods the stream costs
//! the others time and not lines. A line that finds its share used up is dropped
//! and counted.

use parking_lot::{Condvar, Mutex};
use std::time::Instant;

/// Bytes of one kind that may wait for a slow reader of one stream.
pub(super) const SHARE: usize = 4 << 20;

/// Whose line it is, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A guest's, on standard output.
    Stdout,
    /// A guest's, on standard error.
    Stderr,
    /// The host's, on standard error.
    Log,
}

/// One of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByKind<T> {
    pub stdout: T,
    pub stderr: T,
    pub log: T,
}

impl<T> ByKind<T> {
    fn of(&mut self, kind: Kind) -> &mut T {
        match kind {
            Kind::Stdout => &mut self.stdout,
            Kind::Stderr => &mut self.stderr,
            Kind::Log => &mut self.log,
        }
    }
}

impl ByKind<u64> {
    /// Each kind with its name in the log and in `status`.
    pub fn each(self) -> [(&'static str, u64); 3] {
        [
            ("stdout", self.stdout),
            ("stderr", self.stderr),
            ("log", self.log),
        ]
    }

    pub fn total(self) -> u64 {
        self.each().iter().map(|(_, count)| count).sum()
    }
}

/// The queue of one stream. Any thread calls [`Self::put`]; its writer alone calls
/// [`Self::take`], then [`Self::written`] or, in the end, [`Self::close`].
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Notified when bytes arrive, and when all have been written.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Batch,
    /// Bytes in `waiting`.
    used: ByKind<usize>,
    /// Since the start.
    dropped: ByKind<u64>,
    /// A batch was taken and is not out yet.
    writing: bool,
    /// Nothing more will be written.
    closed: bool,
}

/// Whole lines.
#[derive(Default)]
pub(super) struct Batch {
    pub bytes: Vec<u8>,
    lines: ByKind<u64>,
}

impl Queue {
    /// Append a line, which comes in parts; all of it or nothing.
    pub fn put(&self, kind: Kind, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut state = self.state.lock();
        let used = *state.used.of(kind) + length;
        if state.closed || used > SHARE {
            *state.dropped.of(kind) += 1;
            return;
        }
        *state.used.of(kind) = used;
        *state.waiting.lines.of(kind) += 1;
        for part in parts {
            state.waiting.bytes.extend_from_slice(part);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Wait for lines, and take all there are. `batch` lends its memory.
    pub fn take(&self, batch: &mut Batch) {
        batch.bytes.clear();
        batch.lines = ByKind::default();
        let mut state = self.state.lock();
        while state.waiting.bytes.is_empty() {
            self.changed.wait(&mut state);
        }
        std::mem::swap(batch, &mut state.waiting);
        state.used = ByKind::default();
        state.writing = true;
    }

    /// What was taken is out. Gives the numbers of dropped lines.
    pub fn written(&self) -> ByKind<u64> {
        let mut state = self.state.lock();
        state.writing = false;
        let dropped = state.dropped;
        drop(state);
        self.changed.notify_all();
        dropped
    }

    /// Nothing more will be written: neither what waits nor the last `rest` bytes
    /// of the batch that was taken.
    pub fn close(&self, batch: &Batch, rest: &[u8]) {
        let mut state = self.state.lock();
        state.closed = true;
        state.writing = false;
        let waiting = std::mem::take(&mut state.waiting);
        // Of which kind the rest is, is not known if some of the batch is out.
        let mut unwritten = rest.iter().filter(|byte| **byte == b'\n').count() as u64;
        for kind in [Kind::Log, Kind::Stderr, Kind::Stdout] {
            let lost = unwritten.min(*batch.lines.clone().of(kind));
            unwritten -= lost;
            *state.dropped.of(kind) += lost + *waiting.lines.clone().of(kind);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Lines dropped since the start.
    pub fn dropped(&self) -> ByKind<u64> {
        self.state.lock().dropped
    }

    /// Wait until all is out, or until the deadline.
    pub fn flush(&self, deadline: Instant) {
        let mut state = self.state.lock();
        while (state.writing || !state.waiting.bytes.is_empty()) && !state.closed {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_floods_costs_the_others_no_line() {
        let queue = Queue::default();
        let line = vec![b'x'; SHARE / 4];
        for _ in 0..10 {
            queue.put(Kind::Stderr, &[&line]);
        }
        queue.put(Kind::Log, &[b"of the host\n"]);
        assert_eq!(
            queue.dropped(),
            ByKind {
                stderr: 6,
                ..ByKind::default()
            }
        );
        let mut batch = Batch::default();
        queue.take(&mut batch);
        assert_eq!(batch.bytes.len(), SHARE + 12);
        assert!(batch.bytes.ends_with(b"of the host\n"));
    }

    #[test]
    fn what_a_closed_stream_has_not_written_is_dropped() {
        let queue = Queue::default();
        queue.put(Kind::Stdout, &[b"one\n"]);
        queue.put(Kind::Stdout, &[b"two\n"]);
        let mut batch = Batch::default();
        queue.take(&mut batch);
        queue.put(Kind::Log, &[b"three\n"]);
        queue.close(&batch, b"wo\n");
        queue.put(Kind::Stdout, &[b"four\n"]);
        assert_eq!(
            queue.dropped(),
            ByKind {
                stdout: 2,
                stderr: 0,
                log: 1
            }
        );
        queue.flush(Instant::now() + std::time::Duration::from_secs(60));
    }
}
