//! The thread that writes a stream's lines, and what it does when that fails.
//!
//! - EPIPE and EBADF end a stream: its reader has gone for good.
//! - EAGAIN: the reader of a non-blocking pipe, socket or terminal is slow. Other
//!   processes may have made it so, as the flag belongs to the open file
//!   (`O_NONBLOCK` in open(2)). The writer waits for room.
//! - Whatever else (ENOSPC, EFBIG, EDQUOT, EIO) may be over at any time. The writer
//!   tries again after a pause.
//!
//! In every case it continues at the byte where it has stopped, so a line that
//! was torn is completed. Meanwhile lines wait in the [`Queue`], which drops those
//! that it has no room for.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::queue::{Batch, ByKind, Queue};

/// The first pause after a failure; each one that follows is twice as long.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// The longest pause. When a disk has room again, lines continue after it.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How long to wait for a slow reader before trying all the same.
const POLL_TIME: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};
/// Between two lines of the log about one stream.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Where bytes go. Writing must not buffer.
pub(super) trait Target: Send + 'static {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// After EAGAIN: wait until there is room, if there is a way to know.
    fn wait_for_room(&mut self) {}
}

/// A standard stream of the process, past the buffer that [`io::Stdout`] has,
/// which after a failure doesn't say what it has written.
pub(super) struct Descriptor<F>(pub F);

impl<F: AsFd + Send + 'static> Target for Descriptor<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.0, bytes)?)
    }

    fn wait_for_room(&mut self) {
        let mut room = [PollFd::new(&self.0, PollFlags::OUT)];
        // Writing shows what is wrong, should this fail.
        let _ = poll(&mut room, Some(&POLL_TIME));
    }
}

/// Any other writer.
pub(super) struct Plain<W>(pub W);

impl<W: Write + Send + 'static> Target for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
}

/// Which of the process' streams it is, for the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    /// In a record.
    pub field: &'static str,
    /// In a sentence.
    pub words: &'static str,
}

pub(super) const STDOUT: Name = Name {
    field: "stdout",
    words: "standard output",
};

pub(super) const STDERR: Name = Name {
    field: "stderr",
    words: "standard error",
};

/// Write what is put into the queue, until the stream has ended.
pub(super) fn write_out(queue: &Queue, mut target: impl Target, stream: Name) {
    let mut batch = Batch::default();
    let mut reports = Reports::new(stream);
    loop {
        queue.take(&mut batch);
        let mut rest = batch.bytes.as_slice();
        let mut pause = Pause::default();
        while !rest.is_empty() {
            let error = match target.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    pause = Pause::default();
                    continue;
                }
                Err(error) => error,
            };
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => {
                    pause.after_the_first();
                    target.wait_for_room();
                }
                io::ErrorKind::BrokenPipe => return end(queue, &batch, rest, &reports, &error),
                _ if Errno::from_io_error(&error) == Some(Errno::BADF) => {
                    return end(queue, &batch, rest, &reports, &error);
                }
                _ => {
                    reports.failed(&error);
                    pause.sleep();
                }
            }
        }
        reports.dropped(queue.written());
    }
}

fn end(queue: &Queue, batch: &Batch, rest: &[u8], reports: &Reports, error: &io::Error) {
    queue.close(batch, rest);
    reports.ended(error);
}

/// A pause that doubles while there is no progress.
#[derive(Default)]
struct Pause {
    last: Option<Duration>,
    /// EAGAIN has come without progress since.
    blocked: bool,
}

impl Pause {
    fn sleep(&mut self) {
        let time = self
            .last
            .map_or(SHORTEST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE));
        self.last = Some(time);
        thread::sleep(time);
    }

    /// The first time, waiting for room is enough. Where that doesn't help, as a
    /// poll may report room that is too small, this keeps it from being a busy loop.
    fn after_the_first(&mut self) {
        if std::mem::replace(&mut self.blocked, true) {
            self.sleep();
        }
    }
}

/// What the log says of one stream, which may be the one that the log goes to.
struct Reports {
    stream: Name,
    last_failure: Option<Instant>,
    last_drop: Option<Instant>,
    /// Dropped lines of which the log knows.
    reported: ByKind<u64>,
}

