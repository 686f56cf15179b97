//! Timeouts: of events, of peers that do nothing, of closing, of compiling.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::guests::{FLOOD, guest, obeying, wayward};
use crate::harness::{Scene, Serve, serve, wait_for};

#[test]
fn waiting_in_wasi_is_counted() {
    let mut scene = Scene::start(wayward(), &["--event-timeout", "100ms"]);
    let mut client = scene.client();
    client.send("sleep 100000");
    client.expect_rest("");
    scene.reached("event-timeout", 1, "--event-timeout");
    scene.counted("cpu-budget", 0);
}

/// A swap waits for an event no longer than the event's own limit.
#[test]
fn a_swap_waits_for_an_event_no_longer_than_its_timeout() {
    let server = serve(wayward()).args(&["--event-timeout", "200ms"]).start();
    let mut client = server.connect();
    client.ask("x", "x");
    client.send("sleep 100000");
    server.overwrite(obeying(&[]).build(), 2);
    client.expect_rest("");
    server.connect().ask("y", "y");
}

#[test]
fn a_peer_that_takes_nothing_is_counted() {
    let mut scene = Scene::start(
        &obeying(&[('f', FLOOD)]),
        &["--write-timeout", "200ms", "--max-queue", "16M"],
    );
    let mut client = scene.client();
    client.send("f");
    scene.reached("write-timeout", 1, "peer read nothing for 200ms");
    assert!(client.rest().is_err(), "reset");
}

#[test]
fn a_silent_connection_is_closed_logged_and_counted() {
    let server = serve(obeying(&[]).says_bye().build())
        .args(&["--idle-timeout", "200ms"])
        .start();
    let mut client = server.connect();
    client.expect_rest("bye 3");
    server.stderr.wait("--idle-timeout");
    server.settle();
    assert_eq!(server.limit_reached("idle-timeout"), 1);
}

/// What has arrived while the machine was paused counts before the clock.
#[test]
fn after_a_pause_what_has_arrived_is_answered() {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let server = Serve::prebuilt("echo")
        .args(&["--idle-timeout", "2s"])
        .start();
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("x", "x"));
    server.freeze();
    clients
        .iter_mut()
        .for_each(|client| client.send("still here"));
    let paused = Instant::now();
    wait_for("the end of the timeout", || paused.elapsed() > TIMEOUT);
    server.signal(Signal::CONT);
    clients
        .iter_mut()
        .for_each(|client| client.expect("still here"));
}

/// The peer says nothing, and is sent something.
#[test]
fn a_connection_that_is_only_sent_to_is_not_idle() {
    let pushing = guest()
        .body(
            "open",
            "(call $set-timer (i32.const 1) (i64.const 50)) (call $ok)",
        )
        .body(
            "timer",
            r#"(call $say "x") (call $set-timer (i32.const 1) (i64.const 50))"#,
        );
    let server = serve(pushing.build())
        .args(&["--idle-timeout", "500ms"])
        .start();
    let mut client = server.connect();
    // More than a second of them.
    client.expect("x".repeat(30));
    assert_eq!(server.limit_reached("idle-timeout"), 0);
}

#[test]
fn a_peer_that_neither_sends_nor_ends_is_reset() {
    let mut scene = Scene::start(
        &obeying(&[('e', r#"(call $say "bye") (call $end)"#)]),
        &["--half-close-timeout", "200ms"],
    );
    let mut client = scene.client();
    client.ask("e", "bye");
    scene.reached("half-close-timeout", 1, "peer neither sent nor ended");
    drop(client);
    scene.server.wait_open(1);
}

#[test]
fn a_peer_that_does_not_end_its_side_is_lingered_for_only_so_long() {
    let mut scene = Scene::start(&obeying(&[('t', "(call $trap)")]), &["--linger", "200ms"]);
    let mut client = scene.client();
    client.send("t");
    client.expect_rest("");
    // It has our FIN, and sends none.
    scene.server.wait_open(1);
    scene.reached("linger", 1, "--linger");
}

#[test]
fn a_farewell_that_nobody_takes_is_waited_for_only_so_long() {
    let wordy = obeying(&[]).body("close", FLOOD);
    let args = [
        "--idle-timeout",
        "200ms",
        "--grace",
        "200ms",
        "--max-queue",
        "16M",
    ];
    let server = serve(wordy.build()).args(&args).start();
    let _client = server.connect();
    server.stderr.wait("--grace");
    server.settle();
    assert_eq!(server.limit_reached("grace"), 1);
}
