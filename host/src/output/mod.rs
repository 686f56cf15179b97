//! Standard output and standard error, written by threads of their own.
//!
//! The lines of guests go to standard output, the host's log to standard
//! error. A reader that stops reading, or has gone, never stops the server:
//! each stream has a bounded buffer, and lines that do not fit are dropped and
//! counted. A line is never torn.
//!
//! - [`mod@record`]: lines for programs
//!
//! What the host's log says, and how, is [`crate::log`]'s.

mod record;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hotsocket_sandbox::{LineSink, StandardStream};
use parking_lot::{Condvar, Mutex};

pub use record::Record;

/// Bytes that may wait for a slow reader of one stream.
const CAPACITY: usize = 4 << 20;

/// How a guest's line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuestLines {
    /// As the guest has printed it.
    #[default]
    Plain,
    /// The same, with the connection's id before it.
    Labelled,
    /// A [`Record`].
    Json,
}

/// Both streams of the process.
pub struct Output {
    guest_lines: GuestLines,
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
    /// Write to the process' own standard streams.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(guest_lines: GuestLines) -> io::Result<Arc<Self>> {
        let terminals = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self::to(io::stdout(), io::stderr(), terminals, guest_lines)
    }

    /// Write to these instead, of which so many are terminals.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn to(
        stdout: impl Write + Send + 'static,
        stderr: impl Write + Send + 'static,
        terminals: (bool, bool),
        guest_lines: GuestLines,
    ) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Output {
            guest_lines,
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
        let to = match stream {
            StandardStream::Out => &self.stdout,
            StandardStream::Error => &self.stderr,
        };
        let line = match to.terminal {
            true => Cow::Owned(harmless(line).into_owned().into_bytes()),
            false => Cow::Borrowed(line),
        };
        match (self.guest_lines, connection) {
            (GuestLines::Json, _) => to.put(&[&record(connection, stream, &line), b"\n"]),
            (GuestLines::Labelled, Some(id)) => to.put_labelled(&format!("{id} "), &line),
            _ => to.put(&[&line, b"\n"]),
        }
    }
}

/// A guest's line for programs. Bytes that are not text are replaced.
fn record(connection: Option<u64>, stream: StandardStream, line: &[u8]) -> Vec<u8> {
    let (level, name) = match stream {
        StandardStream::Out => ("info", "stdout"),
        StandardStream::Error => ("error", "stderr"),
    };
    let connection = connection.map(|id| format!("{{\"id\":{id}}}"));
    let mut record = Record::begin(level, connection.as_deref());
    record.field("message", String::from_utf8_lossy(line));
    record.field("kind", "guest");
    record.field("stream", name);
    record.end()
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

    /// Put a label before each part of a line, should it have newlines in it.
    fn put_labelled(&self, label: &str, line: &[u8]) {
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
pub(crate) fn harmless(line: &[u8]) -> Cow<'_, str> {
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
        let output =
            Output::to(target, io::sink(), (false, false), GuestLines::Plain).expect("threads");
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
        let output =
            Output::to(Closed, io::sink(), (false, false), GuestLines::Plain).expect("threads");
        output.guest_line(None, StandardStream::Out, b"first");
        output.flush(Duration::from_secs(20));
        output.guest_line(None, StandardStream::Out, b"second");
        assert_eq!(output.dropped(), 1);
    }

    #[test]
    fn a_record_holds_any_bytes() {
        let line = record(
            Some(7),
            StandardStream::Error,
            b"\xff\x1b[2J \"quoted\"\nsecond",
        );
        assert!(!line.contains(&b'\n'));
        let value: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(value["message"], "\u{fffd}\u{1b}[2J \"quoted\"\nsecond");
        assert_eq!(value["connection"]["id"], 7);
        assert_eq!(
            (&value["level"], &value["stream"]),
            (&"error".into(), &"stderr".into())
        );
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
