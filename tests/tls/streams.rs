//! What TLS carries: both directions end by themselves, nothing is lost, and queues,
//! deadlines, swaps and hibernation are as with TCP.

use std::io::{Read, Write};
use std::thread;

use super::{Authority, lines, secured, start};
use crate::guests::{FLOOD, counting, differing, guest, messenger, obeying};
use crate::harness::{Serve, prebuilt, serve, wait_for};

fn pattern(count: usize) -> Vec<u8> {
    (0..count as u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

#[test]
fn close_notify_ends_one_direction() {
    let secure = start(lines().args(&["--access-log"]));
    let mut client = secure.client();
    client.ask("one\nha", "1: one\n");
    client.send("lf\nrest");
    client.end();
    // The guest still writes, and then it ends with close_notify and FIN.
    client.expect_rest("2: half\n3: rest");
    assert!(client.tcp.rest().expect("FIN").is_empty());
    secure.server.stderr.wait("closed: ended");
}

#[test]
fn a_guest_that_ends_first_hears_what_comes_after() {
    let ending = guest()
        .data(r#"(call $say "bye") (call $end)"#)
        .body("end", r#"(call $print "the end")"#)
        .prints_closed();
    let secure = start(serve(ending.build()));
    let mut client = secure.client();
    client.send("x");
    client.expect_rest("bye");
    client.end();
    secure.server.stdout.wait("the end");
    secure.server.stdout.wait("closed 0");
}

#[test]
fn a_fin_without_close_notify_is_no_end() {
    let ending = obeying(&[])
        .body("end", r#"(call $print "the end")"#)
        .prints_closed();
    let secure = start(serve(ending.build()).args(&["--access-log", "-v"]));
    let mut client = secure.client();
    client.ask("x", "x");
    client.truncate();
    secure.server.stderr.wait("closed: aborted-by-peer");
    secure.server.stdout.wait("closed 1");
    let ran = secure.server.stop();
    assert!(!ran.stdout.contains("the end"), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("has ended without close_notify"),
        "{}",
        ran.stderr
    );
}

#[test]
fn once_the_guest_has_ended_a_fin_will_do() {
    let ending = guest().data(r#"(call $say "bye") (call $end)"#);
    let secure = start(serve(ending.build()).args(&["--access-log"]));
    let mut client = secure.client();
    client.send("x");
    client.expect_rest("bye");
    client.truncate();
    secure.server.stderr.wait("closed: ended");
}

#[test]
fn ten_megabytes_go_both_ways_at_once() {
    let secure = start(Serve::prebuilt("echo"));
    let mut client = secure.client();
    let bytes = pattern(10 << 20);
    let mut sent = 0;
    let mut got = Vec::new();
    client.tcp.stream.set_nonblocking(true).expect("a socket");
    wait_for("all bytes", || {
        if sent < bytes.len() {
            sent += client.tls.writer().write(&bytes[sent..]).expect("taken");
        }
        while client.tls.wants_write() && client.tls.write_tls(&mut client.tcp.stream).is_ok() {}
        while client
            .tls
            .read_tls(&mut client.tcp.stream)
            .is_ok_and(|count| count > 0)
        {
            client.tls.process_new_packets().expect("records");
            let _ = client.tls.reader().read_to_end(&mut got);
        }
        got.len() >= bytes.len()
    });
    assert!(got == bytes, "other bytes");
}

#[test]
fn a_large_reply_is_not_cut_off_by_the_end() {
    let text = "(call $say (i32.const 0) (i32.const 65536))".repeat(40);
    let secure = start(serve(guest().data(&format!("{text} (call $end)")).build()));
    let mut client = secure.client();
    client.send("x");
    assert_eq!(client.rest().expect("close_notify").len(), 40 * 65_536);
}

#[test]
fn a_peer_that_reads_nothing_is_reset_and_its_queue_is_bounded() {
    let flooding = obeying(&[('f', FLOOD)]);
    let args = [
        "--write-timeout",
        "300ms",
        "--access-log",
        "--max-queue",
        "16M",
    ];
    let secure = start(serve(flooding.build()).args(&args));
    let mut client = secure.client();
    client.send("f");
    secure.server.stderr.wait("closed: write-timeout");
    assert_eq!(secure.server.limit_reached("write-timeout"), 1);
}

#[test]
fn swaps_rollbacks_and_sleep_lose_no_byte_of_many_connections() {
    const MANY: usize = 100;
    let secure = start(lines().args(&["--hibernate-after", "50ms"]));
    let config = secure.authority.client();
    let mut clients: Vec<_> = (0..MANY).map(|_| config.connect(&secure.server)).collect();
    let mut line = 0;
    for round in 0..10 {
        // Each has sent half a line when the code changes.
        for client in &mut clients {
            client.send("ha");
        }
        match round % 3 {
            0 => drop(secure.server.swap(differing(prebuilt("lines")), &[])),
            1 => assert_eq!(secure.server.ask(&["rollback"]).code, 0),
            _ => wait_for("all asleep", || {
                secure.server.connections("asleep") == MANY as u64
            }),
        }
        line += 1;
        for client in &mut clients {
            client.ask("lf\n", format!("{line}: half\n"));
        }
    }
    for mut client in clients {
        client.send("rest");
        client.end();
        client.expect_rest(format!("{}: rest", line + 1));
    }
    secure.server.settle();
}

#[test]
fn a_trap_may_be_survived() {
    let old = counting("A").data(
        r#"(if (i32.eq (i32.load8_u (local.get $at)) (i32.const 33)) (then unreachable))
           (call $say "x")"#,
    );
    let secure = start(serve(old.build()).args(&["--on-trap", "restart"]));
    let mut client = secure.client();
    client.ask("a", "x");
    client.send("!");
    secure.server.stderr.wait("restarted from the snapshot");
    client.ask("a", "x");
}

#[test]
fn a_shutdown_ends_with_close_notify() {
    let secure = start(serve(obeying(&[]).says_bye().build()));
    let mut client = secure.client();
    client.ask("x", "x");
    let server = secure.server;
    let stopped = thread::spawn(move || server.stop());
    let rest = client.rest().expect("close_notify");
    assert!(rest.starts_with(b"bye "), "{rest:?}");
    client.end();
    drop(client);
    stopped.join().expect("it stops");
}

#[test]
fn pieces_of_every_size_arrive_as_they_were_sent() {
    let authority = Authority::new("an authority");
    let server = secured(Serve::prebuilt("echo"), &authority).start();
    let config = authority.client();
    let mut client = config.connect(&server);
    for size in [
        1, 2, 100, 16_383, 16_384, 16_385, 32_768, 65_535, 65_536, 65_537, 100_000,
    ] {
        let bytes = pattern(size);
        client.ask(&bytes, &bytes);
    }
    // One byte in each record, and many records in each read.
    for byte in pattern(2_000) {
        client.tls.writer().write_all(&[byte]).expect("room");
    }
    client.send("");
    client.expect(pattern(2_000));
}

/// Give an order to `messenger.rs`, and wait until it is carried out.
fn order(client: &mut super::TlsClient, order: &str) {
    client.ask(format!("{order}\n"), "ok\n");
    client.ask("?\n", "what?\n");
}

#[test]
fn direct_messages_are_encrypted_for_each_and_wake_nobody() {
    let secure = start(serve(messenger()).args(&["--hibernate-after", "50ms"]));
    let config = secure.authority.client();
    let mut subscribers: Vec<_> = (0..3).map(|_| config.connect(&secure.server)).collect();
    let mut sender = config.connect(&secure.server);
    for subscriber in &mut subscribers {
        order(subscriber, "direct t");
    }
    let asleep = |count| {
        wait_for("all asleep", || {
            secure.server.connections("asleep") == count
        });
    };
    asleep(4);
    let woken = secure.server.connections("woken");
    for text in ["one", "two"] {
        order(&mut sender, &format!("publish t {text}"));
        for subscriber in &mut subscribers {
            subscriber.expect(text);
        }
    }
    asleep(4);
    // The sender alone, once or twice.
    assert!(secure.server.connections("woken") <= woken + 4);
    for subscriber in &mut subscribers {
        subscriber.ask("?\n", "what?\n");
    }
}

/// It has the last reply and close_notify, goes on sending, and never ends its side.
#[test]
fn a_peer_that_does_not_end_its_side_is_lingered_for_only_so_long() {
    let polite = guest().data(r#"(call $say "x")"#).says_bye();
    let args = ["--linger", "200ms", "--idle-timeout", "200ms"];
    let secure = start(serve(polite.build()).args(&args));
    let mut client = secure.client();
    client.ask("x", "x");
    let rest = client.rest().expect("close_notify");
    assert!(rest.starts_with(b"bye "), "{rest:?}");
    client.send(vec![b'x'; 10_000]);
    secure.server.stderr.wait("(--linger)");
    assert_eq!(secure.server.limit_reached("linger"), 1);
    secure.server.settle();
}
