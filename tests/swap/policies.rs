//! Policies: `migrate`, `drain`, `close` and `new-only`, as the server's flag and for
//! one swap.

use std::time::{Duration, Instant};

use crate::guests::{COUNT, Guest, counting, guest, opening, saying};
use crate::harness::{Server, serve};

/// A guest that counts, and says farewell.
fn polite(name: &str) -> Guest {
    counting(name).says_bye()
}

/// Each policy, given to the server or to the swap.
fn each_way(policy: &str, test: impl Fn(&Server, &[&str])) {
    test(
        &serve(polite("A").build())
            .args(&["--on-swap", policy])
            .start(),
        &[],
    );
    let other = if policy == "close" {
        "new-only"
    } else {
        "close"
    };
    let server = serve(polite("A").build())
        .args(&["--on-swap", other])
        .start();
    test(&server, &["--policy", policy]);
}

#[test]
fn migrate_moves_open_connections() {
    each_way("migrate", |server, args| {
        let mut client = server.connect();
        client.ask("x", "A1");
        server.swap(&polite("B"), args);
        client.ask("x", "B2");
        assert_eq!((server.open_on(1), server.open_on(2)), (0, 1));
        server.roll_back(args);
        client.ask("x", "A3");
    });
}

#[test]
fn new_only_leaves_open_connections_on_their_code() {
    each_way("new-only", |server, args| {
        let mut old = server.connect();
        old.ask("x", "A1");
        let answer = server.swap(&polite("B"), args);
        assert_eq!(
            (&answer["migrated"], &answer["remaining"]),
            (&0.into(), &1.into())
        );
        old.ask("x", "A2");
        let mut new = server.connect();
        new.ask("x", "B1");
        assert_eq!((server.open_on(1), server.open_on(2)), (1, 1));
        server.roll_back(args);
        new.ask("x", "B2");
        old.ask("x", "A3");
        // Later they go along all the same.
        server.swap(&polite("C"), &["--policy", "migrate"]);
        new.ask("x", "C3");
        old.ask("x", "C4");
    });
}

#[test]
fn close_says_farewell() {
    each_way("close", |server, args| {
        let mut client = server.connect();
        client.ask("x", "A1");
        let answer = server.swap(&polite("B"), args);
        assert_eq!(answer["closed"], 1);
        // It only waits for its peer's end.
        assert_eq!(answer["remaining"], 0);
        client.expect_rest("bye 6");
        server.connect().ask("x", "B1");
        server.roll_back(args);
        server.connect().ask("x", "A1");
    });
}

#[test]
fn drain_lets_open_connections_finish_in_time() {
    each_way("drain=1h", |server, args| {
        let mut client = server.connect();
        client.ask("x", "A1");
        server.swap(&polite("B"), args);
        client.ask("x", "A2");
        client.end();
        client.expect_rest("");
    });
    each_way("drain=50ms", |server, args| {
        let mut client = server.connect();
        client.ask("x", "A1");
        server.swap(&polite("B"), args);
        client.expect_rest("bye 6");
    });
}

#[test]
fn a_rollback_ends_draining() {
    let ringing = polite("A")
        .data(&format!(
            r#"{COUNT} (call $say-digit "A" (global.get $state))
               (if (i32.eq (global.get $state) (i32.const 2)) (then
                 (call $set-timer (i32.const 1) (i64.const 1500))))"#
        ))
        .body("timer", r#"(call $say "rung")"#);
    let server = serve(ringing.build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.swap(&polite("B"), &["--policy", "drain=1s"]);
    server.roll_back(&[]);
    // Set now, the timer rings after the time that there was to drain.
    client.ask("x", "A2");
    client.expect("rung");
    client.ask("x", "A3");
}

#[test]
fn a_second_drain_does_not_extend_the_first() {
    let server = serve(polite("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    let began = Instant::now();
    let watching = std::thread::spawn(move || {
        client.expect_rest("bye 6");
        began.elapsed()
    });
    let mut names = ["B", "C"].iter().cycle();
    while !watching.is_finished() && began.elapsed() < Duration::from_secs(20) {
        let name = names.next().expect("endless");
        server.swap(&polite(name), &["--policy", "drain=1s"]);
    }
    let took = watching.join().expect("it ended");
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[test]
fn connections_that_have_the_code_already_are_left_alone() {
    for policy in ["close", "drain=1ms"] {
        let server = serve(polite("A").build()).start();
        let mut client = server.connect();
        client.ask("x", "A1");
        server.swap(&polite("B"), &["--policy", "new-only"]);
        let mut newer = server.connect();
        newer.ask("x", "B1");
        server.roll_back(&["--policy", policy]);
        newer.expect_rest("bye 6");
        client.ask("x", "A2");
    }
}

#[test]
fn a_change_of_the_served_file_follows_the_servers_policy() {
    let farewell = guest().data(r#"(call $say "old")"#).says_bye().build();
    for policy in ["close", "new-only", "drain", "drain=1h", "drain=50ms"] {
        let server = serve(&farewell).args(&["--on-swap", policy]).start();
        let mut client = server.connect();
        client.ask("x", "old");
        server.overwrite(saying("new"), 2);
        match policy {
            "close" | "drain=50ms" => client.expect_rest("bye 6"),
            _ => client.ask("x", "old"),
        }
        server.connect().ask("x", "new");
    }
}

/// The guest has ended its side, and the peer goes on.
#[test]
fn a_half_closed_connection_is_closed_and_drained_like_any_other() {
    let ending = || guest().data(r#"(call $say "bye") (call $end)"#);
    for policy in ["close", "drain=50ms"] {
        let server = serve(ending().build())
            .args(&["--half-close-timeout", "1h", "--linger", "100ms"])
            .start();
        let mut client = server.connect();
        client.send("x");
        client.expect_rest("bye");
        let answer = server.swap(&polite("B"), &["--policy", policy]);
        let closed = usize::from(policy == "close");
        assert_eq!(answer["closed"], closed, "{answer}");
        server.wait_open(0);
    }
}

#[test]
fn a_migration_that_fails_does_not_end_draining() {
    let server = serve(polite("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.swap(&polite("B"), &["--policy", "drain=1s"]);
    server.swap(&opening("C", "(call $trap)"), &["--policy", "migrate"]);
    client.expect_rest("bye 6");
}

/// Neither does one that fails in its first event.
#[test]
fn a_way_back_to_the_old_code_does_not_end_draining() {
    let server = serve(polite("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.swap(&polite("B"), &["--policy", "drain=2s"]);
    let bad = polite("C").data("(call $trap)");
    server.swap(&bad, &["--policy", "migrate"]);
    client.send("x");
    client.expect_rest("A2bye 6");
}

/// While the new code is on trial, yet newer code comes that gives connections some time.
#[test]
fn a_way_back_to_the_old_code_keeps_a_later_end() {
    let server = serve(polite("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    let bad = polite("B").data("(call $trap)");
    server.swap(&bad, &["--policy", "migrate"]);
    server.swap(&polite("C"), &["--policy", "drain=2s"]);
    client.send("x");
    client.expect_rest("A2bye 6");
}
