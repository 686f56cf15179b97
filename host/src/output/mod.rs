//! Standard output and standard error, written by threads of their own.
//!
//! The lines of guests go to standard output, the host's log to standard
//! error. A reader that stops reading, or has gone, never stops the server:
//! each stream has a bounded queue, and lines that do not fit are dropped and
//! counted. A line is never torn.
//!
//! - [`queue`]: what waits for one stream
//! - [`writer`]: its thread, and what it does when writing fails
//! - [`mod@record`]: lines for programs
//! - [`escape`]: what others say, made safe for a terminal
//!
//! What the host's log says, and how, is [`crate::log`]'s.

pub(crate) mod escape;
mod queue;
mod record;
mod writer;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hotsocket_sandbox::{FieldValue, GuestRecord, LineSink, StandardStream};
use serde_json::{Map, Value};
use tracing::Level;

pub(crate) use escape::harmless;
pub use queue::ByKind;
pub use record::Record;

use queue::{Kind, Queue};
use writer::{Descriptor, Name, Plain, STDERR, STDOUT, Target};

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

/// One stream: a queue that any thread appends to and one thread writes out.
struct Stream {
    queue: Arc<Queue>,
    /// A person reads it, whose terminal obeys control characters.
    terminal: bool,
}

impl Output {
    /// Write to the process' own standard streams. Where both are the same file
    /// (`2>&1`) one thread writes both, or lines would be torn by each other:
    /// only writes of up to `PIPE_BUF` bytes are atomic (pipe(7)).
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(guest_lines: GuestLines) -> io::Result<Arc<Self>> {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let terminals = (stdout.is_terminal(), stderr.is_terminal());
        let same = is_same_file(&stdout, &stderr);
        let stdout = Stream::start(STDOUT, Descriptor(stdout), terminals.0)?;
        let stderr = match same {
            true => Stream {
                queue: Arc::clone(&stdout.queue),
                terminal: terminals.1,
            },
            false => Stream::start(STDERR, Descriptor(stderr), terminals.1)?,
        };
        Ok(Arc::new(Output {
            guest_lines,
            stdout,
            stderr,
        }))
    }

    /// Write to these instead, which must not buffer, and of which so many are
    /// terminals.
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
            stdout: Stream::start(STDOUT, Plain(stdout), terminals.0)?,
            stderr: Stream::start(STDERR, Plain(stderr), terminals.1)?,
        }))
    }

    /// A line of the host's log, with its newline.
    pub fn log(&self, line: &[u8]) {
        self.stderr.queue.put(Kind::Log, &[line]);
    }

    /// Lines dropped so far because they could not be written in time.
    pub fn dropped(&self) -> ByKind<u64> {
        let stdout = self.stdout.queue.dropped().stdout;
        let dropped = self.stderr.queue.dropped();
        ByKind { stdout, ..dropped }
    }

    /// Wait until all has been written, but no longer than this.
    pub fn flush(&self, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        self.stdout.queue.flush(deadline);
        self.stderr.queue.flush(deadline);
    }
}

impl LineSink for Output {
    fn guest_line(&self, connection: Option<u64>, stream: StandardStream, line: &[u8]) {
        let (to, kind) = match stream {
            StandardStream::Out => (&self.stdout, Kind::Stdout),
            StandardStream::Error => (&self.stderr, Kind::Stderr),
        };
        let line = match to.terminal {
            true => Cow::Owned(harmless(line).into_owned().into_bytes()),
            false => Cow::Borrowed(line),
        };
        let queue = &to.queue;
        match (self.guest_lines, connection) {
            (GuestLines::Json, _) => {
                queue.put(kind, &[&record(connection, stream, &line), b"\n"]);
            }
            (GuestLines::Labelled, Some(id)) => {
                queue.put(kind, &labelled(format!("{id} ").as_bytes(), &line));
            }
            _ => queue.put(kind, &[&line, b"\n"]),
        }
    }

    fn guest_record(&self, connection: Option<u64>, logged: &GuestRecord) {
        let stream = logged.stream();
        if self.guest_lines != GuestLines::Json {
            return self.guest_line(connection, stream, sentence(logged).as_bytes());
        }
        let (to, kind) = match stream {
            StandardStream::Out => (&self.stdout, Kind::Stdout),
            StandardStream::Error => (&self.stderr, Kind::Stderr),
        };
        let message = Cow::Borrowed(logged.message.as_str());
        let mut record = guest_record(level(logged.level), connection, stream, message);
        if !logged.fields.is_empty() {
            record.field("fields", fields(logged));
        }
        to.queue.put(kind, &[&record.end(), b"\n"]);
    }
}

