//! What connections say to each other: who gets what, when, and what becomes of it when
//! code, instances and connections come and go.

mod commands;
mod delivery;
mod effects;
mod limits;
mod nats;
mod survival;
mod will;

pub use limits::{STUCK, stuck};

use crate::guests::messenger;
use crate::harness::{Client, Serve, Server, serve};

fn start(args: &[&str]) -> Server {
    served(args).start()
}

fn served(args: &[&str]) -> Serve {
    serve(messenger()).args(args)
}

/// Give an order, and wait until it is carried out: the answer is sent with the event,
/// and what comes after it finds what it has asked for done.
pub trait Orders {
    fn order(&mut self, order: &str);
    fn expect_line(&mut self, line: &str);
}

impl Orders for Client {
    fn order(&mut self, order: &str) {
        self.ask(format!("{order}\n"), "ok\n");
        // The effects of an event are complete before the next one.
        self.ask("?\n", "what?\n");
    }

    fn expect_line(&mut self, line: &str) {
        self.expect(format!("{line}\n"));
    }
}

/// Connections with the ids 1 to N.
pub fn connect<const N: usize>(server: &Server) -> [Client; N] {
    std::array::from_fn(|_| {
        let mut client = server.connect();
        client.ask("?\n", "what?\n");
        client
    })
}
