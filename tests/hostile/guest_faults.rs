//! What one guest instance does costs its own connection and no other.

use crate::guests::{guest, wayward};
use crate::harness::{Client, Server, serve};

/// Serve a guest that answers `x` with `x`, and to anything else does this.
fn start(body: &str, args: &[&str]) -> (Server, Client) {
    let body = format!(
        r#"(if (i32.eq (i32.load8_u (local.get $at)) (i32.const 120))
             (then (call $say (local.get $at) (local.get $count)))
             (else {body}))"#
    );
    let server = serve(guest().data(&body).build()).args(args).start();
    let neighbour = server.connect();
    (server, neighbour)
}

/// The client whose guest dies is closed, with one line in the log that says
/// all of this; the neighbour goes on, and so do new ones.
fn costs_one(server: &mut Server, neighbour: &mut Client, order: &str, words: &[&str]) {
    neighbour.ask("x", "x");
    let before = server.stderr.text().lines().count();
    let mut client = server.connect();
    client.ask("x", "x");
    let from = client.stream.local_addr().expect("an address").to_string();
    client.send(order);
    client.expect_over();
    let line = server.stderr.wait("ERROR");
    assert!(line.contains(&format!(" from {from}: ")), "{line}");
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
    neighbour.ask("x", "x");
    server.connect().ask("x", "x");
    let text = server.stderr.text();
    // That a limit was met is worth a line by itself: the guest may live on.
    let said: Vec<_> = text
        .lines()
        .skip(before)
        .filter(|line| !line.contains("was refused (--max-"))
        .collect();
    assert_eq!(said, [line], "one line");
    assert_eq!(server.status()["connections"]["faults"], 1);
    assert!(server.is_well());
}

#[test]
fn a_trap() {
    let (mut server, mut neighbour) = start("(call $trap)", &[]);
    costs_one(
        &mut server,
        &mut neighbour,
        "y",
        &["guest trapped in `data`", "unreachable", "in function trap"],
    );
}

#[test]
fn a_panic_told_before_the_trap() {
    let (mut server, mut neighbour) = start(r#"(call $panic "lost heart") (call $trap)"#, &[]);
    costs_one(
        &mut server,
        &mut neighbour,
        "y",
        &["guest panicked in `data`: lost heart", "in function trap"],
    );
}

#[test]
fn an_endless_loop() {
    let (mut server, mut neighbour) = start("(call $spin)", &["--cpu-budget", "50ms"]);
    costs_one(
        &mut server,
        &mut neighbour,
        "y",
        &["used more than 50 ms of CPU time", "--cpu-budget", "`data`"],
    );
}

#[test]
fn endless_recursion() {
    let (mut server, mut neighbour) = start("(drop (call $recurse (i32.const 0)))", &[]);
    costs_one(
        &mut server,
        &mut neighbour,
        "y",
        &[
            "(in `data`)",
            "deeper than its stack",
            "--max-stack",
            "in function recurse",
        ],
    );
}

#[test]
fn memory_without_end() {
    let grow = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (call $trap)";
    let (mut server, mut neighbour) = start(grow, &["--max-memory", "8M"]);
    costs_one(
        &mut server,
        &mut neighbour,
        "y",
        &["guest trapped in `data`", "--max-memory"],
    );
}

#[test]
fn bytes_out_of_its_memory() {
    let (mut server, mut neighbour) = start("(call $say (i32.const -8) (i32.const 100))", &[]);
    costs_one(
        &mut server,
        &mut neighbour,
        "y",
        &["guest trapped in `data`"],
    );
}

#[test]
fn more_timers_than_it_may_have() {
    let many = "(loop $more
        (call $set-timer (global.get $state) (i64.const 1000000))
        (global.set $state (i32.add (global.get $state) (i32.const 1)))
        (br $more))";
    let (mut server, mut neighbour) = start(many, &[]);
    costs_one(
        &mut server,
        &mut neighbour,
        "y",
        &["more timers than a connection may have"],
    );
}

#[test]
fn what_a_dying_event_wrote_is_not_sent() {
    let (mut server, mut neighbour) = start(r#"(call $say "half a reply") (call $trap)"#, &[]);
    costs_one(
        &mut server,
        &mut neighbour,
        "y",
        &["guest trapped in `data`"],
    );
}

#[test]
fn a_trap_in_any_event_is_told_with_its_name() {
    let trap = |function| {
        guest().body(
            function,
            if function == "open" {
                "(call $trap) (call $ok)"
            } else {
                "(call $trap)"
            },
        )
    };
    let set_timer = "(call $set-timer (i32.const 1) (i64.const 1)) (call $ok)";
    for (guest, event) in [
        (trap("open"), "`open`"),
        (trap("end"), "`end`"),
        (trap("close"), "`close`"),
        (trap("timer").body("open", set_timer), "`timer`"),
    ] {
        let server = serve(guest.build()).start();
        let mut client = server.connect();
        if event != "`timer`" {
            client.end();
        }
        client.expect_over();
        server.stderr.wait(&format!("guest trapped in {event}: "));
        assert_eq!(server.stderr.count("guest trapped"), 1);
    }
}

fn stray() -> (Server, Client) {
    let server = serve(wayward()).args(&["--event-timeout", "300ms"]).start();
    let neighbour = server.connect();
    (server, neighbour)
}

#[test]
fn a_rust_panic_is_told_with_its_message_place_and_function() {
    let (mut server, mut neighbour) = stray();
    let words = [
        "guest panicked in `data`: panicked at ",
        "wayward.rs:",
        "stumbled over xyz | and fell",
        "(in function wayward::stumble)",
    ];
    costs_one(&mut server, &mut neighbour, "panic xyz", &words);
}

#[test]
fn waiting_too_long() {
    let (mut server, mut neighbour) = stray();
    costs_one(
        &mut server,
        &mut neighbour,
        "sleep 100000",
        &["took longer than 300 ms", "--event-timeout"],
    );
}

#[test]
fn waiting_holds_up_nobody_else() {
    let server = serve(wayward()).start();
    let mut sleepers: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for sleeper in &mut sleepers {
        sleeper.send("sleep 500");
    }
    // Far more sleepers than threads; the others are served meanwhile.
    let mut awake = server.connect();
    for _ in 0..50 {
        awake.ask("x", "x");
    }
    for sleeper in &mut sleepers {
        sleeper.expect("slept");
    }
}

#[test]
fn exiting_just_ends_the_connection() {
    let (mut server, mut neighbour) = stray();
    neighbour.ask("x", "x");
    let before = server.stderr.text();
    let mut client = server.connect();
    client.ask("x", "x");
    client.send("exit 0");
    client.expect_rest("");
    neighbour.ask("x", "x");
    assert_eq!(server.stderr.text(), before, "not worth a line");
    assert_eq!(server.status()["connections"]["faults"], 0);
    // With another code it is.
    costs_one(
        &mut server,
        &mut neighbour,
        "exit 3",
        &["exited with code 1", "`data`"],
    );
}

#[test]
fn nothing_of_the_machine_is_seen_without_a_grant() {
    let (server, _) = stray();
    server.connect().ask("environment", "[] false");
    let server = serve(wayward())
        .args(&["--env", "COLOUR=red", "--dir", "/::/"])
        .start();
    server.connect().ask("environment", r#"["COLOUR"] true"#);
}
