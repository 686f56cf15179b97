//! The log for somebody who looks at it now: a line of JSON for each event, which costs
//! nothing while nobody looks.
//!
//! ```text
//! {"type":"log","time":1764172800123,"level":"warn","kind":"fault","connection":7,"text":"…"}
//! {"type":"dropped","records":12}
//! ```
//!
//! `text` is what the log for people says, without time and level. Whoever logs never waits:
//! what does not fit into the queue of a stream is dropped, and the stream says how much.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use hotsocket_sandbox::limit_counters::{Limit, LimitCounters};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::text::{Sentence, Subject, level_name};
use crate::output::{Record, harmless};

/// Streams at once.
pub const MAX_LOG_STREAMS: usize = 8;
/// What may wait for one stream, in bytes.
pub const LOG_BUFFER: usize = 256 << 10;
/// What a stream gives at once, in bytes, or one line that is longer.
const BATCH: usize = 64 << 10;

/// Those who look. The log is one for the whole process, and so is this.
static QUEUES: Mutex<Vec<Arc<Queue>>> = Mutex::new(Vec::new());
/// How many they are, for whoever logs.
static WATCHED: AtomicUsize = AtomicUsize::new(0);

fn is_watched() -> bool {
    WATCHED.load(Ordering::Relaxed) > 0
}

/// The log from now on. Call [`Self::next`] again and again; dropping it ends the recording.
pub struct LogStream(Arc<Queue>);

impl LogStream {
    /// What is dropped is counted there. `None` if there are [`MAX_LOG_STREAMS`] already.
    pub fn open(reached: &Arc<LimitCounters>) -> Option<Self> {
        let mut queues = QUEUES.lock();
        if queues.len() >= MAX_LOG_STREAMS {
            return None;
        }
        let queue = Arc::new(Queue {
            waiting: Mutex::default(),
            changed: Notify::new(),
            reached: Arc::clone(reached),
        });
        queues.push(Arc::clone(&queue));
        WATCHED.store(queues.len(), Ordering::Relaxed);
        Some(LogStream(queue))
    }

    /// One line or several, each with its newline, as soon as there are any. Nothing is lost
    /// if the future is dropped before it is ready.
    pub async fn next(&mut self) -> Vec<u8> {
        loop {
            let lines = self.0.take();
            if !lines.is_empty() {
                return lines;
            }
            self.0.changed.notified().await;
        }
    }
}

impl Drop for LogStream {
    fn drop(&mut self) {
        let mut queues = QUEUES.lock();
        queues.retain(|queue| !Arc::ptr_eq(queue, &self.0));
        WATCHED.store(queues.len(), Ordering::Relaxed);
    }
}

/// What waits for one stream.
struct Queue {
    waiting: Mutex<Waiting>,
    /// Notified when something has come.
    changed: Notify,
    reached: Arc<LimitCounters>,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Arc<[u8]>>,
    /// Of the lines, together.
    bytes: usize,
    /// Since the last one that fitted.
    dropped: u64,
}

impl Queue {
    fn push(&self, line: Arc<[u8]>) {
        let mut waiting = self.waiting.lock();
        if waiting.bytes.saturating_add(line.len()) > LOG_BUFFER {
            waiting.dropped += 1;
            self.reached.count(Limit::LogBuffer);
            return;
        }
        waiting.push_dropped();
        waiting.push(line);
        drop(waiting);
        self.changed.notify_one();
    }

    fn take(&self) -> Vec<u8> {
        let mut waiting = self.waiting.lock();
        if waiting.lines.is_empty() {
            waiting.push_dropped();
        }
        let mut taken = Vec::new();
        while let Some(line) = waiting.lines.front()
            && (taken.is_empty() || taken.len() + line.len() <= BATCH)
        {
            taken.extend_from_slice(line);
            waiting.lines.pop_front();
        }
        waiting.bytes = waiting.bytes.saturating_sub(taken.len());
        taken
    }
}

impl Waiting {
    fn push(&mut self, line: Arc<[u8]>) {
        self.bytes = self.bytes.saturating_add(line.len());
        self.lines.push_back(line);
    }

    /// Say how much was dropped, where it was.
    fn push_dropped(&mut self) {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            let line = format!("{{\"type\":\"dropped\",\"records\":{dropped}}}\n");
            self.push(line.into_bytes().into());
        }
    }
}

