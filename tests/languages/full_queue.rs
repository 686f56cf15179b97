//! What a guest writes beyond `--max-queue`: the connection ends and the log says
//! why, in every language. No reply goes missing in the middle of the stream.

use std::fs;

use super::javascript::component_of;
use super::{built, serve_large};
use crate::harness::{Server, kept};

const RUST: &str = r#"
use hotsocket_guest::{Connection, Handler, export};

#[derive(Default)]
pub struct Replies;

impl Handler for Replies {
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'w' => drop(conn.write([b'.'; 20_000])),
                b't' => drop(conn.try_write([b'.'; 40_000])),
                b'e' => conn.end(),
                _ => drop(conn.write([*byte])),
            }
        }
    }
}

export!(Replies);
"#;

const C: &str = r#"
#include <hotsocket.h>

void on_data(const uint8_t *data, size_t size) {
    static char reply[40000];
    for (size_t i = 0; i < size; i++) {
        if (data[i] == 'w') hs_write(reply, 20000);
        else if (data[i] == 't') hs_try_write(reply, 40000);
        else if (data[i] == 'e') hs_end();
        else hs_write(&data[i], 1);
    }
}
"#;

const PYTHON: &str = r#"
from hotsocket import Full, Handler

class Replies(Handler):
    def data(self, conn, data):
        for byte in data:
            match chr(byte):
                case "w":
                    conn.write(b"." * 20_000)
                case "t":
                    try:
                        conn.try_write(b"." * 40_000)
                    except Full:
                        pass
                case "e":
                    conn.end()
                case _:
                    conn.write(bytes([byte]))
"#;

/// A script for Node has no `try_write`.
const JAVASCRIPT: &str = r#"
require('node:net').createServer((socket) => {
  socket.on('data', (data) => {
    for (const byte of data) {
      if (byte === 0x77) socket.write('.'.repeat(20000));
      else socket.write(String.fromCharCode(byte));
    }
  });
}).listen(0);
"#;

const SMALL_QUEUE: [&str; 2] = ["--max-queue", "32K"];

/// Nothing is answered after a reply that is missing, and `told` is what the log says
/// of it.
fn ends_the_connection(server: &Server, told: &str) {
    let mut client = server.connect();
    client.ask("a", "a");
    client.send("wwx");
    let got = client.rest().expect("FIN");
    assert!(
        !got.contains(&b'x'),
        "an answer follows one that is missing"
    );
    server.stderr.wait(told);
    assert_eq!(server.connections("faults"), 1);
}

/// The same of a source, unless it can't be built here.
fn a_write_that_does_not_fit_ends_the_connection(kind: &str, source: &str, told: &str) {
    let file = kept(&format!("full-queue.{kind}"));
    fs::write(&file, source).expect("written");
    let Some(component) = built(&file) else {
        return;
    };
    let server = serve_large(component).args(&SMALL_QUEUE).start();
    ends_the_connection(&server, told);
    // An error that was asked for is no fault, nor is a side that was closed.
    let mut client = server.connect();
    client.ask("xtyz", "xyz");
    client.send("wew");
    client.end();
    assert_eq!(client.rest().expect("FIN").len(), 20_000);
    assert_eq!(server.connections("faults"), 1);
}

#[test]
fn a_write_in_rust_that_does_not_fit_ends_the_connection() {
    a_write_that_does_not_fit_ends_the_connection(
        "rs",
        RUST,
        "guest panicked in `data`: panicked at full-queue.rs:11:35: cannot write 20000 bytes: too \
         many bytes wait for the peer (raise --max-queue, or use `try_write` and wait for \
         `drained`)",
    );
}

#[test]
fn a_write_in_c_that_does_not_fit_ends_the_connection() {
    a_write_that_does_not_fit_ends_the_connection(
        "c",
        C,
        "guest panicked in `data`: cannot write 20000 bytes: too many bytes wait for the peer \
         (raise --max-queue, or use hs_try_write and wait for on_drained)",
    );
}

#[test]
fn a_write_in_python_that_does_not_fit_ends_the_connection() {
    a_write_that_does_not_fit_ends_the_connection(
        "py",
        PYTHON,
        "guest panicked in `data`: Full: cannot write 20000 bytes: too many bytes wait for the \
         peer (raise --max-queue, or use try_write and wait for drained)",
    );
}

#[test]
fn a_write_in_javascript_that_does_not_fit_ends_the_connection() {
    let Some(component) = component_of("full-queue", JAVASCRIPT) else {
        return;
    };
    let server = serve_large(component).args(&SMALL_QUEUE).start();
    ends_the_connection(
        &server,
        "guest panicked in `data`: Error: more waits for the peer than --max-queue allows",
    );
}
