//! What stands in for the host natively; `sys` calls it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::connection::{Info, WriteError};

/// What belongs to the connection, and so outlives a swap.
#[derive(Default)]
pub(crate) struct Recorded {
    pub(crate) written: Vec<u8>,
    pub(crate) ended: bool,
    pub(crate) aborted: bool,
    pub(crate) held_open: bool,
    pub(crate) paused: bool,
    pub(crate) checkpoints: usize,
    pub(crate) label: String,
    /// When each timer runs out.
    pub(crate) timers: BTreeMap<u32, Duration>,
    /// The time since the connection was accepted.
    pub(crate) now: Duration,
    pub(crate) max_queue: Option<usize>,
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
        id: 1,
        local: local(3000),
        peer: local(50000),
    }
}

pub(crate) fn write(bytes: &[u8]) -> Result<bool, WriteError> {
    with(|recorded| {
        if recorded.ended || recorded.aborted {
            return Err(WriteError::Closed);
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
    with(|recorded| recorded.ended = true);
}

pub(crate) fn abort() {
    with(|recorded| recorded.aborted = true);
}

pub(crate) fn pause() {
    with(|recorded| recorded.paused = true);
}

pub(crate) fn resume() {
    with(|recorded| recorded.paused = false);
}

pub(crate) fn checkpoint() {
    with(|recorded| recorded.checkpoints += 1);
}

pub(crate) fn label(name: &str) {
    with(|recorded| name.clone_into(&mut recorded.label));
}

pub(crate) fn print(line: &str) {
    PRINTED.with_borrow_mut(|printed| printed.push(line.to_owned()));
}

pub(crate) fn error(line: &str) {
    print(line);
}

pub(crate) fn panic(message: &str) {
    std::eprintln!("{message}");
}

pub(crate) fn hold_open() {
    with(|recorded| recorded.held_open = true);
}

pub(crate) fn set_timer(id: u32, after_ms: u64) {
    with(|recorded| {
        let due = recorded.now.saturating_add(Duration::from_millis(after_ms));
        recorded.timers.insert(id, due);
    });
}

pub(crate) fn clear_timer(id: u32) {
    with(|recorded| recorded.timers.remove(&id));
}
