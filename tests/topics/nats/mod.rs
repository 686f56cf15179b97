//! Topics over several nodes, with a real NATS server between them.

mod away;
mod flags;
mod foreign;
mod limits;
mod login;
mod nodes;

use serde_json::Value;

use super::{Orders, connect, served};
use crate::harness::{NatsServer, Serve, Server, wait_for};

/// A node, not started.
fn node(nats: &NatsServer, args: &[&str]) -> Serve {
    served(&["--topics", &nats.url()]).args(args)
}

/// Nodes that have reached NATS.
fn nodes<const N: usize>(nats: &NatsServer, args: &[&str]) -> [Server; N] {
    std::array::from_fn(|_| {
        let server = node(nats, args).start();
        server.wait_nats("connected");
        server
    })
}

impl Server {
    /// What `hotsocket topics` says of NATS.
    fn nats(&self) -> Value {
        self.ask_topics()["nats"].clone()
    }

    /// One of its counters.
    fn nats_count(&self, what: &str) -> u64 {
        self.nats()[what].as_u64().expect("a number")
    }

    #[track_caller]
    fn wait_nats(&self, state: &str) {
        wait_for(&format!("NATS {state}"), || self.nats()["state"] == state);
    }

    #[track_caller]
    fn wait_nats_count(&self, what: &str, least: u64) {
        wait_for(&format!("{what} of NATS"), || {
            self.nats_count(what) >= least
        });
    }
}
