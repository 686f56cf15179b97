//! Whether NATS is there, and what is counted.
//!
//! That it is away is said once, and that it is back; what happens to single messages is
//! counted, and logged now and then.

use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::{Event, ServerError};
use hotsocket_sandbox::limit_counters::RateLimitedLog;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// What NATS is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Topics,
    Store,
}

impl Use {
    /// What its lines in the log begin with, and the names of its flags.
    fn name(self) -> &'static str {
        match self {
            Use::Topics => "topics",
            Use::Store => "store",
        }
    }

    /// What it means that NATS is away, and what people can do.
    fn advice(self) -> &'static str {
        match self {
            Use::Topics => {
                "connections of this node meet, those of other nodes do not; it is tried until \
                 NATS is back: check the server, and --topics"
            }
            Use::Store => {
                "calls of the store fail; it is tried until NATS is back: check the server, and \
                 --store"
            }
        }
    }

    /// What the client's errors mean.
    fn explain(self, error: &str) -> String {
        let error = error.strip_prefix("nats: ").unwrap_or(error);
        let error = error.strip_prefix("IO error: ").unwrap_or(error);
        if error.contains("authorization violation") || error.contains("signing nonce") {
            return "it does not accept user, password, token or credentials".to_owned();
        }
        if error.contains("certificate") {
            let flag = self.name();
            return format!("{error}; --{flag}-ca names the certificates it is signed with");
        }
        match error.split_once(" (os error") {
            Some((error, _)) => error.to_owned(),
            None => error.to_owned(),
        }
    }
}

/// Whether NATS is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It has not been reached yet.
    #[default]
    Connecting,
    Connected,
    /// It was there, and is not now.
    Away,
}

/// See the module's documentation.
pub struct Health {
    of: Use,
    /// The servers, for people.
    servers: String,
    inner: Mutex<Inner>,
    counters: Counters,
    logs: Logs,
}

#[derive(Default)]
struct Inner {
    state: State,
    /// That it cannot be reached has been said.
    is_said: bool,
    /// Why not.
    why: Option<String>,
}

/// Totals since the start.
#[derive(Default)]
struct Counters {
    published: AtomicU64,
    received: AtomicU64,
    dropped: AtomicU64,
    too_large: AtomicU64,
    invalid: AtomicU64,
    missed: AtomicU64,
    reconnects: AtomicU64,
    errors: AtomicU64,
}

#[derive(Default)]
struct Logs {
    dropped: RateLimitedLog,
    too_large: RateLimitedLog,
    invalid: RateLimitedLog,
    missed: RateLimitedLog,
    errors: RateLimitedLog,
}

