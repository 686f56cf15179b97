//! A server that is treated badly, and a connection that must not notice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{Client, Ran, Server, assert_logged_once, serve, wait_for};

/// A server whose limits are reached, and a neighbour: a connection that goes on
/// as if nothing was.
///
/// What a test says of counters and lines of the log ([`reached`](Self::reached),
/// [`counted`](Self::counted), [`total`](Self::total), [`once`](Self::once)) is
/// waited for at once, and checked again at the end of the scene, be it
/// [`end`](Self::end) or the end of its scope: then all connections are over and
/// the server has stopped, so that one too many would show.
pub struct Scene {
    pub server: Server,
    pub neighbour: Client,
    /// How often each limit must have been reached in the end.
    limits: BTreeMap<String, u64>,
    /// The same for the counters of connections.
    totals: BTreeMap<String, u64>,
    /// What must stand in one line of the log.
    once: BTreeSet<String>,
    began: Instant,
    ended: bool,
}

impl Scene {
    pub fn start(guest: impl Into<Vec<u8>>, args: &[&str]) -> Self {
        let began = Instant::now();
        let server = serve(guest.into()).args(args).start();
        let mut neighbour = server.connect();
        neighbour.ask("x", "x");
        Scene {
            server,
            neighbour,
            limits: BTreeMap::new(),
            totals: BTreeMap::new(),
            once: BTreeSet::new(),
            began,
            ended: false,
        }
    }

    /// A connection of which the server knows.
    pub fn client(&self) -> Client {
        let mut client = self.server.connect();
        client.ask("x", "x");
        client
    }

    /// A limit was reached so often, one line tells of it, and the neighbour
    /// goes on.
    #[track_caller]
    pub fn reached(&mut self, limit: &str, times: u64, line: &str) {
        self.counted(limit, times);
        self.once(line);
        self.undisturbed();
    }

    #[track_caller]
    pub fn counted(&mut self, limit: &str, times: u64) {
        wait_for(&format!("{limit} to be reached {times} times"), || {
            self.server.limit_reached(limit) == times
        });
        self.limits.insert(limit.to_owned(), times);
    }

    /// So many connections there were of a kind, as `status` counts them:
    /// `accepted`, `refused`, `faults`.
    #[track_caller]
    pub fn total(&mut self, kind: &str, total: u64) {
        wait_for(&format!("{total} {kind}"), || {
            self.server.connections(kind) == total
        });
        self.totals.insert(kind.to_owned(), total);
    }

    /// The log says this in one line, however often it happens.
    #[track_caller]
    pub fn once(&mut self, line: &str) {
        self.server.stderr.wait(line);
        self.once.insert(line.to_owned());
    }

    /// Let the guest be known for short events, so that it is called without a
    /// fiber. Needs `--log-level debug`.
    pub fn earn_direct_calls(&mut self) {
        for _ in 0..1200 {
            self.neighbour.ask("x", "x");
        }
        assert!(!self.server.stderr.has("events are long"));
    }

    #[track_caller]
    pub fn undisturbed(&mut self) {
        self.neighbour.ask("x", "x");
        assert!(self.server.is_well());
    }

    /// The server stops. Gives all that it has printed.
    pub fn end(mut self) -> Ran {
        self.stop()
    }

    fn stop(&mut self) -> Ran {
        self.ended = true;
        self.neighbour.end();
        let _ = self.neighbour.rest();
        self.server.settle();
        for (limit, times) in &self.limits {
            assert_eq!(self.server.limit_reached(limit), *times, "{limit}");
        }
        for (kind, total) in &self.totals {
            assert_eq!(self.server.connections(kind), *total, "{kind}");
        }
        self.server.close_all();
        let ran = self.server.end();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        for line in &self.once {
            assert_logged_once(&ran.stderr, line, self.began);
        }
        ran
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !self.ended && !std::thread::panicking() {
            self.stop();
        }
    }
}
