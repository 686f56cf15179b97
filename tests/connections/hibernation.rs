//! `--hibernate-after`: the instance of a quiet connection is saved and dropped, and
//! made again for the next event.

use crate::guests::{COUNT, Guest, RESTORE, counting, opening};
use crate::harness::{Serve, Server, serve, wait_for};

/// In `open`, of an instance that was woken.
const WOKEN: i32 = 2;

fn drowsy(guest: &Guest) -> Serve {
    serve(guest.build()).args(&["--hibernate-after", "50ms"])
}

fn dying_as_it_wakes() -> Guest {
    counting("A").body(
        "open",
        &format!(
            "(if (i32.eq (local.get $origin) (i32.const {WOKEN})) (then (call $trap))) {RESTORE} (call $ok)"
        ),
    )
}

/// Wait until so many instances have gone to sleep since the start.
fn asleep(server: &Server, times: u64) {
    wait_for("an instance that sleeps", || {
        server.connections("hibernated") >= times && server.connections("asleep") > 0
    });
}

#[test]
fn the_next_event_wakes_the_instance_with_its_state() {
    let server = drowsy(&counting("A")).start();
    let mut client = server.connect();
    for (times, answer) in (1..).zip(["A1", "A2", "A3"]) {
        client.ask("x", answer);
        asleep(&server, times);
    }
    assert_eq!(server.connections("woken"), 2);
    client.end();
    client.expect_rest("");
    server.settle();
    assert_eq!(server.connections("woken"), 3, "the last for its end");
    assert_eq!(server.connections("asleep"), 0);
}

/// Also when all were awake at once, and what an instance takes of the host's
/// memory lay beside what its connection goes on needing.
#[test]
#[cfg_attr(
    not(feature = "slab-allocator"),
    ignore = "the system's allocator keeps the memory"
)]
fn hibernation_gives_memory_back() {
    const MANY: u64 = 600;
    let server = serve(counting("A").build())
        .args(&["--hibernate-after", "8s"])
        .start();
    let before = server.anonymous();
    let mut clients: Vec<_> = (0..MANY).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ask("x", "A1");
    }
    assert_eq!(server.connections("asleep"), 0, "this machine is too slow");
    let awake = server.anonymous() - before;
    wait_for("all asleep", || server.connections("asleep") == MANY);
    let mut asleep = 0;
    wait_for("most of the memory to be back", || {
        asleep = server.anonymous().saturating_sub(before);
        asleep < awake / 3
    });
    clients.swap_remove(7).ask("x", "A2");
}

#[test]
fn a_guest_without_state_to_save_stays_awake() {
    let server = drowsy(&counting("A").body("save", "(call $none)"))
        .args(&["--log-level", "debug"])
        .start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.stderr.wait("stays awake");
    client.ask("x", "A2");
    drop(client);
    server.settle();
    assert_eq!(server.connections("hibernated"), 0);
}

#[test]
fn a_woken_instance_knows_it_and_gets_its_snapshot() {
    let guest = counting("A").body(
        "open",
        &format!(
            r#"{RESTORE} (if (i32.eq (local.get $origin) (i32.const {WOKEN}))
                 (then (call $say-digit "woken" (global.get $state)))) (call $ok)"#
        ),
    );
    let server = drowsy(&guest).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    client.ask("x", "woken1A2");
}

#[test]
fn what_is_queued_is_sent_while_it_sleeps() {
    let guest = counting("A").data(&format!(
        "{COUNT} (drop (memory.grow (i32.const 100)))
         (call $say (i32.const 1048576) (i32.const 4000000)) (call $say-digit \"A\" (global.get $state))"
    ));
    let server = drowsy(&guest).start();
    let mut client = server.connect();
    client.send("x");
    asleep(&server, 1);
    assert!(client.read(4_000_000).iter().all(|byte| *byte == 0));
    client.expect("A1");
    client.send("x");
    client.read(4_000_000);
    client.expect("A2");
}

#[test]
fn a_timer_wakes_it_after_a_half_close() {
    let set = "(call $set-timer (i32.const 3) (i64.const 200))";
    // Should it ring before the instance sleeps, it is set again.
    let guest = counting("A")
        .body(
            "open",
            &format!("(i32.store (i32.const 904) (local.get $origin)) {RESTORE} (call $ok)"),
        )
        .body("end", &format!("(call $hold-open) {set}"))
        .body(
            "timer",
            &format!(
                r#"(if (i32.eq (i32.load (i32.const 904)) (i32.const {WOKEN}))
                     (then {COUNT} (call $say-digit "timer" (global.get $state)) (call $end))
                     (else {set}))"#
            ),
        );
    let server = drowsy(&guest).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    client.end();
    client.expect_rest("timer2");
}

