//! What viewers see, and its JSON: one object a line, as docs/inspector.md has it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::queue::{Dropped, Entry};
use crate::output;

/// The most that a record has of what an event carried in one direction, in bytes.
pub const MAX_BYTES: usize = 64 << 10;
/// The most effects of one event that are shown, and how long each may be.
pub const MAX_EFFECTS: usize = 64;
/// What a record costs besides its bytes and texts.
const OVERHEAD: usize = 256;

/// One thing that has happened on a connection.
#[derive(Debug)]
pub struct Record {
    time: SystemTime,
    connection: u64,
    what: What,
}

/// What has happened.
#[derive(Debug)]
pub enum What {
    Event(Box<EventRecord>),
    /// A line that the guest has printed, or logged.
    Line {
        /// `stdout`, `stderr` or `log`.
        stream: &'static str,
        level: &'static str,
        text: Box<str>,
    },
    /// Bytes of a topic that the host has written to the peer without an event.
    Direct {
        topic: Box<str>,
        out: Bytes,
    },
    Mark(Mark),
}

/// An event of the guest, with what came of it.
#[derive(Debug, Default)]
pub struct EventRecord {
    /// The name of the function.
    pub event: &'static str,
    pub generation: u64,
    /// Of an `open`: why the instance begins.
    pub origin: Option<&'static str>,
    /// Of a `timer`: which.
    pub timer: Option<u32>,
    /// Of a `message`.
    pub topic: Option<Box<str>>,
    /// Of a `message`: the connection that has published it.
    pub sender: Option<u64>,
    /// Of a `lagged`: how many messages.
    pub missed: Option<u64>,
    /// Of a `close`.
    pub reason: Option<&'static str>,
    pub input: Bytes,
    /// What the event has written, if it has succeeded.
    pub output: Bytes,
    pub wall: Duration,
    /// `None` if it is not known.
    pub cpu: Option<Duration>,
    /// In words.
    pub effects: Vec<String>,
    /// Why it has failed, in one line.
    pub fault: Option<String>,
    /// What it has asked for waits for the end of probation, the output, too.
    pub is_held: bool,
}

/// Something that has happened to the connection besides events.
#[derive(Debug)]
pub struct Mark {
    pub kind: MarkKind,
    /// Generations, where there is a change.
    pub from: Option<u64>,
    pub to: Option<u64>,
    /// For people, in one line.
    pub text: String,
    /// What was held back until now.
    pub out: Option<Bytes>,
    /// Of `closed`: the cause, as in the access log.
    pub cause: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// Code of a later generation has taken over.
    Swap,
    /// That of an earlier one has.
    Rollback,
    /// New code could not take over.
    Stayed,
    /// A fresh instance of the same code continues after a fault.
    Restart,
    Asleep,
    Woke,
    ProbationEnded,
    /// TLS has begun on a connection that had begun without.
    Secured,
    FinSent,
    /// The connection is over.
    Closed,
}

impl MarkKind {
    pub fn name(self) -> &'static str {
        match self {
            MarkKind::Swap => "swap",
            MarkKind::Rollback => "rollback",
            MarkKind::Stayed => "stayed",
            MarkKind::Restart => "restart",
            MarkKind::Asleep => "asleep",
            MarkKind::Woke => "woke",
            MarkKind::ProbationEnded => "probation-ended",
            MarkKind::Secured => "secured",
            MarkKind::FinSent => "fin-sent",
            MarkKind::Closed => "closed",
        }
    }
}

impl Mark {
    pub fn new(kind: MarkKind, text: impl Into<String>) -> Self {
        Mark {
            kind,
            from: None,
            to: None,
            text: text.into(),
            out: None,
            cause: None,
        }
    }
}

/// Bytes of a connection, cut at [`MAX_BYTES`].
#[derive(Debug, Default)]
pub struct Bytes {
    shown: Box<[u8]>,
    /// How many there were.
    count: usize,
}

impl Bytes {
    pub fn new(bytes: &[u8]) -> Self {
        Bytes {
            shown: bytes.get(..MAX_BYTES).unwrap_or(bytes).into(),
            count: bytes.len(),
        }
    }
}

impl Record {
    pub fn new(connection: u64, what: What) -> Arc<Self> {
        Arc::new(Record {
            time: SystemTime::now(),
            connection,
            what,
        })
    }