/// Gives events to those who look.
pub struct Tap;

/// What a span says of its connection: kept in the span, which lives for one line.
struct Connection {
    id: Option<u64>,
    subject: String,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Tap {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !is_watched() {
            return;
        }
        let mut subject = String::new();
        attributes.record(&mut Subject::new(Writer::new(&mut subject)));
        let mut number = Number(None);
        attributes.record(&mut number);
        if let Some(span) = context.span(id) {
            let id = number.0;
            span.extensions_mut().insert(Connection { id, subject });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !is_watched() {
            return;
        }
        let mut seen = Seen::default();
        event.record(&mut seen);
        let span = context.lookup_current();
        let extensions = span.as_ref().map(|span| span.extensions());
        let connection = extensions
            .as_ref()
            .and_then(|extensions| extensions.get::<Connection>());
        let line = seen.line(level_name(*event.metadata().level()), connection);
        for queue in QUEUES.lock().iter() {
            queue.push(Arc::clone(&line));
        }
    }
}

/// What an event says.
#[derive(Default)]
struct Seen {
    sentence: Sentence,
    kind: Option<String>,
}

impl Seen {
    fn line(&self, level: &str, connection: Option<&Connection>) -> Arc<[u8]> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut record = Record::empty();
        record.field("type", "log");
        record.field("time", now.map_or(0, |now| now.as_millis() as u64));
        record.field("level", level);
        record.field("kind", &self.kind);
        record.field("connection", connection.and_then(|it| it.id));
        let message = harmless(self.sentence.message.as_bytes());
        let text = match connection {
            Some(it) => format!("{}{} {message}", it.subject, self.sentence.colon()),
            None => message.into_owned(),
        };
        record.field("text", text);
        let mut line = record.end();
        line.push(b'\n');
        line.into()
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.sentence.record_debug(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "kind" {
            self.kind = Some(value.to_owned());
        }
        self.sentence.record_str(field, value);
    }
}

/// The number of a connection.
struct Number(Option<u64>);

impl Visit for Number {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "id" {
            self.0 = Some(value);
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt;

    fn values(lines: &[u8]) -> Vec<Value> {
        let lines = lines
            .split(|byte| *byte == b'\n')
            .filter(|it| !it.is_empty());
        let parse = |line| serde_json::from_slice(line).expect("JSON");
        lines.map(parse).collect()
    }

    /// One test, as the log is one for the whole process.
    #[tokio::test]
    async fn events_are_seen_and_what_does_not_fit_is_counted() {
        let subscriber = tracing_subscriber::registry().with(Tap);
        let _log = tracing::subscriber::set_default(subscriber);
        tracing::info!("nobody looks");
        let reached = Arc::<LimitCounters>::default();
        let open = || LogStream::open(&reached);
        let mut stream = open().expect("a stream");
        tracing::error_span!("connection", id = 7_u64, peer = %"::1", label = "a\u{1b}b")
            .in_scope(|| tracing::warn!(kind = "fault", "<b>it</b>\u{1b}[2J has {}", "trapped"));
        let seen = values(&stream.next().await);
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen[0]["type"], "log");
        assert_eq!(seen[0]["level"], "warn");
        assert_eq!(seen[0]["kind"], "fault");
        assert_eq!(seen[0]["connection"], 7);
        let text = "connection 7 from ::1 (a\\x1bb): <b>it</b>\\x1b[2J has trapped";
        assert_eq!(seen[0]["text"], text);
        assert!(seen[0]["time"].as_u64() > Some(1_700_000_000_000));

        let long = "x".repeat(LOG_BUFFER / 4);
        for _ in 0..10 {
            tracing::info!("{long}");
        }
        let mut seen = Vec::new();
        while !seen
            .last()
            .is_some_and(|it: &Value| it["type"] == "dropped")
        {
            seen.extend(values(&stream.next().await));
        }
        assert_eq!(seen.len(), 4, "three fit");
        assert_eq!(seen[3]["records"], 7);
        assert_eq!(reached.all().collect::<Vec<_>>(), [("log-buffer", 7)]);

        let more: Vec<_> = std::iter::from_fn(open).collect();
        assert_eq!(more.len(), MAX_LOG_STREAMS - 1);
        drop((stream, more));
        assert!(!is_watched());
    }
}
