//! One generation after the other: swap, roll back, history, two swaps at once.

use std::fs;
use std::thread;

use crate::guests::{counting, opening, slow_to_compile};
use crate::harness::{kill, serve, wait_for};

#[test]
fn a_connection_talks_on_across_a_swap_and_a_rollback() {
    let server = serve(counting("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    let answer = server.swap(&counting("B"), &[]);
    assert_eq!(answer["outcome"], "swapped");
    assert_eq!(
        (&answer["generation"], &answer["migrated"]),
        (&2.into(), &1.into())
    );
    client.ask("x", "B2");
    let mut other = server.connect();
    other.ask("x", "B1");
    let answer = server.roll_back(&[]);
    assert_eq!(answer["outcome"], "rolled-back");
    assert_eq!(
        (&answer["generation"], &answer["migrated"]),
        (&1.into(), &2.into())
    );
    client.ask("x", "A3");
    other.ask("x", "A2");
    client.end();
    client.expect_rest("");
}

#[test]
fn a_second_rollback_goes_one_further() {
    let server = serve(counting("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.swap(&counting("B"), &[]);
    client.ask("x", "B2");
    server.swap(&counting("C"), &[]);
    client.ask("x", "C3");
    server.roll_back(&[]);
    client.ask("x", "B4");
    // After a way back the next swap goes on from there.
    server.swap(&counting("D"), &[]);
    client.ask("x", "D5");
    server.roll_back(&[]);
    client.ask("x", "B6");
    server.roll_back(&[]);
    client.ask("x", "A7");
    let refused = server.ask(&["rollback"]).failure(1);
    assert!(refused.contains("not rolled back"), "{refused}");
    client.ask("x", "A8");
}

#[test]
fn history_tells_what_became_of_each() {
    let server = serve(counting("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.swap(&counting("B"), &[]);
    server.swap(&counting("C"), &[]);
    server.roll_back(&[]);
    let bad = opening("D", "(call $trap)");
    server.swap(&bad, &[]);
    let history = server.history();
    let outcomes: Vec<_> = history
        .iter()
        .map(|record| record["outcome"].as_str().expect("text"))
        .collect();
    assert_eq!(
        outcomes,
        [
            "replaced by generation 2",
            "replaced by generation 4",
            "rolled back",
            "active"
        ]
    );
    let counts: Vec<_> = history
        .iter()
        .map(|record| (&record["migrated"], &record["failed"]))
        .collect();
    assert_eq!(counts[2], (&1.into(), &0.into()));
    assert_eq!(counts[3], (&0.into(), &1.into()));
    let hashes: std::collections::BTreeSet<_> = history
        .iter()
        .map(|record| record["sha256"].to_string())
        .collect();
    assert_eq!(hashes.len(), 4);
}

/// What was rolled back is dropped before what is on the way back.
#[test]
fn swaps_that_are_rolled_back_leave_a_way_back() {
    let server = serve(counting("A").build()).start();
    server.swap(&counting("B"), &[]);
    for round in 0..7 {
        server.swap(&counting(&format!("bad {round} ")), &[]);
        let answer = server.roll_back(&[]);
        assert_eq!(answer["generation"], 2, "round {round}");
    }
    assert_eq!(server.roll_back(&[])["generation"], 1);
}

#[test]
fn one_generation_to_go_back_to_is_enough_for_a_way_back() {
    let server = serve(counting("A").build()).args(&["--keep", "1"]).start();
    for name in ["B", "C", "D"] {
        server.swap(&counting(name), &[]);
    }
    server.connect().ask("x", "D1");
    assert_eq!(server.roll_back(&[])["generation"], 3);
    server.connect().ask("x", "C1");
    server.ask(&["rollback"]).failure(1);
    assert_eq!(
        server.status()["generations"].as_array().map(Vec::len),
        Some(2)
    );
}

#[test]
fn the_same_code_is_no_swap() {
    let server = serve(counting("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    let answer = server.swap(&counting("A"), &[]);
    assert_eq!(
        (&answer["outcome"], &answer["generation"]),
        (&"unchanged".into(), &1.into())
    );
    client.ask("x", "A2");
}

#[test]
fn what_was_rolled_back_is_not_taken_up_again_by_the_watcher() {
    let server = serve(counting("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.overwrite(counting("B").build(), 2);
    client.ask("x", "B2");
    server.roll_back(&[]);
    // The same content, in a file that has changed; and then another content,
    // by which we know that the watcher has looked.
    fs::write(server.path("guest.wasm"), counting("B").build()).expect("writable");
    let other = server.path("other.wasm");
    fs::write(&other, counting("B").build()).expect("writable");
    fs::rename(other, server.path("guest.wasm")).expect("renamed");
    client.ask("x", "A3");
    server.overwrite(counting("C").build(), 3);
    client.ask("x", "C4");
}

#[test]
fn two_swaps_at_once_take_turns() {
    let server = serve(counting("A").build()).start();
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("x", "A1"));
    let guests = [counting("B"), counting("C")];
    for (at, guest) in guests.iter().enumerate() {
        fs::write(server.path(&format!("{at}.wasm")), guest.build()).expect("writable");
    }
    std::thread::scope(|scope| {
        for at in 0..guests.len() {
            let (server, path) = (&server, server.path(&format!("{at}.wasm")));
            scope.spawn(move || server.try_swap_file(&path, &[]).success());
        }
    });
    let active = server.history().pop().expect("generations");
    assert_eq!(
        (&active["generation"], &active["outcome"]),
        (&3.into(), &"active".into())
    );
    assert_eq!(active["migrated"], 20);
    for client in &mut clients {
        client.send("x");
        let answer = client.read(2);
        assert!(matches!(&answer[..], b"B2" | b"C2"), "{answer:?}");
    }
    server.roll_back(&[]);
    server.roll_back(&[]);
    clients.iter_mut().for_each(|client| client.ask("x", "A3"));
}

/// Whoever asks for a rollback means the code that is active then.
#[test]
fn a_rollback_during_a_swap_that_is_undone_goes_no_further() {
    let server = serve(counting("A").build())
        .args(&["--rollback-after", "1/10", "--start-budget", "3s"])
        .start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.swap(&counting("B"), &[]);
    client.ask("x", "B2");
    thread::scope(|scope| {
        let swap = scope.spawn(|| server.try_swap(&opening("C", "(call $spin)"), &[]));
        wait_for("generation 3", || server.status()["generation"] == 3);
        let refused = server.ask(&["rollback"]).failure(1);
        let why = "not rolled back: generation 3 is not active any more";
        assert!(refused.contains(why), "{refused}");
        assert!(refused.contains("still serving generation 2"), "{refused}");
        assert_eq!(swap.join().expect("no panic").code, 1);
    });
    client.ask("x", "B3");
}

#[test]
fn a_rollback_waits_for_no_compilation() {
    // A cache would make it a short one, from the second time on.
    let server = serve(counting("A").build())
        .args(&["--code-cache", "none", "--compile-memory", "2G"])
        .start();
    let mut client = server.connect();
    client.ask("x", "A1");
    server.swap(&counting("B"), &[]);
    client.ask("x", "B2");
    thread::scope(|scope| {
        let swap = scope.spawn(|| server.try_swap(slow_to_compile(), &[]));
        let compilers = server.wait_compiling();
        server.roll_back(&[]);
        assert!(!swap.is_finished());
        client.ask("x", "A3");
        kill(compilers[0]);
        assert_eq!(swap.join().expect("no panic").code, 1);
    });
    client.ask("x", "A4");
}
