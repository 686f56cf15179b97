//! Teaches: TCP has no messages, so a character may come in two pieces. What
//! has come of it waits for the rest, also across a swap.
//!
//! Try it: `hotsocket build shout.rs && hotsocket serve shout.wasm`, then in
//! another terminal: `(printf 'stra\303'; sleep 1; printf '\237e\n') | nc -N 127.0.0.1 3000`

use hotsocket_guest::{Connection, Handler, Snapshot, export};

#[derive(Default)]
pub struct Shout {
    /// The beginning of a character whose other bytes are still to come.
    tail: Vec<u8>,
}

impl Handler for Shout {
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        let mut text = std::mem::take(&mut self.tail);
        text.extend_from_slice(bytes);

        let mut loud = Vec::with_capacity(text.len());
        let mut chunks = text.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            loud.extend_from_slice(chunk.valid().to_uppercase().as_bytes());
            if chunks.peek().is_none() && is_beginning(chunk.invalid()) {
                self.tail = chunk.invalid().to_vec();
            } else {
                loud.extend_from_slice(chunk.invalid());
            }
        }
        conn.write(loud);
    }

    fn end(&mut self, conn: &Connection) {
        // The rest will never come: it was no character, so it goes as it is.
        conn.write(std::mem::take(&mut self.tail));
    }

    fn save(&self) -> Option<Snapshot> {
        (!self.tail.is_empty()).then(|| Snapshot::new(1, self.tail.as_slice()))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let tail = snapshot.upgrade(1, &[])?;
        // Another guest's state says nothing to this one, which starts afresh.
        if is_beginning(&tail) {
            self.tail = tail;
        }
        Ok(())
    }
}

/// Whether more bytes could make this a character.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes)
        .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

export!(Shout);
