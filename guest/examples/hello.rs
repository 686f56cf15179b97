//! Teaches: the events of a connection, and printing. It greets whoever sends
//! something, and logs what was sent: the classic first server of a Node
//! tutorial, with the same lines.
//!
//! Try it: `hotsocket`, then `nc 127.0.0.1 3000` in another terminal, and type.

use std::fmt::Write;
use std::net::SocketAddr;

use hotsocket_guest::{Connection, Handler, export, println};

#[derive(Default)]
pub struct Hello;

impl Handler for Hello {
    fn listening(listeners: &[SocketAddr]) {
        println!("Server listening on port {}", listeners[0].port());
    }

    fn open(&mut self, _: &Connection) -> Result<(), String> {
        println!("Client connected");
        Ok(())
    }

    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        println!("Received data: {}", String::from_utf8_lossy(bytes));
        println!(
            "The following is how the request looks like in the hex format: \n {}",
            hex(bytes)
        );
        conn.write("Hello World from the server!");
    }

    fn end(&mut self, _: &Connection) {
        println!("Client disconnected");
    }
}

/// Bytes as Node shows a buffer: the first 50, then how many more there are.
fn hex(bytes: &[u8]) -> String {
    let (shown, rest) = bytes.split_at(bytes.len().min(50));
    let mut out = String::from("<Buffer ");
    for (i, byte) in shown.iter().enumerate() {
        let space = if i == 0 { "" } else { " " };
        let _ = write!(out, "{space}{byte:02x}");
    }
    match rest.len() {
        0 => {}
        1 => out += " ... 1 more byte",
        more => {
            let _ = write!(out, " ... {more} more bytes");
        }
    }
    out + ">"
}

export!(Hello);
