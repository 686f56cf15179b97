//! What {name} does with a connection: it counts what the peer sends.

use std::net::SocketAddr;

use hotsocket_guest::{Connection, Handler, Snapshot, export, println};

/// One connection. Each has an instance of its own, in a sandbox of its own.
#[derive(Default)]
pub struct Session {
    bytes: u64,
}

impl Handler for Session {
    fn listening(listeners: &[SocketAddr]) {
        println!("Server listening on port {}", listeners[0].port());
    }

    fn data(&mut self, conn: &Connection, data: &[u8]) {
        // TCP has no messages: what the peer wrote at once may come in pieces.
        self.bytes += data.len() as u64;
        conn.write(format!("{} bytes so far\n", self.bytes));
    }

    fn end(&mut self, conn: &Connection) {
        println!("{} sent {} bytes", conn.peer().ip(), self.bytes);
    }

    // What new code must know of this connection when it takes over.
    fn save(&self) -> Option<Snapshot> {
        Some(Snapshot::new(1, self.bytes.to_string()))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let state = String::from_utf8(snapshot.upgrade(1, &[])?).map_err(|e| e.to_string())?;
        self.bytes = state.parse().map_err(|_| format!("{state:?} is no count"))?;
        Ok(())
    }
}

export!(Session);
