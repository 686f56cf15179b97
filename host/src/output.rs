//! Standard output and standard error, written by threads of their own.
//!
//! The lines of guests go to standard output, the host's log to standard
//! error. A reader that stops reading, or has gone, never stops the server:
//! each stream has a bounded buffer, and lines that do not fit are dropped and
//! counted. A line is never torn.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Bytes that may wait for a slow reader of one stream.
const CAPACITY: usize = 4 << 20;

/// Both streams of the process.
pub struct Output {
    stdout: Stream,
    stderr: Stream,
}

/// One stream: a buffer that any thread appends to and one thread writes out.
struct Stream {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    /// Told when bytes arrive, and when all have been written.
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Buffer {
    waiting: Vec<u8>,
    /// Taken by the writer and not yet out.
    writing: bool,
    /// The reader has gone; nothing more will be written.
    closed: bool,
}

impl Output {
    /// Write to the process' own standard streams.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start() -> io::Result<Arc<Self>> {
        Self::to(io::stdout(), io::stderr())
    }

    /// Write to these instead.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn to(
        stdout: impl Write + Send + 'static,
        stderr: impl Write + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Output {
            stdout: Stream::start("stdout", stdout)?,
            stderr: Stream::start("stderr", stderr)?,
        }))
    }

    /// A guest's line for standard output.
    pub fn guest_line(&self, label: Option<&str>, line: &str) {
        self.stdout
            .put(&[label.unwrap_or("").as_bytes(), line.as_bytes(), b"\n"]);
    }

    /// A guest's line for standard error.
    pub fn guest_error(&self, label: Option<&str>, line: &str) {
        self.stderr
            .put(&[label.unwrap_or("").as_bytes(), line.as_bytes(), b"\n"]);
    }

    /// A line of the host's log, with its newline.
    pub fn log(&self, line: &[u8]) {
        self.stderr.put(&[line]);
    }

    /// Lines dropped so far because nobody read them.
    pub fn dropped(&self) -> u64 {
        self.stdout.dropped() + self.stderr.dropped()
    }

    /// Wait until all has been written, but no longer than this.
    pub fn flush(&self, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        self.stdout.flush(deadline);
        self.stderr.flush(deadline);
    }
}

impl Stream {
    fn start(name: &str, target: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let writer = Arc::clone(&shared);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || writer.write_out(target))?;
        Ok(Stream { shared })
    }

    fn put(&self, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut buffer = self.shared.buffer.lock();
        if buffer.closed || buffer.waiting.len() + length > CAPACITY {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        for part in parts {
            buffer.waiting.extend_from_slice(part);
        }
        drop(buffer);
        self.shared.changed.notify_all();
    }

    fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    fn flush(&self, deadline: Instant) {
        let mut buffer = self.shared.buffer.lock();
        while (buffer.writing || !buffer.waiting.is_empty()) && !buffer.closed {
            if self
                .shared
                .changed
                .wait_until(&mut buffer, deadline)
                .timed_out()
            {
                return;
            }
        }
    }
}

impl Shared {
    fn write_out(&self, mut target: impl Write) {
        let mut taken = Vec::new();
        loop {
            let mut buffer = self.buffer.lock();
            buffer.writing = false;
            while buffer.waiting.is_empty() {
                self.changed.notify_all();
                self.changed.wait(&mut buffer);
            }
            taken.clear();
            std::mem::swap(&mut taken, &mut buffer.waiting);
            buffer.writing = true;
            drop(buffer);
            if target
                .write_all(&taken)
                .and_then(|()| target.flush())
                .is_err()
            {
                let mut buffer = self.buffer.lock();
                buffer.closed = true;
                buffer.waiting = Vec::new();
                self.changed.notify_all();
                return;
            }
        }
    }
}