    /// What it costs a queue, in bytes.
    pub(super) fn size(&self) -> usize {
        let of_what = match &self.what {
            What::Event(event) => {
                let effects = event.effects.iter().map(|effect| effect.len() + 32);
                event.input.shown.len()
                    + event.output.shown.len()
                    + effects.sum::<usize>()
                    + event.fault.as_ref().map_or(0, String::len)
                    + event.topic.as_ref().map_or(0, |topic| topic.len())
            }
            What::Line { text, .. } => text.len(),
            What::Direct { topic, out } => topic.len() + out.shown.len(),
            What::Mark(mark) => {
                mark.text.len() + mark.out.as_ref().map_or(0, |out| out.shown.len())
            }
        };
        OVERHEAD + of_what
    }

    /// Bytes of the connection that it tells of.
    pub(super) fn carried(&self) -> u64 {
        let count = match &self.what {
            What::Event(event) => event.input.count + event.output.count,
            What::Line { .. } => 0,
            What::Direct { out, .. } => out.count,
            What::Mark(mark) => mark.out.as_ref().map_or(0, |out| out.count),
        };
        count as u64
    }

    /// Whether nothing follows it: a viewer always learns of the end.
    pub(super) fn is_last(&self) -> bool {
        matches!(&self.what, What::Mark(mark) if mark.kind == MarkKind::Closed)
    }

    /// As a line, without its newline.
    fn line(&self, seq: u64, service: &str) -> Vec<u8> {
        let kind = match &self.what {
            What::Event(_) => "event",
            What::Line { .. } => "line",
            What::Direct { .. } => "direct",
            What::Mark(_) => "mark",
        };
        let mut line = output::Record::empty();
        line.field("type", kind);
        line.field("seq", seq);
        line.field("time", unix_ms(self.time));
        line.field("connection", self.connection);
        line.field("service", service);
        match &self.what {
            What::Event(event) => event.write(&mut line),
            What::Line {
                stream,
                level,
                text,
            } => {
                line.field("stream", stream);
                line.field("level", level);
                line.field("text", text);
            }
            What::Direct { topic, out } => {
                line.field("topic", topic);
                write_bytes(&mut line, "out", "out_bytes", out);
            }
            What::Mark(mark) => mark.write(&mut line),
        }
        line.end()
    }
}

impl EventRecord {
    fn write(&self, line: &mut output::Record) {
        line.field("event", self.event);
        line.field("generation", self.generation);
        optional(line, "origin", self.origin);
        optional(line, "timer", self.timer);
        optional(line, "topic", self.topic.as_ref());
        optional(line, "sender", self.sender);
        optional(line, "missed", self.missed);
        optional(line, "reason", self.reason);
        write_bytes(line, "in", "in_bytes", &self.input);
        match self.is_held {
            true => line.field("held", true),
            false => write_bytes(line, "out", "out_bytes", &self.output),
        }
        line.field("wall_us", micros(self.wall));
        line.field("cpu_us", self.cpu.map(micros));
        line.field("effects", &self.effects);
        line.field("fault", &self.fault);
    }
}

impl Mark {
    fn write(&self, line: &mut output::Record) {
        line.field("mark", self.kind.name());
        optional(line, "from", self.from);
        optional(line, "to", self.to);
        optional(line, "cause", self.cause);
        line.field("text", &self.text);
        if let Some(out) = &self.out {
            write_bytes(line, "out", "out_bytes", out);
        }
    }
}

impl Entry {
    /// As a line of JSON.
    pub(super) fn write(&self, service: &str, lines: &mut Vec<u8>) {
        match self {
            Entry::Record { seq, record } => lines.extend(record.line(*seq, service)),
            Entry::Dropped(Dropped { records, bytes }) => {
                let mut line = output::Record::empty();
                line.field("type", "dropped");
                line.field("time", unix_ms(SystemTime::now()));
                line.field("records", records);
                line.field("bytes", bytes);
                lines.extend(line.end());
            }
        }
        lines.push(b'\n');
    }
}

fn optional(line: &mut output::Record, name: &str, value: Option<impl serde::Serialize>) {
    if let Some(value) = value {
        line.field(name, value);
    }
}

fn write_bytes(line: &mut output::Record, name: &str, count: &str, bytes: &Bytes) {
    line.field(name, STANDARD.encode(&bytes.shown));
    line.field(count, bytes.count);
}

/// Milliseconds since 1970, down to microseconds.
fn unix_ms(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_micros() as f64) / 1e3
}

/// Microseconds, down to a tenth.
fn micros(time: Duration) -> f64 {
    ((time.as_nanos() as f64) / 100.0).round() / 10.0
}
