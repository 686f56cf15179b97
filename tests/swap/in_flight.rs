//! What is under way when the swap comes: bytes, FINs, timers, queues, new
//! connections, a shutdown. Nothing is lost, doubled or reordered.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use crate::guests::{COUNT, RESTORE, counting, differing};
use crate::harness::{Client, Serve, ask, prebuilt, serve, wait_for};

#[test]
fn timers_move_and_ring_under_their_id() {
    // Should it ring before the swap, it is set again.
    let set = "(call $set-timer (i32.const 7) (i64.const 1000))";
    let old = counting("A")
        .data(&format!(r#"{set} (call $say "set")"#))
        .body("timer", set);
    let server = serve(old.build()).start();
    let mut client = server.connect();
    client.ask("x", "set");
    server.swap(
        &counting("B").body("timer", r#"(call $say-digit "B" (local.get $id))"#),
        &[],
    );
    client.expect("B7");
}

#[test]
fn the_fin_before_a_swap_is_told_to_the_successor() {
    let old = counting("A").body("end", r#"(call $hold-open) (call $say "later")"#);
    let server = serve(old.build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    client.end();
    client.expect("later");
    let new = counting("B")
        .body(
            "open",
            &format!(
                r#"(if (local.get $origin) (then
                 (call $say-digit "ended" (local.get $ended))
                 (call $set-timer (i32.const 1) (i64.const 10)))) {RESTORE} (call $ok)"#
            ),
        )
        .body(
            "timer",
            r#"(call $say-digit " of " (global.get $state)) (call $end)"#,
        )
        .body("end", r#"(call $say "again")"#);
    server.swap(&new, &[]);
    client.expect_rest("ended1 of 1");
}

#[test]
fn a_half_closed_connection_moves_again_and_again() {
    let holding = |name: &str| {
        counting(name)
            .body(
                "end",
                "(call $hold-open) (call $set-timer (i32.const 1) (i64.const 10))",
            )
            .body(
                "timer",
                &format!(
                    r#"{COUNT} (call $say-digit {name:?} (global.get $state))
                   (if (i32.ge_u (global.get $state) (i32.const 8))
                     (then (call $end)) (else (call $set-timer (i32.const 1) (i64.const 300))))"#
                ),
            )
    };
    let server = serve(holding("A").build()).start();
    let mut client = server.connect();
    client.ask("x", "A1");
    client.end();
    let mut names = ["B", "C"].into_iter().cycle();
    let mut told = Vec::new();
    while told.len() < 2 * 6 {
        server.swap(&holding(names.next().expect("endless")), &[]);
        told.extend(client.read(2));
    }
    told.extend(client.rest().expect("FIN"));
    let counts: Vec<u8> = told.iter().skip(1).step_by(2).copied().collect();
    assert_eq!(counts, b"2345678", "{told:?}");
}

#[test]
fn what_is_queued_for_a_slow_peer_stays_queued() {
    // Each message is answered with 4 x 1 MiB of memory, which is zero but for
    // the guest's name at the end.
    let writing = |name: &str| {
        counting(name).data(&format!(
            "(drop (memory.grow (i32.const 64)))
             (call $say (i32.const 1048576) (i32.const 2000000)) (call $say {name:?})"
        ))
    };
    let server = serve(writing("A").build()).start();
    let mut client = server.connect();
    client.send("x");
    client.read(1);
    let answer = server.swap(&writing("B"), &[]);
    assert_eq!(answer["migrated"], 1);
    assert!(client.read(1_999_999).iter().all(|byte| *byte == 0));
    client.expect("A");
    client.send("x");
    assert!(client.read(2_000_000).iter().all(|byte| *byte == 0));
    client.expect("B");
}

#[test]
fn a_fin_right_behind_the_data_is_served_by_one_code_or_the_other() {
    let ending =
        |name: &str| counting(name).body("end", r#"(call $say-digit "end" (global.get $state))"#);
    let server = serve(ending("A").build()).start();
    for round in 0..10 {
        let mut clients: Vec<_> = (0..30).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send("x");
        }
        thread::scope(|scope| {
            scope.spawn(|| server.swap(&ending(if round % 2 == 0 { "B" } else { "C" }), &[]));
            for client in &mut clients {
                client.end();
            }
        });
        for client in &mut clients {
            let rest = client.rest().expect("FIN");
            assert!(
                matches!(&rest[..], [b'A'..=b'C', b'1', b'e', b'n', b'd', b'1']),
                "{rest:?}"
            );
        }
    }
}

#[test]
fn thousands_connect_while_swaps_go_on() {
    let server = serve(counting("A").build()).start();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let swaps = scope.spawn(|| {
            let mut swaps = 0;
            for name in ["B", "C"].iter().cycle() {
                server.swap(&counting(name), &[]);
                swaps += 1;
                if over.load(Relaxed) {
                    return swaps;
                }
            }
            swaps
        });
        let connecting: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let mut clients: Vec<_> = (0..50).map(|_| server.connect()).collect();
                        for count in 1..=2 {
                            for client in &mut clients {
                                client.send("x");
                            }
                            for client in &mut clients {
                                let answer = client.read(2);
                                assert!(
                                    answer[0].is_ascii_uppercase() && answer[1] == b'0' + count,
                                    "{answer:?}"
                                );
                            }
                        }
                    }
                })
            })
            .collect();
        for client in connecting {
            client.join().expect("all answered");
        }
        over.store(true, Relaxed);
        assert!(swaps.join().expect("all swapped") > 1);
    });
    server.wait_open(0);
}

