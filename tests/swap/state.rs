//! What becomes of open connections when the code changes under them.

use crate::guests::{differing, guest, saying};
use crate::harness::{Serve, prebuilt, serve};

#[test]
fn state_goes_along() {
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

#[test]
fn save_that_traps_costs_the_snapshot_and_not_the_connection() {
    let old = guest()
        .data(r#"(call $say "old")"#)
        .body("save", "(call $trap) (i32.const 16)")
        .build();
    let server = serve(old).start();
    let mut client = server.connect();
    client.ask("x", "old");
    let new = guest().body("open", "(global.set $state (local.get $has)) (call $ok)");
    server.overwrite(
        new.data(r#"(call $say-digit "new" (global.get $state))"#)
            .build(),
        2,
    );
    client.ask("x", "new0");
    let line = server.stderr.wait("no snapshot");
    assert!(line.contains("guest trapped in `save`"), "{line}");
}

#[test]
fn a_successor_that_will_not_begin_leaves_the_old_code() {
    let refusing = guest().body("open", r#"(if (result i32) (local.get $origin) (then (call $refuse "too old")) (else (call $ok)))"#);
    let trapping = guest().body(
        "open",
        "(if (local.get $origin) (then (call $trap))) (call $ok)",
    );
    for (bad, why) in [(refusing, "too old"), (trapping, "guest trapped in `open`")] {
        let server = serve(saying("old")).start();
        let mut client = server.connect();
        client.ask("x", "old");
        server.overwrite(bad.data(r#"(call $say "new")"#).build(), 2);
        let line = server.stderr.wait("stays on generation 1");
        assert!(line.contains(why), "{line}");
        client.ask("x", "old");
        server.connect().ask("x", "new");
        server.overwrite(saying("newest"), 3);
        client.ask("x", "newest");
    }
}

#[test]
fn a_successor_that_dies_in_its_first_event_hands_it_back() {
    let server = Serve::prebuilt("counter").start();
    let mut client = server.connect();
    client.ask("123", "3 bytes so far\n");
    server.overwrite(
        guest()
            .data(r#"(call $say "never seen") (call $trap)"#)
            .build(),
        2,
    );
    // The event that killed the new code is answered by the old.
    client.ask("45", "5 bytes so far\n");
    server.stderr.wait("back on generation 1");
    client.ask("6", "6 bytes so far\n");
}

#[test]
fn open_connections_may_be_left_or_closed_instead() {
    let farewell = guest().data(r#"(call $say "old")"#).says_bye().build();
    for policy in ["close", "new-only", "drain", "drain=1h"] {
        let server = serve(&farewell).args(&["--on-swap", policy]).start();
        let mut client = server.connect();
        client.ask("x", "old");
        server.overwrite(saying("new"), 2);
        match policy {
            "close" => client.expect_rest("bye 6"),
            _ => client.ask("x", "old"),
        }
        server.connect().ask("x", "new");
    }
}

#[test]
fn draining_ends_after_its_time() {
    let farewell = guest().says_bye().build();
    let server = serve(&farewell).args(&["--on-swap", "drain=50ms"]).start();
    let mut client = server.connect();
    server.wait_open(1);
    server.overwrite(saying("new"), 2);
    client.expect_rest("bye 6");
}

#[test]
fn a_swap_in_the_middle_of_a_stream_loses_nothing() {
    let server = Serve::prebuilt("echo").start();
    let mut client = server.connect();
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|at| (at % 251) as u8).collect();
    let sender = client.send_meanwhile(bytes.clone());
    let mut newer = prebuilt("echo");
    let mut got = client.read(100_000);
    for generation in 2..6 {
        newer = differing(newer);
        server.overwrite(&newer, generation);
        got.extend(client.read(500_000));
    }
    got.extend(client.read(bytes.len() - got.len()));
    assert!(got == bytes, "the bytes differ");
    sender.join().expect("no panic").expect("all is taken");
}
