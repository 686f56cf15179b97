//! The new code may be bad: that costs nothing but the swap.

use crate::guests::{COUNT, Guest, RESTORE, counting, guest, opening};
use crate::harness::{Client, Serve, Server, serve, wait_for};

/// It does this in its first event after a migration, and then dies.
fn dying(name: &str, event: &'static str) -> Guest {
    counting(name).body(event, r#"(call $say "of the dead") (call $trap)"#)
}

fn begins_not(bad: &Guest, why: &str) {
    let server = serve(counting("A").build()).start();
    let mut clients: Vec<_> = (0..2).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("x", "A1"));
    let answer = server.swap(bad, &[]);
    assert_eq!(answer["outcome"], "swapped");
    assert_eq!(
        (&answer["migrated"], &answer["failed"], &answer["remaining"]),
        (&0.into(), &2.into(), &2.into())
    );
    let line = server.stderr.wait("stays on generation 1");
    assert!(line.contains(why), "{line}");
    clients.iter_mut().for_each(|client| client.ask("x", "A2"));
    server.connect().ask("x", "B1");
    assert_eq!(server.open_on(1), 2);
    server.swap(&counting("C"), &[]);
    clients.iter_mut().for_each(|client| client.ask("x", "C3"));
}

#[test]
fn an_error_in_open_leaves_the_old_code() {
    let refuse = r#"(call $say "unborn") (return (call $refuse "not today"))"#;
    begins_not(&opening("B", refuse), "not today");
}

