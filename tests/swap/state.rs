//! What of a connection's state reaches the new code: what the old code saves.

use crate::guests::{differing, guest};
use crate::harness::{Serve, prebuilt, serve};

#[test]
fn the_state_of_a_connection_goes_along() {
    let server = Serve::prebuilt("counter").start();
    let mut client = server.connect();
    client.ask("12345", "5 bytes so far\n");
    // A component that differs, and counts on: the same with a custom section.
    server.overwrite(differing(prebuilt("counter")), 2);
    client.ask("678", "8 bytes so far\n");
    server.connect().ask("1", "1 bytes so far\n");
}

#[test]
fn half_a_line_goes_along_too() {
    let server = Serve::prebuilt("lines").start();
    let mut client = server.connect();
    client.ask("one\ntw", "1: one\n");
    server.overwrite(differing(prebuilt("lines")), 2);
    client.ask("o\n", "2: two\n");
}

#[test]
fn a_snapshot_reaches_the_successor_as_it_was_given() {
    let old = guest().body("save", r#"(call $some "kept")"#).build();
    let new = guest()
        .body(
            "open",
            "(if (local.get $origin) (then
               (call $say-digit (i32.const 1024) (i32.const 0) (local.get $origin))
               (call $say (local.get $at) (local.get $count))))
             (call $ok)",
        )
        .data(r#"(call $say "!")"#)
        .build();
    let server = serve(old).start();
    let mut client = server.connect();
    server.wait_open(1);
    server.overwrite(new, 2);
    // What `open` wrote is held back until the first event has succeeded.
    client.ask("x", "1kept!");
}
