//! `--access-log`: one line for each connection when it is over, with its cause
//! and every byte counted.

use std::fs;

use serde_json::Value;

use super::{start, wait_record};
use crate::guests::{Guest, guest};
use crate::harness::{Client, Serve, Server, serve};

/// Each is the `cause` of a connection in the next tests.
pub const CAUSES: [&str; 12] = [
    "ended",
    "aborted-by-peer",
    "aborted-by-guest",
    "idle-timeout",
    "write-timeout",
    "half-close-timeout",
    "shutdown",
    "swapped",
    "fault",
    "crash-loop",
    "refused",
    "too-many-timers",
];

/// Those of connections that use topics: `topics::limits` has the tests.
pub const TOPIC_CAUSES: [&str; 3] = ["too-many-subscriptions", "mailbox-full", "queue-full"];

/// Those of TLS that guests begin: `tls::start_tls` has the tests.
pub const TLS_CAUSES: [&str; 2] = ["handshake", "plain-text"];

/// Writes more than the kernel takes from anybody, and then for as long as it
/// may.
const FLOOD: &str = "(loop $more
    (br_if $more (i32.lt_u (call $send (i32.const 0) (i32.const 65536)) (i32.const 2))))";

/// A connection ends in a way of its own, and its record says so.
fn closed(cause: &str, guest: &Guest, args: &[&str], end: impl FnOnce(&Server, Client)) -> Value {
    let server = start(serve(guest.build()).args(&["--access-log"]).args(args));
    let client = server.connect();
    let peer = client.stream.local_addr().expect("an address").to_string();
    end(&server, client);
    let record = wait_record(&server.stderr, "closed");
    assert_eq!(record["cause"], cause);
    assert_eq!(record["level"], "info");
    assert_eq!(record["connection"]["id"], 1);
    assert_eq!(record["connection"]["peer"], peer);
    assert_eq!(record["connection"]["generation"], 1);
    record
}

/// The client sends a byte, and waits until the server closes.
fn send(_: &Server, mut client: Client) {
    client.send("x");
    let _ = client.rest();
}

/// The same, and the server does this after the byte's event.
fn send_then(act: impl FnOnce(&Server)) -> impl FnOnce(&Server, Client) {
    |server, mut client| {
        client.send("x");
        server.stdout.wait("got it");
        act(server);
        let _ = client.rest();
    }
}

#[test]
fn the_access_log_has_every_cause() {
    let data = |body: &str| guest().data(body);
    let quiet = || data(r#"(call $print "got it")"#);
    let end = |_: &Server, mut client: Client| {
        client.end();
        client.expect_rest("");
    };
    let reset = |server: &Server, mut client: Client| {
        client.send("x");
        server.stdout.wait("got it");
        client.reset();
    };
    let stall = |server: &Server, mut client: Client| {
        client.send("x");
        wait_record(&server.stderr, "closed");
    };
    let stop = send_then(Server::close_all);
    let swap = send_then(|server| {
        fs::write(server.path("guest.wasm"), guest().build()).expect("writable");
    });
    let traps = data("(call $trap)");
    let finishes = data("(call $end)");
    let refuses = guest().body("open", r#"(call $refuse "full")"#);
    let sets_timers = data("(call $set-timer (i32.const 1) (i64.const 60000))").body(
        "open",
        "(call $set-timer (i32.const 0) (i64.const 60000)) (call $ok)",
    );
    let slow = ["--write-timeout", "100ms", "--max-queue", "16M"];
    let once = ["--on-trap", "restart", "--max-restarts", "0"];
    let records = [
        closed("ended", &quiet(), &[], end),
        closed("aborted-by-peer", &quiet(), &[], reset),
        closed("aborted-by-guest", &data("(call $abort)"), &[], send),
        closed("idle-timeout", &quiet(), &["--idle-timeout", "100ms"], send),
        closed("write-timeout", &data(FLOOD), &slow, stall),
        closed(
            "half-close-timeout",
            &finishes,
            &["--half-close-timeout", "100ms"],
            stall,
        ),
        closed("shutdown", &quiet(), &[], stop),
        closed("swapped", &quiet(), &["--on-swap", "close"], swap),
        closed("fault", &traps, &[], send),
        closed("crash-loop", &traps, &once, send),
        closed("refused", &refuses, &[], |_, mut client| {
            client.expect_over()
        }),
        closed(
            "too-many-timers",
            &sets_timers,
            &["--max-timers", "1"],
            send,
        ),
    ];
    let causes = records.each_ref().map(|record| record["cause"].as_str());
    assert_eq!(causes, CAUSES.map(Some));
    for record in records {
        let cause = record["cause"].as_str().expect("text");
        let sent = !["ended", "refused"].contains(&cause);
        assert_eq!(record["bytes_in"], u64::from(sent), "{record}");
        let flood = record["bytes_out"].as_u64() > Some(0);
        assert_eq!(flood, cause == "write-timeout", "{record}");
        let least = if cause.ends_with("timeout") { 100 } else { 0 };
        assert!(record["duration_ms"].as_u64() >= Some(least), "{record}");
    }
}

#[test]
fn every_byte_is_counted_once() {
    // At once from the guest's memory, and then by way of the queue.
    let flood = guest().data(
        "(loop $more
           (drop (call $send (i32.const 0) (i32.const 65536)))
           (global.set $state (i32.add (global.get $state) (i32.const 1)))
           (br_if $more (i32.lt_u (global.get $state) (i32.const 100))))
         (call $end)",
    );
    let record = closed("ended", &flood, &[], |_, mut client| {
        client.send("hello");
        client.end();
        assert_eq!(client.rest().expect("FIN").len(), 6_553_600);
    });
    assert_eq!(record["bytes_in"], 5);
    assert_eq!(record["bytes_out"], 6_553_600);
    // What an event sent before it trapped has been sent.
    let traps = guest().data("(drop (call $send (i32.const 0) (i32.const 4096))) (call $trap)");
    let mut received = 0;
    let record = closed("fault", &traps, &[], |_, mut client| {
        client.send("x");
        received = client.rest().expect("FIN").len();
    });
    assert_eq!(record["bytes_out"], received as u64);
    // Small ones, one by one.
    let record = closed(
        "ended",
        &guest().data(r#"(call $say "ok")"#),
        &[],
        |_, mut client| {
            for _ in 0..10 {
                client.ask("x", "ok");
            }
            client.end();
            client.expect_rest("");
        },
    );
    assert_eq!(
        (&record["bytes_in"], &record["bytes_out"]),
        (&10.into(), &20.into())
    );
}

#[test]
fn without_the_flag_a_connection_that_goes_well_is_not_logged() {
    let server = Serve::prebuilt("echo").start();
    let started = server.stderr.text();
    let mut client = server.connect();
    client.ask("hello", "hello");
    client.end();
    client.expect_rest("");
    server.wait_open(0);
    assert_eq!(server.stderr.text(), started);
}
