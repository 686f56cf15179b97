//! What a guest asks for through `hotsocket:session`: not to be read, a snapshot, a
//! name in the log.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::guests::{COUNT, Guest, RESTORE, SAVE, counting, guest};
use crate::harness::serve;

/// It pauses its peer at each `p`, for good or until the timer that it sets rings.
fn pausing(name: &str, then: &str) -> Guest {
    counting(name)
        .data(&format!(
            r#"{COUNT} (call $say-digit {name:?} (global.get $state))
               (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 112))
                 (then (call $pause) {then}))"#
        ))
        .body("timer", "(call $resume)")
        .with_session()
}

const FOR_A_MOMENT: &str = "(call $set-timer (i32.const 1) (i64.const 300))";

#[test]
fn nothing_is_read_while_the_peer_is_paused() {
    let server = serve(pausing("A", FOR_A_MOMENT).build()).start();
    let mut client = server.connect();
    client.ask("p", "A1");
    let paused = Instant::now();
    client.ask("x", "A2");
    // Its timer, and a little for what differs between two clocks.
    assert!(paused.elapsed() > Duration::from_millis(200), "it was read");
    client.ask("x", "A3");
}

/// The successor's `timer` is its first event.
#[test]
fn a_peer_stays_paused_through_a_swap() {
    let server = serve(pausing("A", FOR_A_MOMENT).build()).start();
    let mut client = server.connect();
    client.ask("p", "A1");
    client.send("x");
    let answer = server.swap(&pausing("B", ""), &[]);
    assert_eq!(answer["migrated"], 1);
    client.expect("B2");
    client.ask("x", "B3");
}

#[test]
fn a_paused_peer_that_is_gone_is_noticed() {
    let server = serve(pausing("A", "").build()).start();
    let mut client = server.connect();
    client.ask("p", "A1");
    client.reset();
    server.settle();
}

/// It is an effect like all others.
#[test]
fn a_pause_in_an_event_that_fails_never_was() {
    let dying = pausing("A", "(call $trap)");
    let server = serve(dying.build()).args(&["--on-trap", "restart"]).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    client.send("p");
    server.stderr.wait("restarted from the snapshot");
    client.ask("x", "A2");
}

/// It counts, asks for a snapshot at each `c`, and dies of a `!`.
fn checkpointing() -> Guest {
    let at = |letter: u32, body: &str| {
        format!("(if (i32.eq (i32.load8_u (local.get $at)) (i32.const {letter})) (then {body}))")
    };
    guest()
        .body("open", &format!("{RESTORE} (call $ok)"))
        .data(&format!(
            r#"{} {COUNT} {} (call $say-digit "A" (global.get $state))"#,
            at(33, "(call $trap)"),
            at(99, "(call $checkpoint)"),
        ))
        .body("save", &format!(r#"(call $print "saved") {SAVE}"#))
        .with_session()
}

#[test]
fn a_guest_that_asks_for_snapshots_has_no_others() {
    let server = serve(checkpointing().build())
        .args(&["--on-trap", "restart"])
        .start();
    let mut client = server.connect();
    client.ask("x", "A1");
    client.ask("c", "A2");
    client.ask("x", "A3");
    client.ask("x", "A4");
    client.send("!");
    let line = server.stderr.wait("restarted from the snapshot");
    assert!(line.contains("before the last 3 events"), "{line}");
    client.ask("x", "A3");
    client.ask("c", "A4");
    client.send("!");
    server.stderr.wait("before this event");
    client.ask("x", "A5");
}

#[test]
fn a_label_names_the_connection_in_the_log() {
    let named = guest()
        .data("(call $label \"alice\u{1b}[2J\") (call $say \"ok\")")
        .body("end", "(call $trap)")
        .with_session();
    let server = serve(named.build()).args(&["--access-log"]).start();
    let mut client = server.connect();
    client.ask("x", "ok");
    client.end();
    client.expect_over();
    let line = server.stderr.wait("guest trapped in `end`");
    assert!(line.contains(r" (alice\x1b[2J): guest trapped"), "{line}");
    let line = server.stderr.wait("closed: fault");
    assert!(line.contains(r" (alice\x1b[2J) closed: "), "{line}");
}

#[test]
fn a_snapshot_of_what_open_has_made() {
    let guest = checkpointing().body(
        "open",
        &format!(
            r#"{RESTORE} (if (i32.eqz (local.get $origin))
                 (then (global.set $state (i32.const 7)) (call $checkpoint)))
               (call $ok)"#
        ),
    );
    let server = serve(guest.build()).args(&["--on-trap", "restart"]).start();
    let mut client = server.connect();
    client.send("!");
    server.stderr.wait("restarted from the snapshot");
    client.ask("x", "A8");
}

/// The kernel says that a Unix socket is over as soon as its peer has closed it, but what
/// the peer has sent before is there to be read.
#[test]
fn what_a_paused_peer_has_sent_is_read_though_it_is_gone() {
    let guest = guest()
        .data(&format!(
            r#"(if (i32.eq (i32.load8_u (local.get $at)) (i32.const 112))
                 (then (call $pause) {FOR_A_MOMENT} (call $say "paused"))
                 (else (call $print "all read")))"#
        ))
        // It looks at the connection once more, and lets it wait on.
        .body(
            "timer",
            "(if (i32.eq (local.get $id) (i32.const 1))
               (then (call $set-timer (i32.const 2) (i64.const 300)))
               (else (call $resume)))",
        )
        .with_session();
    let serve = serve(guest.build()).listen(&["unix:it.sock", "127.0.0.1:0"]);
    let path = serve.path("it.sock");
    let mut server = serve.start();
    let mut stream = UnixStream::connect(path).expect("the server accepts");
    stream.write_all(b"p").expect("taken");
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).expect("an answer");
    stream.write_all(b"x").expect("taken");
    drop(stream);
    server.stdout.wait("all read");
    assert!(server.is_well());
}
