//! Standard output and standard error, written by threads of their own.
//!
//! The lines of guests go to standard output, the host's log to standard
//! error. A reader that stops reading, or has gone, never stops the server:
//! each stream has a bounded buffer, and lines that do not fit are dropped and
//! counted. A line is never torn.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hotsocket_sandbox::{LineSink, StandardStream};
use parking_lot::{Condvar, Mutex};

/// Bytes that may wait for a slow reader of one stream.
const CAPACITY: usize = 4 << 20;

/// Both streams of the process.
pub struct Output {
    /// Put the connection's id before each line of its guest.
    labels: bool,
    stdout: Stream,
    stderr: Stream,
}

/// One stream: a buffer that any thread appends to and one thread writes out.
struct Stream {
    shared: Arc<Shared>,
    /// A person reads it, whose terminal obeys what it is told.
    terminal: bool,
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
    /// Write to the process' own standard streams. With `labels`, the
    /// connection's id is put before each line of its guest.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(labels: bool) -> io::Result<Arc<Self>> {
        let terminals = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self::to(io::stdout(), io::stderr(), terminals, labels)
    }

    /// Write to these instead, of which so many are terminals.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn to(
        stdout: impl Write + Send + 'static,
        stderr: impl Write + Send + 'static,
        terminals: (bool, bool),
        labels: bool,
    ) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Output {
            labels,
            stdout: Stream::start("stdout", stdout, terminals.0)?,
            stderr: Stream::start("stderr", stderr, terminals.1)?,
        }))
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

impl LineSink for Output {
    fn guest_line(&self, connection: Option<u64>, stream: StandardStream, line: &[u8]) {
        let label = match connection.filter(|_| self.labels) {
            Some(id) => format!("{id} "),
            None => String::new(),
        };
        match stream {
            StandardStream::Out => self.stdout.line(&label, line),
            StandardStream::Error => self.stderr.line(&label, line),
        }
    }
}

impl Stream {
    fn start(name: &str, target: impl Write + Send + 'static, terminal: bool) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let writer = Arc::clone(&shared);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || writer.write_out(target))?;
        Ok(Stream { shared, terminal })
    }

    /// A guest's line: as it is, or harmless if it goes to a terminal. A label
    /// goes before each of its parts, should it have newlines in it.
    fn line(&self, label: &str, line: &[u8]) {
        let line = match self.terminal {
            true => Cow::Owned(harmless(line).into_owned().into_bytes()),
            false => Cow::Borrowed(line),
        };
        if label.is_empty() {
            return self.put(&[&line, b"\n"]);
        }
        let parts = line.split(|byte| *byte == b'\n');
        let parts: Vec<&[u8]> = parts
            .flat_map(|part| [label.as_bytes(), part, b"\n"])
            .collect();
        self.put(&parts);
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

/// Text in which nothing moves the cursor, changes colours or rings: control
/// characters are shown as `\x1b` and the like. Line breaks and tabs stay.
fn harmless(line: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(line);
    let wild = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(wild) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\r' => {}
            c if wild(c) => shown.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A reader that lets nothing through until it is told to.
    struct Stuck(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_reader_costs_lines_not_time() {
        let (go, stuck) = mpsc::sync_channel(1);
        let got = Arc::<Mutex<Vec<u8>>>::default();
        let target = Stuck(stuck, Arc::clone(&got));
        let output = Output::to(target, io::sink(), (false, false), false).expect("threads");
        let line = vec![b'x'; 1 << 20];
        for _ in 0..20 {
            output.guest_line(None, StandardStream::Out, &line);
        }
        assert!(output.dropped() >= 12, "{}", output.dropped());
        drop(go);
        output.flush(Duration::from_secs(20));
        let got = got.lock();
        assert!(
            got.split(|byte| *byte == b'\n')
                .all(|line| line.is_empty() || line.len() == 1 << 20)
        );
    }

    #[test]
    fn a_reader_that_has_gone_is_no_matter() {
        let output = Output::to(Closed, io::sink(), (false, false), false).expect("threads");
        output.guest_line(None, StandardStream::Out, b"first");
        output.flush(Duration::from_secs(20));
        output.guest_line(None, StandardStream::Out, b"second");
        assert_eq!(output.dropped(), 1);
    }

    #[test]
    fn a_terminal_is_not_steered() {
        assert_eq!(
            harmless(b"plain \xe2\x82\xac\ttext\n x"),
            "plain \u{20ac}\ttext\n x"
        );
        assert_eq!(
            harmless(b"\x1b[2Jgone\x07 \xff\r"),
            "\\x1b[2Jgone\\x07 \u{fffd}"
        );
        assert_eq!(harmless("\u{9b}31m".as_bytes()), "\\x9b31m");
    }
}
