//! `--on-trap restart`: a connection survives the trap of its instance, with its last
//! snapshot.

use crate::guests::{COUNT, Guest, RESTORE, SAVE, counting, opening};
use crate::harness::{Client, Server, serve};

/// A guest that counts, and dies of an `!` as the first byte.
fn mortal(name: &str) -> Guest {
    counting(name).data(&format!(
        r#"(if (i32.eq (i32.load8_u (local.get $at)) (i32.const 33)) (then (call $say "never") (call $trap)))
           {COUNT} (call $say-digit {name:?} (global.get $state))"#
    ))
}

fn restarting(guest: &Guest, args: &[&str]) -> Server {
    serve(guest.build())
        .args(&["--on-trap", "restart"])
        .args(args)
        .start()
}

/// Have it die, and wait until it has been restarted so often.
fn kill(server: &Server, client: &mut Client, times: usize) {
    client.send("!");
    server
        .stderr
        .wait_count("restarted from the snapshot", times);
}

#[test]
fn the_connection_goes_on_with_its_last_state() {
    let server = restarting(&mortal("A"), &[]);
    let mut client = server.connect();
    client.ask("x", "A1");
    client.ask("x", "A2");
    kill(&server, &mut client, 1);
    client.ask("x", "A3");
    drop(client);
    server.settle();
    assert_eq!(server.connections("restarts"), 1);
}

#[test]
fn state_is_as_old_as_the_last_snapshot() {
    let server = restarting(&mortal("A"), &["--snapshot-every", "3"]);
    let mut client = server.connect();
    for answer in ["A1", "A2", "A3", "A4", "A5"] {
        client.ask("x", answer);
    }
    kill(&server, &mut client, 1);
    client.ask("x", "A4");
}

#[test]
fn a_crash_loop_closes_the_connection() {
    let server = restarting(&mortal("A"), &["--max-restarts", "3"]);
    let mut client = server.connect();
    client.ask("x", "A1");
    for times in 1..=3 {
        kill(&server, &mut client, times);
    }
    client.ask("x", "A2");
    client.send("!");
    client.expect_rest("");
    server.stderr.wait("--max-restarts");
    server.connect().ask("x", "A1");
    server.settle();
    assert_eq!(server.connections("restarts"), 3);
}

#[test]
fn swaps_and_restarts_mix() {
    let server = restarting(&mortal("A"), &[]);
    let mut client = server.connect();
    client.ask("x", "A1");
    kill(&server, &mut client, 1);
    server.swap(&mortal("B"), &[]);
    client.ask("x", "B2");
    kill(&server, &mut client, 2);
    client.ask("x", "B3");
    server.roll_back(&[]);
    client.ask("x", "A4");
    // The event that kills a successor in probation kills the old code, too,
    // which then is restarted.
    server.swap(&mortal("C"), &[]);
    kill(&server, &mut client, 3);
    client.ask("x", "A5");
}

#[test]
fn a_trap_in_save_is_survived_when_no_successor_opens() {
    // Dies in `save` only when a swap asks: the snapshot after the event went
    // well.
    let once = mortal("A").body(
        "save",
        &format!(
            "(i32.store (i32.const 904) (i32.add (i32.load (i32.const 904)) (i32.const 1)))
             (if (i32.gt_u (i32.load (i32.const 904)) (i32.const 1)) (then (call $trap))) {SAVE}"
        ),
    );
    let server = restarting(&once, &[]);
    let mut client = server.connect();
    client.ask("x", "A1");
    let answer = server.swap(&opening("B", "(call $trap)"), &[]);
    assert_eq!(answer["failed"], 1);
    client.ask("x", "A2");
}

#[test]
fn what_could_not_be_restarted_is_not_said_to_be() {
    // 3: restarted.
    let open = format!(
        "(if (i32.eq (local.get $origin) (i32.const 3)) (then (call $trap))) {RESTORE} (call $ok)"
    );
    let server = restarting(&mortal("A").body("open", &open), &[]);
    let mut client = server.connect();
    client.ask("x", "A1");
    client.send("!");
    client.expect_rest("");
    server.settle();
    assert_eq!(server.connections("restarts"), 0);
    let log = server.stop().stderr;
    assert!(!log.contains("restarted"), "{log}");
    for event in ["`data`", "`open`"] {
        let line = format!("guest trapped in {event}");
        assert_eq!(log.matches(&line).count(), 1, "{log}");
    }
}
