//! What stands in for the host natively; `sys` calls it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::connection::{Info, WriteError};
use crate::environment::{Level, Value};

pub(crate) mod store;
pub(crate) mod topics;

/// What belongs to the connection, and so outlives a swap.
#[derive(Default)]
pub(crate) struct Recorded {
    /// How many connections there were before this one.
    before: u64,
    pub(crate) written: Vec<u8>,
    pub(crate) ended: bool,
    pub(crate) aborted: bool,
    pub(crate) held_open: bool,
    /// The server sends nothing more that is written: the connection is over, or will be
    /// as the peer has ended it and it is not held open.
    pub(crate) write_closed: bool,
    pub(crate) paused: bool,
    pub(crate) checkpoints: usize,
    pub(crate) label: String,
    /// When each timer runs out.
    pub(crate) timers: BTreeMap<u32, Duration>,
    /// The time since the connection was accepted.
    pub(crate) now: Duration,
    pub(crate) max_queue: Option<usize>,
    pub(crate) max_snapshot: Option<usize>,
    /// `save` runs, which changes nothing.
    pub(crate) saves: bool,
    pub(crate) published: Vec<(String, Vec<u8>)>,
    pub(crate) subscriptions: BTreeSet<String>,
    pub(crate) will: Option<(String, Vec<u8>)>,
    asked: topics::Asked,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) peer: super::PeerFacts,
    /// The guest has asked for TLS, and the peer has not done its handshake.
    pub(crate) awaits_tls: bool,
    pub(crate) store: store::Store,
    /// The state of the generator of random bytes.
    random: u64,
}

thread_local! {
    static RECORDED: RefCell<Recorded> = RefCell::default();
    static PRINTED: RefCell<Vec<String>> = RefCell::default();
}

pub(crate) fn with<T>(run: impl FnOnce(&mut Recorded) -> T) -> T {
    RECORDED.with_borrow_mut(run)
}

pub(crate) fn reset() {
    RECORDED.take();
}

/// The server is the same, and the connection another one.
pub(crate) fn begin_connection() {
    with(|recorded| {
        let last = std::mem::take(recorded);
        *recorded = Recorded {
            before: last.before + 1,
            now: last.now,
            settings: last.settings,
            store: last.store,
            random: last.random,
            ..Recorded::default()
        };
    });
}

/// An event begins.
pub(crate) fn begin_event() {
    with(|recorded| recorded.asked = topics::Asked::default());
}

/// Run `save`: what it writes, prints and asks for is dropped, and it changes nothing in
/// the store.
pub(crate) fn saving<T>(save: impl FnOnce() -> T) -> T {
    with(|recorded| recorded.saves = true);
    let saved = save();
    with(|recorded| recorded.saves = false);
    saved
}

/// Do what a guest asks for.
fn ask(carry_out: impl FnOnce(&mut Recorded)) {
    with(|recorded| {
        if !recorded.saves {
            carry_out(recorded);
        }
    });
}

/// Take the first timer that runs out until `end`, and let it be that time;
/// or let it be `end`.
pub(crate) fn run_out(end: Duration) -> Option<u32> {
    with(|recorded| {
        let set = recorded.timers.iter().map(|(&id, &due)| (due, id));
        let first = set.filter(|(due, _)| *due <= end).min();
        recorded.now = first.map_or(end, |(due, _)| due.max(recorded.now));
        let (_, id) = first?;
        recorded.timers.remove(&id);
        Some(id)
    })
}

pub(crate) fn take_printed() -> Vec<String> {
    PRINTED.take()
}

pub(crate) fn info() -> Info {
    let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    Info {
        id: with(|recorded| recorded.before) + 1,
        local: local(3000),
        peer: local(50000),
    }
}

pub(crate) fn write(bytes: &[u8]) -> Result<bool, WriteError> {
    with(|recorded| {
        if recorded.ended || recorded.aborted || recorded.write_closed {
            return Err(WriteError::Closed);
        }
        if recorded.saves {
            return Ok(true);
        }
        let size = recorded.written.len() + bytes.len();
        if recorded.max_queue.is_some_and(|max| size > max) {
            return Err(WriteError::Full);
        }
        recorded.written.extend_from_slice(bytes);
        Ok(true)
    })
}

pub(crate) fn end() {
    ask(|recorded| recorded.ended = true);
}

pub(crate) fn abort() {
    ask(|recorded| recorded.aborted = true);
}

pub(crate) fn pause() {
    ask(|recorded| recorded.paused = true);
}

pub(crate) fn resume() {
    ask(|recorded| recorded.paused = false);
}

pub(crate) fn checkpoint() {
    ask(|recorded| recorded.checkpoints += 1);
}

pub(crate) fn label(name: &str) {
    ask(|recorded| name.clone_into(&mut recorded.label));
}

/// When the connection was accepted: the beginning of 2026, in nanoseconds since 1970.
const ACCEPTED: u64 = 1_767_225_600_000_000_000;

pub(crate) fn now() -> u64 {
    ACCEPTED + uptime()
}

pub(crate) fn uptime() -> u64 {
    with(|recorded| u64::try_from(recorded.now.as_nanos()).unwrap_or(u64::MAX - ACCEPTED))
}

/// The same bytes in every test: <https://prng.di.unimi.it/splitmix64.c>.
pub(crate) fn random(count: u32) -> Vec<u8> {
    let next = |state: &mut u64| {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let mut bytes = vec![0; count as usize];
    with(|recorded| {
        for piece in bytes.chunks_mut(8) {
            piece.copy_from_slice(&next(&mut recorded.random).to_le_bytes()[..piece.len()]);
        }
    });
    bytes
}

pub(crate) fn setting(name: &str) -> Option<String> {
    with(|recorded| recorded.settings.get(name).cloned())
}

/// As the server prints it as text, but for quotes around values that need them.
pub(crate) fn log(level: Level, message: &str, fields: &[(&str, Value<'_>)]) {
    let mut line = format!("{} {message}", format!("{level:?}").to_uppercase());
    for (name, value) in fields {
        line += &match value {
            Value::Text(text) => format!(" {name}={text}"),
            Value::Integer(integer) => format!(" {name}={integer}"),
            Value::Number(number) => format!(" {name}={number}"),
            Value::Boolean(boolean) => format!(" {name}={boolean}"),
        };
    }
    print(&line);
}

pub(crate) fn print(line: &str) {
    if !with(|recorded| recorded.saves) {
        PRINTED.with_borrow_mut(|printed| printed.push(line.to_owned()));
    }
}

pub(crate) fn error(line: &str) {
    print(line);
}

pub(crate) fn panic(message: &str) {
    std::eprintln!("{message}");
}

pub(crate) fn hold_open() {
    ask(|recorded| recorded.held_open = true);
}

pub(crate) fn set_timer(id: u32, after_ms: u64) {
    ask(|recorded| {
        let due = recorded.now.saturating_add(Duration::from_millis(after_ms));
        recorded.timers.insert(id, due);
    });
}

pub(crate) fn clear_timer(id: u32) {
    ask(|recorded| {
        recorded.timers.remove(&id);
    });
}
