//! How connections end whose handshake does not.

use std::thread;

use super::{asking, start};
use crate::guests::{blocks, guest, obeying};
use crate::harness::serve;
use crate::operating::metrics;

const HANDSHAKES: &str = "hotsocket_tls_handshakes_total{";

#[test]
fn a_handshake_has_its_time() {
    let slow = obeying(&[('s', r#"(call $say "go") (drop (call $secure))"#)])
        .prints_closed()
        .with_start_tls();
    let secure = start(serve(slow.build()).args(&["--handshake-timeout", "300ms"]));
    let mut silent = secure.asked();
    let mut stuck = secure.asked();
    stuck.send([0x16, 3, 1, 2, 0]);
    silent.expect_over();
    stuck.expect_over();
    secure.server.stdout.wait_count("closed 7", 2);
    assert_eq!(secure.server.limit_reached("handshake-timeout"), 2);
    secure
        .server
        .stderr
        .wait("its TLS handshake was not over after 300ms");
    // So has the reply before it, which this peer does not take.
    let flood = format!("{} (drop (call $secure))", blocks(100));
    let secure = start(serve(guest().data(&flood).with_start_tls().build()).args(&[
        "--handshake-timeout",
        "300ms",
        "--max-queue",
        "16M",
    ]));
    let mut client = secure.server.connect();
    client.send("x");
    secure.server.stderr.wait("closed: handshake");
}

#[test]
fn a_shutdown_does_not_wait_for_the_handshake() {
    let guest = obeying(&[('s', r#"(call $say "go") (drop (call $secure))"#)]).says_bye();
    let guest = guest.with_start_tls().build();
    let secure = start(serve(guest).args(&["--handshake-timeout", "1h", "--grace", "1h"]));
    let mut client = secure.asked();
    let server = secure.server;
    let stopped = thread::spawn(move || server.stop());
    // No farewell, as that would be in plain text.
    assert!(client.rest().unwrap_or_default().is_empty());
    let ran = stopped.join().expect("it stops");
    assert!(ran.stderr.contains("closed: shutdown"), "{}", ran.stderr);
}

#[test]
fn a_drain_ends_during_the_handshake() {
    let secure = start(serve(asking().build()).args(&["--handshake-timeout", "1h"]));
    let mut client = secure.asked();
    let policy = ["--policy", "drain=200ms"];
    secure
        .server
        .swap(guest().with_start_tls().build(), &policy);
    client.expect_over();
    secure.server.stderr.wait("closed: swapped");
}

#[test]
fn a_handshake_that_the_server_cuts_off_has_not_timed_out() {
    let args = ["--handshake-timeout", "1h", "--admin", "127.0.0.1:0"];
    let secure = start(serve(asking().build()).args(&args));
    let mut client = secure.asked();
    // The server stays, and shows what it has counted.
    let drained = secure.server.ask(&["drain", "--max", "100ms"]);
    assert_eq!(drained.code, 0, "{}", drained.stderr);
    client.expect_over();
    let metrics = metrics(&secure.server);
    let count = |outcome: &str| {
        let label = format!("outcome=\"{outcome}\"}} ");
        let mut lines = metrics.lines();
        let line = lines.find(|line| line.starts_with(HANDSHAKES) && line.contains(&label));
        let (_, count) = line
            .expect("it is shown")
            .rsplit_once(' ')
            .expect("a count");
        count.to_owned()
    };
    assert_eq!(
        (count("cut-off"), count("timed-out")),
        ("1".to_owned(), "0".to_owned())
    );
}
