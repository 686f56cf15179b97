//! Teaches: the least a guest can be. It sends back what it gets.
//!
//! Try it: `hotsocket build echo.rs && hotsocket serve echo.wasm`, then
//! `nc 127.0.0.1 3000` in another terminal, and type.

use hotsocket_guest::{Connection, Handler, export};

#[derive(Default)]
pub struct Echo;

impl Handler for Echo {
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        // The result needs no look: while the peer takes no answers, the host
        // reads nothing more from it.
        conn.write(bytes);
    }
}

export!(Echo);
