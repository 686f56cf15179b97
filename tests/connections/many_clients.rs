//! Many clients at once, each with an instance of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::guests::{differing, guest};
use crate::harness::{Reader, Serve, prebuilt, serve};

#[test]
fn two_hundred_clients_slow_and_fast() {
    let server = Serve::prebuilt("counter").start();
    let mut clients: Vec<_> = (0..200).map(|_| server.connect()).collect();
    // Each fourth says nothing until the end. Of the others half send all at
    // once, half byte by byte with everybody else in between.
    for round in 1..=5 {
        for (at, client) in clients.iter_mut().enumerate() {
            match at % 4 {
                0 => {}
                1 | 2 => client.send([b'x'; 100]),
                _ => client.send("y"),
            }
        }
        for (at, client) in clients.iter_mut().enumerate() {
            match at % 4 {
                0 => {}
                1 | 2 => client.expect(format!("{} bytes so far\n", round * 100)),
                _ => client.expect(format!("{round} bytes so far\n")),
            }
        }
    }
    assert_eq!(server.connections("open"), 200);
    for (at, client) in clients.iter_mut().enumerate() {
        if at % 4 == 0 {
            client.ask("now", "3 bytes so far\n");
        }
        client.end();
        client.expect_rest("");
    }
    server.settle();
    assert_eq!(server.connections("accepted"), 200);
    assert_eq!(server.connections("faults"), 0);
}

#[test]
fn a_swap_takes_all_of_them_along() {
    let server = Serve::prebuilt("counter").start();
    let mut clients: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ask("12", "2 bytes so far\n");
    }
    server.overwrite(differing(prebuilt("counter")), 2);
    assert!(
        server
            .stderr
            .wait("swapped: ")
            .contains("200 connections migrated")
    );
    for client in &mut clients {
        client.ask("3", "3 bytes so far\n");
    }
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
                while !stop.load(Ordering::Relaxed) {
                    for client in &mut clients {
                        client.send("x");
                    }
                    for client in &mut clients {
                        client.expect("x");
                    }
                }
            })
        })
        .collect();
    let mut newer = prebuilt("echo");
    for generation in 2..10 {
        newer = differing(newer);
        server.overwrite(&newer, generation);
    }
    stop.store(true, Ordering::Relaxed);
    for talker in talkers {
        talker.join().expect("every byte came back");
    }
    server.settle();
    assert_eq!(server.connections("faults"), 0);
}

#[test]
fn a_silent_client_is_in_nobodys_way() {
    let server = Serve::prebuilt("echo").start();
    let mut silent = server.connect();
    for _ in 0..20 {
        let mut client = server.connect();
        client.ask("x", "x");
        client.end();
        client.expect_rest("");
    }
    silent.ask("at last", "at last");
}

#[test]
fn a_silent_client_is_closed_after_the_idle_timeout() {
    let server = serve(guest().says_bye().build())
        .args(&["--idle-timeout", "100ms"])
        .start();
    server.connect().expect_rest("bye 3");
}

#[test]
fn at_the_limit_clients_wait_until_others_have_gone() {
    let server = Serve::prebuilt("echo")
        .args(&["--max-connections", "2"])
        .start();
    let (mut one, mut two) = (server.connect(), server.connect());
    one.ask("1", "1");
    two.ask("2", "2");
    // The kernel takes it, the server does not.
    let mut three = server.connect();
    three.send("3");
    server.stderr.wait("--max-connections");
    assert_eq!(server.connections("open"), 2);
    one.end();
    one.expect_rest("");
    three.expect("3");
}

#[test]
fn nobody_who_reads_standard_output_is_no_reason_to_stop() {
    for reader in [Reader::Nobody, Reader::Gone] {
        let server = Serve::nothing()
            .args(&["--control", "none"])
            .stdout_read_by(reader)
            .start();
        let mut client = server.connect();
        for _ in 0..50 {
            client.ask([b'x'; 20_000], "Hello World from the server!");
        }
        server.stop();
    }
}
