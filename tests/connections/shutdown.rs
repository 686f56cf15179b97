//! Shutdown by Ctrl-C or SIGTERM: connections may end by themselves for a while; then the
//! guest of each is called, and queues are flushed.

use std::io::Read;

use rustix::process::Signal;

use crate::guests::{blocks, guest, wayward};
use crate::harness::{Client, Serve, Server, count_lines, serve, wait_for};

fn polite() -> Vec<u8> {
    guest().data(r#"(call $say "x")"#).says_bye().build()
}

/// A server that drains because of this signal, and a client that it waits for.
fn draining(signal: Signal, args: &[&str]) -> (Server, Client) {
    let server = serve(polite()).args(args).start();
    let mut client = server.connect();
    client.ask("x", "x");
    server.signal(signal);
    server.stderr.wait("draining: no more connections");
    (server, client)
}

#[test]
fn after_either_signal_connections_go_on_until_they_end() {
    for signal in [Signal::INT, Signal::TERM] {
        let (mut server, mut client) = draining(signal, &["--grace", "1h"]);
        server
            .stderr
            .wait("open connections: 1, for 1h at most; Ctrl-C again closes them now");
        wait_for("clients to be refused", || {
            Client::try_connect(server.addresses[0]).is_err()
        });
        client.ask("x", "x");
        client.end();
        client.expect_rest("");
        let ran = server.end();
        assert_eq!(ran.code, 0);
        assert_eq!(count_lines(&ran.stderr, "stopped"), 1);
    }
}

#[test]
fn what_is_left_after_the_grace_time_may_say_farewell() {
    let (mut server, mut client) = draining(Signal::TERM, &["--grace", "300ms"]);
    client.expect_rest("bye 5");
    assert_eq!(server.end().code, 0);
    server
        .stderr
        .wait("the time is over for 1 connection, which is closed");
}

#[test]
fn a_second_signal_closes_connections_at_once() {
    for signal in [Signal::INT, Signal::TERM] {
        let (mut server, mut client) = draining(Signal::TERM, &["--grace", "1h"]);
        // One that comes within a tenth of a second is the same.
        wait_for("the server to stop", || {
            let is_stopping = server.stderr.has("stopping: open connections: 1");
            is_stopping || {
                server.signal(signal);
                false
            }
        });
        client.expect_rest("bye 5");
        let _ = server.end();
    }
}

#[test]
fn without_connections_it_stops_at_once() {
    let mut server = Serve::nothing().start();
    server.signal(Signal::INT);
    let ran = server.end();
    assert_eq!(ran.code, 0);
    assert_eq!(count_lines(&ran.stderr, "stopped"), 1);
}

#[test]
fn the_event_in_progress_is_finished() {
    let mut server = serve(wayward()).start();
    let mut client = server.connect();
    client.ask("x", "x");
    client.send("sleep 400");
    // The bytes have been read when the kernel holds none of them any more;
    // should the end come before, they are read all the same.
    server.wait_open(1);
    server.close_all();
    client.expect_rest("slept");
    assert_eq!(server.end().code, 0);
}

#[test]
fn after_a_second_signal_a_peer_that_reads_nothing_is_not_waited_for() {
    let mut server = serve(writing_much())
        .args(&["--max-queue", "32M", "--grace", "1h"])
        .start();
    let mut client = server.connect();
    client.send("x");
    client.read(1);
    server.close_after_signals();
    let ran = server.end();
    assert_eq!(ran.code, 0);
    let cut_off = "stopped with 1 connections cut off: 1 with a peer that did not take";
    assert!(ran.stderr.contains(cut_off), "{}", ran.stderr);
}

/// 16 MB, more than the kernel takes at once, to a client that does not read yet.
fn writing_much() -> Vec<u8> {
    guest().data(&blocks(250)).says_bye().build()
}

#[test]
fn what_is_queued_is_flushed_within_the_grace_time() {
    let mut server = serve(writing_much()).args(&["--max-queue", "32M"]).start();
    let mut client = server.connect();
    client.send("x");
    client.read(1);
    server.close_all();
    server.stderr.wait("stopping: open connections: 1");
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).expect("FIN");
    assert_eq!(rest.len() + 1, 250 * 65_536 + 5);
    assert!(rest.ends_with(b"bye 5"));
    assert_eq!(server.end().code, 0);
}

#[test]
fn a_client_that_reads_nothing_holds_it_up_for_the_grace_time() {
    let mut server = serve(writing_much())
        .args(&[
            "--max-queue",
            "32M",
            "--grace",
            "200ms",
            "--linger",
            "100ms",
        ])
        .start();
    let mut client = server.connect();
    client.send("x");
    client.read(1);
    server.signal(Signal::INT);
    assert_eq!(server.end().code, 0);
}

/// What it did not do in the grace time a peer gets no second one for: the session, which
/// would wait as long again, is cut off.
#[test]
fn the_grace_time_counts_once() {
    let times = ["--grace", "4s", "--linger", "100ms"];
    let mut server = serve(writing_much())
        .args(&["--max-queue", "32M"])
        .args(&times)
        .start();
    let mut client = server.connect();
    client.send("x");
    client.read(1);
    server.signal(Signal::TERM);
    let ran = server.end();
    assert_eq!(ran.code, 0);
    let cut_off = "stopped with 1 connections cut off: 1 with a peer that did not take";
    assert!(ran.stderr.contains(cut_off), "{}", ran.stderr);
}

/// With a peer that reads nothing: the second closes its connection and waits for a second
/// at most, the third for nothing.
#[test]
fn a_third_signal_ends_it_at_once() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut server = serve(writing_much())
            .args(&["--max-queue", "32M", "--grace", "1h"])
            .start();
        let mut client = server.connect();
        client.send("x");
        client.read(1);
        server.signal(signal);
        server.stderr.wait("draining");
        // One that comes within a tenth of a second is the same.
        wait_for("the server to end", || {
            server.signal(signal);
            !server.is_well()
        });
        assert_eq!(server.end().code, code);
    }
}

#[test]
fn a_client_that_never_ends_its_side_does_not_hold_it_up() {
    let mut server = serve(polite()).args(&["--linger", "300ms"]).start();
    let mut client = server.connect();
    client.ask("x", "x");
    server.close_all();
    client.expect_rest("bye 5");
    // Never ends its side.
    assert_eq!(server.end().code, 0);
    drop(client);
}

/// The log says on whose side the cause lay when a connection was cut off.
#[test]
fn a_close_that_never_ends_is_not_blamed_on_the_peer() {
    let spinning = guest()
        .data(r#"(call $say "x")"#)
        .body("close", "(call $spin)");
    let args = [
        "--cpu-budget",
        "1h",
        "--event-timeout",
        "1h",
        "--grace",
        "200ms",
        "--linger",
        "100ms",
    ];
    let mut server = serve(spinning.build()).args(&args).start();
    let mut clients: Vec<_> = (0..5).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("x", "x"));
    server.signal(Signal::TERM);
    let log = server.end().stderr;
    let reason = "stopped with 5 connections cut off: 5 in an event of the guest";
    assert!(log.contains(reason), "{log}");
}
