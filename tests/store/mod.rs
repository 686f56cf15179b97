//! What outlives connections: values by keys.

mod atomics;
mod commands;
mod effects;
mod file;
mod killed;
mod lifetimes;
mod limits;
mod nats;
mod operations;

use crate::guests::keeper;
use crate::harness::{Client, Serve, Server, serve};

fn start(args: &[&str]) -> Server {
    served(args).start()
}

fn served(args: &[&str]) -> Serve {
    serve(keeper()).args(args)
}

/// Give orders, each with the answer that it gets.
trait Orders {
    fn orders(&mut self, orders: &[(&str, &str)]);
}

impl Orders for Client {
    #[track_caller]
    fn orders(&mut self, orders: &[(&str, &str)]) {
        for (order, answer) in orders {
            self.ask(format!("{order}\n"), format!("{answer}\n"));
        }
    }
}
