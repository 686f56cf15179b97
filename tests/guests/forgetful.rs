//! New code that looks well: it takes over a connection with its state, answers, and
//! dies of its first message.

use hotsocket_guest::topics::{self, Message, Subscriber};
use hotsocket_guest::{Connection, Handler, Resumed, Snapshot, export};

#[derive(Default)]
pub struct Forgetful(Option<Snapshot>);

impl Handler for Forgetful {
    fn resume(&mut self, _: &Connection, resumed: Resumed) -> Result<(), String> {
        self.0 = resumed.snapshot;
        // Held back, and dropped with this code.
        let _ = topics::publish("news", "a lie");
        let _ = topics::set_will("news", "another");
        Ok(())
    }

    fn data(&mut self, conn: &Connection, _: &[u8]) {
        conn.write("new\n");
    }

    fn save(&self) -> Option<Snapshot> {
        self.0.clone()
    }
}

impl Subscriber for Forgetful {
    fn message(&mut self, _: &Connection, _: Message<'_>) {
        panic!("who?");
    }
}

export!(Forgetful, Subscriber);
