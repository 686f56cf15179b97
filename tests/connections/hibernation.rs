//! `--hibernate-after`: an instance that sleeps is missed by nobody.

use serde_json::Value;

use crate::guests::{Guest, guest};
use crate::harness::{Serve, Server, serve, wait_for};

/// In `open`: go on with the state before, if there is one.
const RESTORE: &str = "(if (local.get $has) (then (global.set $state (i32.load (local.get $at)))))";
const COUNT: &str = "(global.set $state (i32.add (global.get $state) (i32.const 1)))";
const SAVE: &str = "(i32.store (i32.const 900) (global.get $state))
    (call $some (i32.const 900) (i32.const 4))";
/// In `open`, of an instance that was woken.
const WOKEN: i32 = 2;

/// Answers each `data` with its name and how many there were.
fn counting(name: &str) -> Guest {
    guest()
        .body("open", &format!("{RESTORE} (call $ok)"))
        .data(&format!(
            "{COUNT} (call $say-digit {name:?} (global.get $state))"
        ))
        .body("save", SAVE)
}

fn drowsy(guest: &Guest) -> Serve {
    serve(guest.build()).args(&["--hibernate-after", "50ms"])
}

fn connections(server: &Server, what: &str) -> u64 {
    let status: Value = server.status();
    status["connections"][what].as_u64().expect("a number")
}

/// Wait until so many instances have gone to sleep since the start.
fn asleep(server: &Server, times: u64) {
    wait_for("an instance that sleeps", || {
        connections(server, "hibernated") >= times && connections(server, "asleep") > 0
    });
}

#[test]
fn the_next_event_finds_the_state() {
    let server = drowsy(&counting("A")).start();
    let mut client = server.connect();
    for (times, answer) in (1..).zip(["A1", "A2", "A3"]) {
        client.ask("x", answer);
        asleep(&server, times);
    }
    assert_eq!(connections(&server, "woken"), 2);
    client.end();
    client.expect_rest("");
    wait_for("nobody asleep", || connections(&server, "asleep") == 0);
}

/// KiB of memory that is not a file's.
fn memory(server: &Server) -> u64 {
    let path = format!("/proc/{}/smaps_rollup", server.pid());
    let smaps = std::fs::read_to_string(path).expect("Linux");
    let told = smaps
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"));
    let size = told.and_then(|told| told.trim().strip_suffix(" kB"));
    size.expect("a size").parse().expect("a number")
}

/// Also when all were awake at once, and what an instance takes of the host's
/// memory lay beside what its connection goes on needing.
#[test]
fn sleep_gives_memory_back() {
    const MANY: u64 = 600;
    let server = serve(counting("A").build())
        .args(&["--hibernate-after", "8s"])
        .start();
    let before = memory(&server);
    let mut clients: Vec<_> = (0..MANY).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ask("x", "A1");
    }
    assert_eq!(
        connections(&server, "asleep"),
        0,
        "this machine is too slow"
    );
    let awake = memory(&server) - before;
    wait_for("all asleep", || connections(&server, "asleep") == MANY);
    let mut asleep = 0;
    wait_for("most of the memory to be back", || {
        asleep = memory(&server).saturating_sub(before);
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
    server.stderr.wait("connection 1: stays awake");
    client.ask("x", "A2");
    assert_eq!(connections(&server, "hibernated"), 0);
}

#[test]
fn it_is_told_that_it_was_woken_and_keeps_its_snapshot() {
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
    let guest = counting("A")
        .body(
            "end",
            "(call $hold-open) (call $set-timer (i32.const 3) (i64.const 400))",
        )
        .body(
            "timer",
            &format!(r#"{COUNT} (call $say-digit "timer" (global.get $state)) (call $end)"#),
        );
    let server = drowsy(&guest).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    client.end();
    asleep(&server, 1);
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
    assert_eq!(connections(&server, "asleep"), 1, "only the other");
}

#[test]
fn a_trap_in_the_woken_instance_ends_its_connection_alone() {
    let guest = counting("A").body(
        "open",
        &format!(
            "(if (i32.eq (local.get $origin) (i32.const {WOKEN})) (then (call $trap))) {RESTORE} (call $ok)"
        ),
    );
    let server = drowsy(&guest).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    client.send("x");
    client.expect_rest("");
    server.stderr.wait("guest trapped in `open`");
    server.connect().ask("x", "A1");
}

#[test]
fn a_trap_in_the_woken_instance_is_survived_where_traps_are() {
    let guest = counting("A").body(
        "open",
        &format!(
            "(if (i32.eq (local.get $origin) (i32.const {WOKEN})) (then (call $trap))) {RESTORE} (call $ok)"
        ),
    );
    let server = drowsy(&guest).args(&["--on-trap", "restart"]).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    client.ask("x", "A2");
}

fn swap(server: &Server, guest: &Guest) -> Value {
    let path = server.path("next.wasm");
    std::fs::write(&path, guest.build()).expect("writable");
    let path = path.to_str().expect("UTF-8");
    let answer = server.ask(&["swap", path, "--json"]).success();
    serde_json::from_str(&answer).expect("JSON")
}

#[test]
fn a_swap_lets_it_sleep_and_the_new_code_wakes() {
    let server = drowsy(&counting("A")).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    let answer = swap(&server, &counting("B"));
    assert_eq!(answer["migrated"], 1);
    assert_eq!(connections(&server, "asleep"), 1);
    client.ask("x", "B2");
    asleep(&server, 2);
    swap(&server, &counting("C"));
    swap(&server, &counting("D"));
    client.ask("x", "D3");
}

#[test]
fn new_code_that_cannot_wake_it_is_undone() {
    let server = drowsy(&counting("A")).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    let bad = counting("B").data("(call $trap)");
    swap(&server, &bad);
    client.ask("x", "A2");
    server.stderr.wait("back on generation 1");
    asleep(&server, 2);
    let worse = counting("C").body("open", "(call $trap) (call $ok)");
    swap(&server, &worse);
    client.ask("x", "A3");
}

#[test]
fn a_rollback_while_it_sleeps_leaves_no_trace() {
    let server = drowsy(&counting("A")).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    swap(&server, &counting("B"));
    server.ask(&["rollback"]).success();
    client.ask("x", "A2");
}

#[test]
fn it_says_farewell_when_the_server_stops() {
    let guest = counting("A").body("close", r#"(call $say-digit "bye" (global.get $state))"#);
    let mut server = drowsy(&guest).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    asleep(&server, 1);
    server.signal(rustix::process::Signal::TERM);
    client.expect_rest("bye1");
    assert!(server.wait().success());
}