#[test]
fn a_swap_of_many_connections_reaches_all_of_them() {
    let server = serve(counting("A").build()).start();
    let mut clients: Vec<_> = (0..300).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("x", "A1"));
    // All are quiet: nothing but the swap wakes them.
    for (name, generation) in [("B", 2), ("C", 3)] {
        let answer = server.swap(&counting(name), &[]);
        assert_eq!(
            (&answer["migrated"], &answer["remaining"]),
            (&300.into(), &0.into())
        );
        assert_eq!(server.open_on(generation), 300);
        let line = server
            .stderr
            .wait(&format!("swapped: generation {generation} is "));
        assert!(line.contains("300 connections migrated"), "{line}");
    }
    clients.iter_mut().for_each(|client| client.ask("x", "C2"));
}

#[test]
fn a_swap_during_shutdown_does_not_hold_it_up() {
    let polite = |name: &str| counting(name).says_bye();
    let mut server = serve(polite("A").build()).start();
    let mut clients: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("x", "A1"));
    let path = server.path("next.wasm");
    fs::write(&path, polite("B").build()).expect("writable");
    let dir = server.dir().to_owned();
    let swapping = thread::spawn(move || {
        // Its answer may not come any more.
        let _ = ask(&dir, &["swap", path.to_str().expect("UTF-8")]);
    });
    // Now connections move, or all of them have moved.
    wait_for("the swap to begin", || server.status()["generation"] == 2);
    server.close_all();
    for client in &mut clients {
        client.expect_rest("bye 5");
    }
    assert_eq!(server.end().code, 0);
    swapping.join().expect("it gave up");
}

#[test]
fn a_swap_in_the_middle_of_a_stream_loses_nothing() {
    let server = Serve::prebuilt("echo").start();
    let mut client = server.connect();
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|at| (at % 251) as u8).collect();
    let sender = client.send_meanwhile(bytes.clone());
    let mut newer = prebuilt("echo");
    let mut got = client.read(100_000);
    for generation in 2..6 {
        newer = differing(newer);
        server.overwrite(&newer, generation);
        got.extend(client.read(500_000));
    }
    got.extend(client.read(bytes.len() - got.len()));
    assert!(got == bytes, "the bytes differ");
    sender.join().expect("no panic").expect("all is taken");
}

#[test]
fn swaps_under_traffic_come_to_an_end() {
    let server = Serve::prebuilt("echo").start();
    let stop = Arc::new(AtomicBool::new(false));
    let talkers: Vec<_> = (0..8)
        .map(|_| {
            let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Relaxed) {
                    clients.iter_mut().for_each(|client| client.send("x"));
                    clients.iter_mut().for_each(|client| client.expect("x"));
                }
            })
        })
        .collect();
    let mut newer = prebuilt("echo");
    for generation in 2..10 {
        newer = differing(newer);
        server.overwrite(&newer, generation);
    }
    stop.store(true, Relaxed);
    for talker in talkers {
        talker.join().expect("every byte came back");
    }
    server.settle();
    assert_eq!(server.connections("faults"), 0);
}
