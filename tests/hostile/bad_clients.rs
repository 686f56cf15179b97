//! Clients that do what no sane client does, beside one that wants an answer.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::guests::{FLOOD, obeying};
use crate::harness::{Client, Scene, count_lines};

#[test]
fn clients_that_connect_and_leave_are_forgotten() {
    let mut scene = Scene::start(&obeying(&[]), &[]);
    let address = scene.server.addresses[0];
    for round in 0..500 {
        let client = Client::connect(address);
        match round % 3 {
            0 => drop(client),
            1 => client.reset(),
            // It leaves its bytes behind, and ours unread.
            _ => {
                let _ = (&client.stream).write(&[b'a'; 1000]);
            }
        }
        if round % 100 == 0 {
            scene.undisturbed();
        }
    }
    scene.server.wait_open(1);
    scene.undisturbed();
    scene.total("faults", 0);
}

#[test]
fn a_reset_in_the_middle_of_an_event_harms_nobody() {
    let slow = obeying(&[(
        'w',
        r#"(call $print "began")
           (loop $work
             (local.set $n (i32.add (local.get $n) (i32.const 1)))
             (br_if $work (i32.lt_u (local.get $n) (i32.const 10000000))))
           (call $say "too late")"#,
    )])
    .prints_closed();
    let mut scene = Scene::start(&slow, &["--cpu-budget", "10s", "--event-timeout", "60s"]);
    for round in 1..=5 {
        let mut client = scene.client();
        client.send("w");
        scene.server.stdout.wait_count("began", round);
        client.reset();
        scene.server.stdout.wait_count("closed 1", round);
    }
    scene.server.wait_open(1);
    scene.undisturbed();
    scene.total("faults", 0);
    let printed = scene.end().stdout;
    assert_eq!(count_lines(&printed, "began"), 5);
    assert_eq!(count_lines(&printed, "closed 1"), 5);
}

#[test]
fn bytes_that_come_one_at_a_time_are_answered() {
    let mut scene = Scene::start(&obeying(&[]), &[]);
    let mut clients: Vec<_> = (0..20).map(|_| scene.client()).collect();
    for byte in b"abcdefghijklmnopqrst" {
        clients.iter_mut().for_each(|client| client.send([*byte]));
        scene.undisturbed();
    }
    clients
        .iter_mut()
        .for_each(|client| client.expect("abcdefghijklmnopqrst"));
}

/// It ends its side, holds the socket, and never takes the rest: what is
/// queued for it runs into the write timeout.
#[test]
fn a_client_that_ends_and_reads_nothing_is_cut_off() {
    let flood = obeying(&[('f', FLOOD)]);
    let args = ["--write-timeout", "300ms", "--max-queue", "16M"];
    let mut scene = Scene::start(&flood, &args);
    let mut client = scene.client();
    client.send("f");
    client.end();
    scene.reached("write-timeout", 1, "peer read nothing for 300ms");
    scene.server.wait_open(1);
}

/// A client that sends for ever to a guest that has ended.
#[test]
fn a_client_that_never_stops_sending_is_cut_off() {
    let mut scene = Scene::start(&obeying(&[('t', "(call $trap)")]), &["--linger", "300ms"]);
    let mut client = scene.client();
    client.send("t");
    let mut sent = 0_usize;
    let error = loop {
        match client.stream.write(&[b'z'; 4096]) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
    };
    let cut_off = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(
        cut_off.contains(&error.kind()),
        "{error} after {sent} bytes"
    );
    scene.server.wait_open(1);
    scene.reached("linger", 1, "--linger");
}

/// More clients than there are places, who come and go, hold and leave.
#[test]
fn a_crowd_against_a_small_limit_is_served_in_the_end() {
    let mut scene = Scene::start(&obeying(&[]), &["--max-connections", "50"]);
    let address = scene.server.addresses[0];
    // Those that wait in the backlog and leave before their turn.
    let mut waiting: Vec<_> = (0..400).map(|_| Client::connect(address)).collect();
    for (at, client) in waiting.iter_mut().enumerate() {
        if at % 2 == 0 {
            client.send("here");
        }
    }
    scene.undisturbed();
    let mut waiting = waiting.into_iter();
    for (at, client) in waiting.by_ref().enumerate() {
        if at % 4 == 0 {
            let mut stream: TcpStream = client.stream;
            let mut got = [0; 4];
            stream.read_exact(&mut got).expect("its turn comes");
            assert_eq!(&got, b"here");
        } else if at % 4 == 1 {
            client.reset();
        }
    }
    scene.server.wait_open(1);
    scene.undisturbed();
}