/// What `status` and `topics` show. Counts are since the start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NatsStatus {
    pub servers: String,
    pub prefix: String,
    pub state: State,
    /// Why it is not connected, and what to do.
    pub why: Option<String>,
    /// Patterns that this node has subscribed to there.
    pub subscriptions: usize,
    /// Messages that were handed to NATS.
    pub published: u64,
    /// Messages that came from there and were taken.
    pub received: u64,
    /// Messages that were not handed to NATS because too many waited.
    pub dropped: u64,
    /// Messages that NATS does not take because they are too large for it (its
    /// `max_payload`).
    pub too_large: u64,
    /// Messages from NATS that are none here: larger than 64 KiB, or under a subject
    /// that is no topic.
    pub invalid: u64,
    /// How often messages from NATS were lost because this node was too slow to take
    /// them, or was cut off for it.
    pub slow_consumer: u64,
    pub reconnects: u64,
    /// What NATS complained of otherwise, such as a lack of permissions.
    pub errors: u64,
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Health {
    pub fn new(of: Use, servers: String) -> Self {
        Health {
            of,
            servers,
            inner: Mutex::default(),
            counters: Counters::default(),
            logs: Logs::default(),
        }
    }

    /// The client has something to say.
    pub fn note(&self, event: Event) {
        match event {
            Event::Connected => self.connected(),
            Event::Disconnected => self.away(None),
            // In which the client only says of what kind the failure is; `failed` follows.
            Event::ClientError(error) if error.to_string().ends_with("IO error") => {}
            Event::ClientError(error) => self.away(Some(self.of.explain(&error.to_string()))),
            Event::SlowConsumer(_) | Event::ServerError(ServerError::SlowConsumer(_)) => {
                self.missed();
            }
            Event::ServerError(ServerError::Other(error))
                if error.to_lowercase().contains("slow consumer") =>
            {
                self.missed();
            }
            Event::ServerError(error) => self.complained(&error),
            Event::LameDuckMode | Event::Draining | Event::Closed => {}
        }
    }

    /// The client is about to try again: this is why it has failed before.
    pub fn failed(&self, servers: &[async_nats::Server]) {
        let mut errors = servers.iter().filter_map(|it| it.last_error.as_deref());
        if let Some(error) = errors.next() {
            self.away(Some(self.of.explain(error)));
        }
    }

    fn connected(&self) {
        let mut inner = self.inner.lock();
        let before = std::mem::replace(&mut inner.state, State::Connected);
        (inner.is_said, inner.why) = (false, None);
        let again = match before {
            State::Connecting => "",
            State::Connected | State::Away => {
                add(&self.counters.reconnects, 1);
                " again"
            }
        };
        let servers = &self.servers;
        tracing::info!(
            kind = "nats",
            state = "connected",
            "{}: NATS at {servers} is connected{again}",
            self.of.name()
        );
    }

    fn away(&self, why: Option<String>) {
        let mut inner = self.inner.lock();
        if inner.state == State::Connected {
            inner.state = State::Away;
        }
        if let Some(why) = why {
            inner.why = Some(why);
        }
        if std::mem::replace(&mut inner.is_said, true) {
            return;
        }
        let servers = &self.servers;
        let why = inner.why.as_deref().map(|why| format!(" ({why})"));
        tracing::warn!(
            kind = "nats",
            state = "away",
            "{}: NATS at {servers} cannot be reached{}: {}",
            self.of.name(),
            why.unwrap_or_default(),
            self.of.advice()
        );
    }

    fn complained(&self, error: &ServerError) {
        add(&self.counters.errors, 1);
        let error = error.to_string();
        if let Some(suppressed) = self.logs.errors.due() {
            tracing::warn!(
                kind = "nats",
                suppressed = suppressed.count(),
                "{}: NATS says: {}{suppressed}",
                self.of.name(),
                error.strip_prefix("nats: ").unwrap_or(&error)
            );
        }
    }

    /// Messages were handed to NATS.
    pub fn published(&self, count: u64) {
        add(&self.counters.published, count);
    }

    /// A message came from there.
    pub fn received(&self) {
        add(&self.counters.received, 1);
    }

    /// Messages did not fit into the outbox.
    pub fn dropped(&self, count: u64) {
        if count == 0 {
            return;
        }
        add(&self.counters.dropped, count);
        if let Some(suppressed) = self.logs.dropped.due() {
            tracing::warn!(
                kind = "nats",
                suppressed = suppressed.count(),
                "topics: messages for other nodes are dropped: more than 8 MiB wait for NATS, \
                 which is away or slow{suppressed}"
            );
        }
    }

    /// A message is larger than NATS allows.
    pub fn too_large(&self, most: usize) {
        add(&self.counters.too_large, 1);
        if let Some(suppressed) = self.logs.too_large.due() {
            tracing::warn!(
                kind = "nats",
                suppressed = suppressed.count(),
                "topics: a message did not reach other nodes: NATS takes {most} bytes at most \
                 (its max_payload){suppressed}"
            );
        }
    }

    /// A message from NATS is none here.
    pub fn invalid(&self, subject: &str, bytes: usize) {
        add(&self.counters.invalid, 1);
        if let Some(suppressed) = self.logs.invalid.due() {
            tracing::warn!(
                kind = "nats",
                suppressed = suppressed.count(),
                "topics: a message from NATS was dropped: {bytes} bytes under {subject:.100}; \
                 here it may have 64 KiB, under a subject that is a topic{suppressed}"
            );
        }
    }

    fn missed(&self) {
        add(&self.counters.missed, 1);
        if let Some(suppressed) = self.logs.missed.due() {
            tracing::warn!(
                kind = "nats",
                suppressed = suppressed.count(),
                "topics: messages from NATS were lost: they come faster than this node takes \
                 them (slow consumer){suppressed}"
            );
        }
    }

    /// Whether NATS is there, in words.
    pub fn show(&self) -> String {
        let inner = self.inner.lock();
        match inner.state {
            State::Connected => "connected".to_owned(),
            State::Connecting | State::Away => {
                let why = inner.why.as_deref().unwrap_or("not reached yet");
                format!("away: {why}; {}", self.of.advice())
            }
        }
    }

    pub fn status(&self, prefix: &str, subscriptions: usize) -> NatsStatus {
        let inner = self.inner.lock();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let why = inner.why.as_deref().unwrap_or("not reached yet");
        NatsStatus {
            servers: self.servers.clone(),
            prefix: prefix.to_owned(),
            state: inner.state,
            why: (inner.state != State::Connected).then(|| format!("{why}; {}", self.of.advice())),
            subscriptions,
            published: read(&self.counters.published),
            received: read(&self.counters.received),
            dropped: read(&self.counters.dropped),
            too_large: read(&self.counters.too_large),
            invalid: read(&self.counters.invalid),
            slow_consumer: read(&self.counters.missed),
            reconnects: read(&self.counters.reconnects),
            errors: read(&self.counters.errors),
        }
    }
}