#[test]
fn a_half_closed_connection_that_nothing_would_wake_stays_awake() {
    let guest = counting("A").body("end", r#"(call $hold-open) (call $say "held")"#);
    let server = drowsy(&guest).start();
    let mut held = server.connect();
    held.end();
    held.expect("held");
    let mut other = server.connect();
    other.ask("x", "A1");
    asleep(&server, 1);
    // Once more, in case that the first was only late.
    other.ask("x", "A2");
    asleep(&server, 2);
    assert_eq!(server.connections("hibernated"), 2, "only the other");
    assert_eq!(server.connections("asleep"), 1, "only the other");
}

#[test]
fn a_trap_in_the_woken_instance_ends_its_connection_alone() {
    let server = drowsy(&dying_as_it_wakes()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    client.send("x");
    client.expect_rest("");
    server.stderr.wait("guest trapped in `open`");
    server.connect().ask("x", "A1");
}

#[test]
fn a_trap_in_the_woken_instance_is_survived_with_on_trap_restart() {
    let server = drowsy(&dying_as_it_wakes())
        .args(&["--on-trap", "restart"])
        .start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    client.ask("x", "A2");
}

/// A connection that was restarted as it woke still gets the event that woke it.
#[test]
fn an_end_that_wakes_comes_once_also_after_a_restart() {
    let guest = counting("A")
        .body(
            "open",
            &format!(
                r#"(if (i32.eq (local.get $origin) (i32.const {WOKEN})) (then (call $trap)))
                   (if (local.get $origin) (then (call $print-digit "ended " (local.get $ended))))
                   {RESTORE} (call $ok)"#
            ),
        )
        .body("end", r#"(call $print "the end")"#);
    let server = drowsy(&guest).args(&["--on-trap", "restart"]).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    client.end();
    server.stdout.wait("the end");
    server.stdout.wait("ended 0");
    client.expect_rest("");
}

/// Those asleep begin to migrate when they wake.
#[test]
fn connections_asleep_do_not_hide_that_the_others_fail() {
    // It stays awake, as nothing could wake it.
    let held = r#"(call $hold-open) (call $say "held")"#;
    let server = drowsy(&counting("A").body("end", held)).start();
    let mut clients: Vec<_> = (0..64).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("x", "A1"));
    let mut awake: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for client in &mut awake {
        client.end();
        client.expect("held");
    }
    asleep(&server, 64);
    let ran = server.try_swap(&opening("B", "(call $trap)"), &["--json"]);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(answer["outcome"], "undone", "{answer}");
    clients.iter_mut().for_each(|client| client.ask("x", "A2"));
}

#[test]
fn a_swap_lets_it_sleep_and_the_new_code_wakes() {
    let server = drowsy(&counting("A")).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    let answer = server.swap(&counting("B"), &[]);
    assert_eq!(answer["migrated"], 1);
    assert_eq!(server.connections("asleep"), 1);
    client.ask("x", "B2");
    asleep(&server, 2);
    server.swap(&counting("C"), &[]);
    server.swap(&counting("D"), &[]);
    client.ask("x", "D3");
}

#[test]
fn new_code_that_cannot_wake_it_is_undone() {
    let server = drowsy(&counting("A")).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    let bad = counting("B").data("(call $trap)");
    server.swap(&bad, &[]);
    client.ask("x", "A2");
    server.stderr.wait("back on generation 1");
    asleep(&server, 2);
    let worse = counting("C").body("open", "(call $trap) (call $ok)");
    server.swap(&worse, &[]);
    client.ask("x", "A3");
}

#[test]
fn a_rollback_while_it_sleeps_leaves_no_trace() {
    let server = drowsy(&counting("A")).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    server.swap(&counting("B"), &[]);
    server.roll_back(&[]);
    client.ask("x", "A2");
}

#[test]
fn a_hibernated_connection_says_farewell_when_the_server_stops() {
    let guest = counting("A").body("close", r#"(call $say-digit "bye" (global.get $state))"#);
    let mut server = drowsy(&guest).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    server.close_all();
    client.expect_rest("bye1");
    assert_eq!(server.end().code, 0);
}

#[test]
fn a_trap_as_it_wakes_for_its_farewell_is_logged() {
    let mut server = drowsy(&dying_as_it_wakes()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    server.close_all();
    client.expect_rest("");
    server.stderr.wait("guest trapped in `open`");
    assert_eq!(server.end().code, 0);
}
