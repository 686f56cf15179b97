//! Containment: each limit has a guest or a client that reaches it, which
//! costs that one connection, is told in the log and counted in `status`.
//!
//! `docs/limits.md` names for each limit the test that holds it.

mod control;
mod cpu;
mod defaults;
mod handshake;
mod hostile_clients;
mod hostile_guests;
mod hostile_imports;
mod loader;
mod mappings;
mod output;
mod places;
mod room;
mod sizes;
mod times;
mod wasi;

use crate::guests::{Guest, guest};
use crate::harness::{Client, Server, serve, wait_for};

/// What a guest does with what no order is for.
const ECHO: &str = "(call $say (local.get $at) (local.get $count))";

/// A guest that does something of its own for each letter that begins what it
/// gets, and answers everything else with itself. `$n` is a local of theirs.
fn obeying(orders: &[(char, &str)]) -> Guest {
    let body = orders.iter().rev().fold(ECHO.to_owned(), |rest, order| {
        let (letter, body) = (u32::from(order.0), order.1);
        format!(
            "(if (i32.eq (i32.load8_u (local.get $at)) (i32.const {letter}))
               (then {body}) (else {rest}))"
        )
    });
    guest().data(&format!("(local $n i32) {body}"))
}

/// A server whose limits are reached, and a connection that must not notice.
struct Scene {
    server: Server,
    neighbour: Client,
}

impl Scene {
    fn start(guest: &Guest, args: &[&str]) -> Self {
        let server = serve(guest.build()).args(args).start();
        let mut neighbour = server.connect();
        neighbour.ask("x", "x");
        Scene { server, neighbour }
    }

    /// A connection of which the server knows.
    fn client(&self) -> Client {
        let mut client = self.server.connect();
        client.ask("x", "x");
        client
    }

    /// A limit was reached so often, one line tells of it, and the neighbour
    /// goes on.
    fn reached(&mut self, limit: &str, times: u64, told: &str) {
        self.counted(limit, times);
        self.server.stderr.wait(told);
        assert_eq!(self.server.stderr.count(told), 1, "{told:?} is told once");
        self.undisturbed();
    }

    /// Let the guest be known for short events, so that it is called without a
    /// fiber. Needs `--log-level debug`.
    fn earn_direct_calls(&mut self) {
        for _ in 0..1200 {
            self.neighbour.ask("x", "x");
        }
        assert_eq!(self.server.stderr.count("events are long"), 0);
    }

    fn counted(&self, limit: &str, times: u64) {
        wait_for(&format!("{limit} to be reached {times} times"), || {
            reached(&self.server, limit) == times
        });
    }

    fn undisturbed(&mut self) {
        self.neighbour.ask("x", "x");
        assert!(self.server.is_well());
    }
}

/// How often a limit was reached.
fn reached(server: &Server, limit: &str) -> u64 {
    counted(&server.status(), limit)
}

/// The same, of a status that is there already.
fn counted(status: &serde_json::Value, limit: &str) -> u64 {
    status["limits_reached"][limit].as_u64().unwrap_or(0)
}