impl Reports {
    fn new(stream: Name) -> Self {
        Reports {
            stream,
            last_failure: None,
            last_drop: None,
            reported: ByKind::default(),
        }
    }

    fn is_due(last: &mut Option<Instant>) -> bool {
        let due = last.is_none_or(|last| last.elapsed() >= REPORT_INTERVAL);
        if due {
            *last = Some(Instant::now());
        }
        due
    }

    fn failed(&mut self, error: &io::Error) {
        if Self::is_due(&mut self.last_failure) {
            let error = crate::os_error::message(error);
            tracing::warn!(
                kind = "output-failed",
                outcome = "retried",
                stream = self.stream.field,
                error,
                "cannot write to {}: {error}; trying again, and dropping lines that find no room",
                self.stream.words
            );
        }
    }

    fn ended(&self, error: &io::Error) {
        let error = crate::os_error::message(error);
        tracing::warn!(
            kind = "output-failed",
            outcome = "ended",
            stream = self.stream.field,
            error,
            "nobody reads {} any more ({error}); its lines are dropped",
            self.stream.words
        );
    }

    /// Log how many lines were dropped, once others get through.
    fn dropped(&mut self, dropped: ByKind<u64>) {
        if dropped == self.reported || !Self::is_due(&mut self.last_drop) {
            return;
        }
        let before = std::mem::replace(&mut self.reported, dropped);
        for ((stream, now), (_, before)) in dropped.each().into_iter().zip(before.each()) {
            let lines = now - before;
            if lines > 0 {
                tracing::warn!(
                    kind = "dropped",
                    stream,
                    lines,
                    "{lines} lines of {} dropped: {} was not read in time, or could not be written",
                    match stream {
                        "log" => "the log",
                        _ => "guests",
                    },
                    self.stream.words
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::queue::Kind;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Takes three bytes, then fails with this error so many times, and so on.
    struct Failing {
        error: io::ErrorKind,
        failures: usize,
        failed: usize,
        calls: Arc<AtomicUsize>,
        taken: Arc<parking_lot::Mutex<Vec<u8>>>,
    }

    impl Target for Failing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            if self.failed < self.failures {
                self.failed += 1;
                return Err(self.error.into());
            }
            self.failed = 0;
            let count = bytes.len().min(3);
            self.taken.lock().extend(&bytes[..count]);
            Ok(count)
        }
    }

    /// What is taken of two lines, and with how many calls, at most for so long.
    fn write(error: io::ErrorKind, failures: usize, at_most: Duration) -> (Vec<u8>, usize) {
        let queue = Arc::<Queue>::default();
        let (calls, taken) = (Arc::<AtomicUsize>::default(), Arc::default());
        let target = Failing {
            error,
            failures,
            failed: 0,
            calls: Arc::clone(&calls),
            taken: Arc::clone(&taken),
        };
        queue.put(Kind::Log, &[b"{\"a\":1}\n"]);
        queue.put(Kind::Log, &[b"{\"b\":2}\n"]);
        let writer = Arc::clone(&queue);
        thread::spawn(move || write_out(&writer, target, STDERR));
        queue.flush(Instant::now() + at_most);
        let taken = taken.lock().clone();
        (taken, calls.load(Ordering::Relaxed))
    }

    #[test]
    fn a_torn_line_is_completed_whatever_interrupts_it() {
        for error in [
            io::ErrorKind::WouldBlock,
            io::ErrorKind::Interrupted,
            io::ErrorKind::StorageFull,
            io::ErrorKind::FileTooLarge,
            io::ErrorKind::Other,
        ] {
            let (taken, _) = write(error, 3, Duration::from_secs(60));
            assert_eq!(taken, b"{\"a\":1}\n{\"b\":2}\n", "{error}");
        }
    }

    /// A second has room for a dozen pauses; a slow machine makes fewer.
    #[test]
    fn a_stream_that_stays_full_is_not_tried_in_a_busy_loop() {
        for error in [io::ErrorKind::WouldBlock, io::ErrorKind::StorageFull] {
            let (taken, calls) = write(error, usize::MAX, Duration::from_secs(1));
            assert!(taken.is_empty());
            assert!((1..50).contains(&calls), "{error}: {calls} calls");
        }
    }
}