#[test]
fn a_trap_in_open_leaves_the_old_code() {
    begins_not(
        &opening("B", r#"(call $say "unborn") (call $trap)"#),
        "guest trapped in `open`",
    );
}

#[test]
fn a_loop_in_open_leaves_the_old_code() {
    begins_not(
        &opening("B", r#"(call $say "unborn") (call $spin)"#),
        "--start-budget",
    );
}

/// Code that sets so many timers, from this number on, that twice as many are too many.
fn timers(from: u32) -> String {
    (from..from + 40)
        .map(|id| format!("(call $set-timer (i32.const {id}) (i64.const 3600000))"))
        .collect()
}

/// A connection with timers that are set.
fn with_timers() -> (Server, Client) {
    let old = counting("A").body("open", &format!("{} {RESTORE} (call $ok)", timers(0)));
    let server = serve(old.build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    (server, client)
}

#[test]
fn too_many_timers_in_open_leave_the_old_code() {
    let (server, mut client) = with_timers();
    let answer = server.swap(&opening("B", &timers(100)), &[]);
    assert_eq!(answer["failed"], 1);
    client.ask("x", "A2");
}

#[test]
fn too_many_timers_in_the_first_event_go_back_to_the_old_code() {
    let (server, mut client) = with_timers();
    server.swap(&counting("B").data(&timers(100)), &[]);
    client.ask("x", "A2");
    server.stderr.wait("back on generation 1");
}

/// What it did in `open` holds for its first event.
#[test]
fn new_code_that_has_ended_cannot_write_any_more() {
    let server = serve(counting("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    let ended = opening("B", "(call $end)")
        .data(r#"(call $print-digit "wrote " (call $send (i32.const 0) (i32.const 1)))"#);
    server.swap(&ended, &[]);
    client.send("x");
    client.expect_rest("");
    server.stdout.wait("wrote 2");
}

#[test]
fn data_that_kills_the_new_code_goes_to_the_old_code() {
    let server = serve(counting("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    let answer = server.swap(&dying("B", "data"), &[]);
    assert_eq!(
        (&answer["migrated"], &answer["failed"]),
        (&1.into(), &0.into())
    );
    client.ask("x", "A2");
    client.ask("x", "A3");
    let active = server.history().pop().expect("generations");
    assert_eq!(
        (&active["migrated"], &active["failed"]),
        (&0.into(), &1.into())
    );
    assert_eq!(server.open_on(1), 1);
}

#[test]
fn data_that_kills_the_new_code_goes_to_an_old_guest_of_the_sdk() {
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
fn data_that_makes_the_new_code_loop_goes_to_the_old_code() {
    let server = serve(counting("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.swap(
        &counting("B").data(r#"(call $say "never") (call $spin)"#),
        &[],
    );
    client.ask("x", "A2");
}

#[test]
fn an_end_that_kills_the_new_code_goes_to_the_old_code_once() {
    let told = r#"(if (local.get $origin) (then (call $say-digit "ended" (local.get $ended))))"#;
    let old = counting("A")
        .body("open", &format!("{told} {RESTORE} (call $ok)"))
        .body("end", r#"(call $say "bye")"#);
    let server = serve(old.build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.swap(&dying("B", "end"), &[]);
    client.end();
    // `end` is given to it now, so it has not been called before.
    client.expect_rest("ended0bye");
}

#[test]
fn a_timer_that_kills_the_new_code_goes_to_the_old_code() {
    let old = counting("A")
        .data(r#"(call $set-timer (i32.const 7) (i64.const 1500)) (call $say "set")"#)
        .body("timer", r#"(call $say-digit "rung" (local.get $id))"#);
    let server = serve(old.build()).start();
    let mut client = server.connect();
    client.ask("x", "set");
    server.swap(&dying("B", "timer"), &[]);
    client.expect("rung7");
    client.ask("x", "set");
    client.expect("rung7");
}

/// What only the new code has set is none of the old code's business.
#[test]
fn a_timer_of_the_new_code_alone_does_not_ring_in_the_old_code() {
    let old = counting("A").body("timer", r#"(call $say "rung")"#);
    let server = serve(old.build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    let new =
        opening("B", "(call $set-timer (i32.const 9) (i64.const 0))").body("timer", "(call $trap)");
    server.swap(&new, &[]);
    server.stderr.wait("trapped in `timer`");
    client.ask("x", "A2");
    client.end();
    client.expect_rest("");
}

#[test]
fn what_open_wrote_is_sent_with_the_first_event() {
    let server = serve(counting("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.swap(&opening("B", r#"(call $say "new here ")"#), &[]);
    client.ask("x", "new here B2");
    // Died: nothing of it comes out.
    let greets = opening("C", r#"(call $say "garbage ")"#).data("(call $trap)");
    server.swap(&greets, &[]);
    client.ask("x", "new here B3");
}

#[test]
fn a_failed_swap_leaves_a_probation_as_it_was() {
    let server = serve(counting("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    let once = opening("B", r#"(call $say "hello ")"#);
    server.swap(&once, &[]);
    let answer = server.swap(&opening("C", "(call $trap)"), &[]);
    assert_eq!(answer["failed"], 1);
    client.ask("x", "hello B2");
    // And what dies in its first event is still given back.
    server.swap(&dying("D", "data"), &[]);
    let answer = server.swap(&opening("E", "(call $trap)"), &[]);
    assert_eq!(answer["failed"], 1);
    client.ask("x", "hello B3");
}

#[test]
fn connections_in_probation_do_not_come_back_through_bad_code() {
    let server = serve(counting("A").build()).start();
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("x", "A1"));
    let bad = counting("B").body("save", r#"(call $some "zero")"#);
    server.swap(&bad, &[]);
    // One has had its first event; of the others nobody asks the bad code.
    clients[0].ask("x", "B2");
    server.roll_back(&[]);
    clients
        .iter_mut()
        .skip(1)
        .for_each(|client| client.ask("x", "A2"));
}

/// Back on the code that it came from, a connection has no other one to go back to: no event
/// comes twice.
#[test]
fn code_that_was_rolled_back_to_is_in_no_probation() {
    let old = counting("A")
        .body(
            "open",
            &format!("(i32.store (i32.const 904) (local.get $origin)) {RESTORE} (call $ok)"),
        )
        .data(&format!(
            r#"(if (i32.load (i32.const 904)) (then (call $trap)))
               {COUNT} (call $say-digit "A" (global.get $state))"#
        ));
    let server = serve(old.build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.swap(&counting("B"), &[]);
    server.roll_back(&[]);
    client.send("x");
    client.expect_rest("");
    let log = server.stop().stderr;
    assert_eq!(log.matches("guest trapped in `data`").count(), 1, "{log}");
    assert!(!log.contains("back on generation"), "{log}");
}

#[test]
fn too_many_failures_undo_the_swap() {
    // Code from a cache takes less than a millisecond.
    let server = serve(counting("A").build())
        .args(&["--rollback-after", "3/10", "--code-cache", "none"])
        .start();
    let mut clients: Vec<_> = (0..40).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("x", "A1"));
    let ran = server.try_swap(&opening("B", "(call $trap)"), &["--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(answer["outcome"], "undone");
    assert!(answer["compile_ms"].as_u64() > Some(0), "{answer}");
    clients.iter_mut().for_each(|client| client.ask("x", "A2"));
    server.connect().ask("x", "A1");
    let last = server.history().pop().expect("generations");
    assert!(
        last["outcome"]
            .as_str()
            .expect("text")
            .starts_with("undone"),
        "{last}"
    );
    // What is undone is no way back.
    server.swap(&counting("C"), &[]);
    server.roll_back(&[]);
    clients.iter_mut().for_each(|client| client.ask("x", "A3"));
}

#[test]
fn failures_after_the_answer_undo_the_swap_too() {
    let server = serve(counting("A").build())
        .args(&["--rollback-after", "3/10"])
        .start();
    let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("x", "A1"));
    let answer = server.swap(&dying("B", "data"), &[]);
    assert_eq!(answer["outcome"], "swapped");
    for client in &mut clients[..3] {
        client.ask("x", "A2");
    }
    server.stderr.wait("undone: ");
    clients[3..]
        .iter_mut()
        .for_each(|client| client.ask("x", "A2"));
    server.connect().ask("x", "A1");
    wait_for("all to be back", || {
        server.open_on(1) == 11 || server.open_on(1) == 10
    });
}

#[test]
fn fewer_failures_or_never_leave_the_swap() {
    for (after, failing) in [("3/10", 2), ("never", 10)] {
        let server = serve(counting("A").build())
            .args(&["--rollback-after", after])
            .start();
        let mut clients: Vec<_> = (0..failing).map(|_| server.connect()).collect();
        clients.iter_mut().for_each(|client| client.ask("x", "A1"));
        let answer = server.swap(&opening("B", "(call $trap)"), &[]);
        assert_eq!(
            (&answer["outcome"], &answer["failed"]),
            (&"swapped".into(), &failing.into())
        );
        clients.iter_mut().for_each(|client| client.ask("x", "A2"));
        server.connect().ask("x", "B1");
    }
}
