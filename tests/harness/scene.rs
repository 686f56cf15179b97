//! A server that is treated badly, and a connection that must not notice.

use super::{Client, Server, serve, wait_for};
use crate::guests::Guest;

/// A server whose limits are reached, and a connection that must not notice.
pub struct Scene {
    pub server: Server,
    pub neighbour: Client,
}

impl Scene {
    pub fn start(guest: &Guest, args: &[&str]) -> Self {
        let server = serve(guest.build()).args(args).start();
        let mut neighbour = server.connect();
        neighbour.ask("x", "x");
        Scene { server, neighbour }
    }

    /// A connection of which the server knows.
    pub fn client(&self) -> Client {
        let mut client = self.server.connect();
        client.ask("x", "x");
        client
    }

    /// A limit was reached so often, one line tells of it, and the neighbour
    /// goes on.
    pub fn reached(&mut self, limit: &str, times: u64, told: &str) {
        self.counted(limit, times);
        self.server.stderr.wait(told);
        assert_eq!(self.server.stderr.count(told), 1, "{told:?} is told once");
        self.undisturbed();
    }

    /// Let the guest be known for short events, so that it is called without a
    /// fiber. Needs `--log-level debug`.
    pub fn earn_direct_calls(&mut self) {
        for _ in 0..1200 {
            self.neighbour.ask("x", "x");
        }
        assert_eq!(self.server.stderr.count("events are long"), 0);
    }

    pub fn counted(&self, limit: &str, times: u64) {
        wait_for(&format!("{limit} to be reached {times} times"), || {
            reached(&self.server, limit) == times
        });
    }

    pub fn undisturbed(&mut self) {
        self.neighbour.ask("x", "x");
        assert!(self.server.is_well());
    }
}

/// How often a limit was reached.
pub fn reached(server: &Server, limit: &str) -> u64 {
    limits_reached(&server.status(), limit)
}

/// The same, of a status that is there already.
pub fn limits_reached(status: &serde_json::Value, limit: &str) -> u64 {
    status["limits_reached"][limit].as_u64().unwrap_or(0)
}
