//! The old code may be bad: its successor then begins without a state, and the
//! log and the answer say so.

use crate::guests::{Guest, RESTORE, SAVE, counting, opening};
use crate::harness::serve;

fn saves_not(old: &Guest, args: &[&str], why: &str) {
    let server = serve(old.build()).args(args).start();
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("x", "A1"));
    let new = counting("B").body(
        "open",
        &format!(
            "{RESTORE} {} (call $ok)",
            "(if (i32.eqz (local.get $has)) (then (call $say \"none \")))"
        ),
    );
    let answer = server.swap(&new, &[]);
    assert_eq!(
        [
            &answer["migrated"],
            &answer["without_snapshot"],
            &answer["without_state"]
        ],
        [3, 3, 3]
    );
    let line = server.stderr.wait("no snapshot");
    assert!(line.contains(why), "{line}");
    clients
        .iter_mut()
        .for_each(|client| client.ask("x", "none B1"));
}

#[test]
fn a_trap_in_save_costs_the_snapshot() {
    saves_not(
        &counting("A").body("save", "(call $trap) (call $none)"),
        &[],
        "guest trapped in `save`",
    );
}

#[test]
fn a_loop_in_save_costs_the_snapshot() {
    saves_not(
        &counting("A").body("save", "(call $spin) (call $none)"),
        &["--cpu-budget", "20ms"],
        "--cpu-budget",
    );
}

#[test]
fn a_snapshot_that_is_too_large_is_not_passed_on() {
    let much = counting("A").body("save", "(call $some (i32.const 0) (i32.const 2000))");
    saves_not(&much, &["--max-snapshot", "1999"], "--max-snapshot");
}

#[test]
fn what_save_writes_is_dropped() {
    let wordy = counting("A").body(
        "save",
        &format!(r#"(call $say "of save") (call $end) {SAVE}"#),
    );
    let server = serve(wordy.build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    let answer = server.swap(&opening("B", "(call $trap)"), &[]);
    assert_eq!(answer["failed"], 1);
    client.ask("x", "A2");
    server.swap(&counting("C"), &[]);
    client.ask("x", "C3");
}

#[test]
fn a_snapshot_too_large_and_no_successor_leave_the_old_instance() {
    let much = counting("A").body("save", "(call $some (i32.const 0) (i32.const 2000))");
    let server = serve(much.build())
        .args(&["--max-snapshot", "1999"])
        .start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.swap(&opening("B", "(call $trap)"), &[]);
    client.ask("x", "A2");
}

#[test]
fn a_dead_instance_without_successor_ends_the_connection_and_no_other() {
    let server = serve(
        counting("A")
            .body("save", "(call $trap) (call $none)")
            .build(),
    )
    .start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.swap(&opening("B", "(call $trap)"), &[]);
    client.expect_rest("");
    server.connect().ask("x", "B1");
}

/// Code that saves nothing is not bad, but whoever swaps it should know.
#[test]
fn the_answer_says_how_many_moved_without_state() {
    let server = serve(counting("A").build()).start();
    let mut clients: Vec<_> = (0..2).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("x", "A1"));
    let answer = server.swap(echo_without_state(), &[]);
    assert_eq!(
        (&answer["migrated"], &answer["without_state"]),
        (&2.into(), &0.into())
    );
    // The ones that `A` counted are lost now.
    clients.iter_mut().for_each(|client| client.ask("y", "y"));
    let answer = server.swap(&counting("B"), &[]);
    assert_eq!(
        (&answer["migrated"], &answer["without_state"]),
        (&2.into(), &2.into())
    );
    server
        .stderr
        .wait("2 connections migrated (2 without state); ");
}

fn echo_without_state() -> Vec<u8> {
    crate::harness::prebuilt("echo")
}