/// A guest's line for programs. Bytes that are not text are replaced.
fn record(connection: Option<u64>, stream: StandardStream, line: &[u8]) -> Vec<u8> {
    let level = match stream {
        StandardStream::Out => "info",
        StandardStream::Error => "error",
    };
    guest_record(level, connection, stream, String::from_utf8_lossy(line)).end()
}

/// What every record of a guest has.
fn guest_record(
    level: &str,
    connection: Option<u64>,
    stream: StandardStream,
    message: Cow<'_, str>,
) -> Record {
    let connection = connection.map(|id| format!("{{\"id\":{id}}}"));
    let mut record = Record::begin(level, connection.as_deref());
    record.field("message", message);
    record.field("kind", "guest");
    let name = match stream {
        StandardStream::Out => "stdout",
        StandardStream::Error => "stderr",
    };
    record.field("stream", name);
    record
}

/// A logged line for people, which is one line whatever is in it:
/// `WARN slow down peer=alice queued=17`.
fn sentence(logged: &GuestRecord) -> String {
    let level = level(logged.level).to_uppercase();
    format!("{level} {}", message(logged))
}

/// The same without its level.
pub(crate) fn message(logged: &GuestRecord) -> String {
    let mut text = escape::one_line(&logged.message).into_owned();
    for (name, value) in &logged.fields {
        // Writing to a string does not fail.
        let _ = write!(text, " {}=", escape::one_line(name));
        let _ = match value {
            FieldValue::Text(value) if is_bare(value) => write!(text, "{value}"),
            FieldValue::Text(value) => write!(text, "{}", escape::json(&value.as_str().into())),
            FieldValue::Integer(value) => write!(text, "{value}"),
            FieldValue::Number(value) => write!(text, "{value}"),
            FieldValue::Boolean(value) => write!(text, "{value}"),
        };
    }
    text
}

/// Whether a text needs no quotes to be distinct from what follows.
fn is_bare(text: &str) -> bool {
    let needs = |c: char| c.is_whitespace() || escape::is_obeyed(c) || matches!(c, '"' | '=');
    !text.is_empty() && !text.contains(needs)
}

fn fields(logged: &GuestRecord) -> Map<String, Value> {
    let value = |value: &FieldValue| match value {
        FieldValue::Text(value) => Value::from(value.as_str()),
        FieldValue::Integer(value) => Value::from(*value),
        FieldValue::Number(value) => Value::from(*value),
        FieldValue::Boolean(value) => Value::from(*value),
    };
    let fields = logged.fields.iter();
    fields.map(|(name, of)| (name.clone(), value(of))).collect()
}

/// A level as records have it.
pub(crate) fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// A label before each part of a line, should it have newlines in it.
fn labelled<'a>(label: &'a [u8], line: &'a [u8]) -> Vec<&'a [u8]> {
    line.split(|byte| *byte == b'\n')
        .flat_map(|part| [label, part, b"\n"])
        .collect()
}

fn is_same_file(one: impl AsFd, other: impl AsFd) -> bool {
    match (rustix::fs::fstat(one), rustix::fs::fstat(other)) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}

impl Stream {
    fn start(name: Name, target: impl Target, terminal: bool) -> io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let taken = Arc::clone(&queue);
        thread::Builder::new()
            .name("output".to_owned())
            .spawn(move || writer::write_out(&taken, target, name))?;
        Ok(Stream { queue, terminal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::mpsc;

    /// A reader that lets nothing through until the test lets it.
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
        let dropped = output.dropped().stdout;
        assert!(dropped >= 12, "{dropped}");
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
        assert_eq!(output.dropped().stdout, 2);
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
    fn a_logged_line_is_one_line_with_its_fields() {
        let text = |text: &str| FieldValue::Text(text.to_owned());
        let logged = GuestRecord {
            level: Level::WARN,
            message: "slow\ndown".to_owned(),
            fields: vec![
                ("peer".to_owned(), text("alice")),
                ("said".to_owned(), text("a \"b\"\n\u{9b}")),
                ("file".to_owned(), text("a\u{202e}msaw.b")),
                ("none".to_owned(), text("")),
                ("queued".to_owned(), FieldValue::Integer(-17)),
                ("load".to_owned(), FieldValue::Number(0.5)),
                ("last".to_owned(), FieldValue::Boolean(true)),
            ],
        };
        assert_eq!(
            sentence(&logged),
            r#"WARN slow\x0adown peer=alice said="a \"b\"\n\u009b" file="a\u202emsaw.b" none="" queued=-17 load=0.5 last=true"#
        );
        let fields = Value::from(fields(&logged));
        assert_eq!(
            (&fields["queued"], &fields["load"]),
            (&(-17).into(), &0.5.into())
        );
        assert_eq!(fields["last"], true);
    }
}
