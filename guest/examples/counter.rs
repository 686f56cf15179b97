//! Teaches: state that survives a swap. It counts the bytes of a session, and
//! new code goes on counting where the old code stopped.
//!
//! Try it: `hotsocket build counter.rs && hotsocket serve counter.wasm`, then
//! `nc 127.0.0.1 3000` in another terminal, and type. Now change the text
//! below, build again, and go on typing in the same `nc`.

use hotsocket_guest::{Connection, Handler, Snapshot, export};

#[derive(Default)]
pub struct Counter {
    bytes: u64,
}

impl Handler for Counter {
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        conn.write(format!("{} bytes so far\n", self.bytes));
    }

    fn save(&self) -> Option<Snapshot> {
        // Text that anyone can read, and that no other guest takes for its own.
        Some(Snapshot::new(1, format!("{} bytes", self.bytes)))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let state = snapshot.upgrade(1, &[])?;
        // Another guest's state says nothing to this one, which starts afresh.
        self.bytes = read(&state).unwrap_or_default();
        Ok(())
    }
}

/// The inverse of `save`.
fn read(state: &[u8]) -> Option<u64> {
    let state = std::str::from_utf8(state).ok()?;
    state.strip_suffix(" bytes")?.parse().ok()
}

export!(Counter);
