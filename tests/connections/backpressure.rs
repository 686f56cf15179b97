//! Back-pressure: much data arrives intact, in both directions at once, and never
//! more of it lies in the server's memory than its limits say.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::guests::guest;
use crate::harness::{Serve, serve, stalled};

fn pattern(count: usize) -> Vec<u8> {
    (0..count as u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

#[test]
fn ten_megabytes_go_both_ways_at_once() {
    let server = Serve::prebuilt("echo").start();
    let mut client = server.connect();
    let bytes = pattern(10 << 20);
    let sender = client.send_meanwhile_and_end(bytes.clone());
    client.expect_rest(bytes);
    sender.join().expect("no panic").expect("all is taken");
}

#[test]
fn nothing_is_read_from_a_client_that_reads_no_answers() {
    const ALL: usize = 64 << 20;
    let server = Serve::prebuilt("echo").start();
    let mut client = server.connect();
    client.ask("x", "x");
    let before = server.resident();
    let bytes = pattern(1 << 20);
    let mut writer = client.stream.try_clone().expect("a second handle");
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let sender = thread::spawn(move || {
        for piece in bytes.chunks(16 << 10).cycle().take(ALL / (16 << 10)) {
            writer.write_all(piece).expect("taken");
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
        writer.shutdown(std::net::Shutdown::Write).expect("FIN");
    });
    // What the kernel holds for the two sockets, and little more.
    let taken = stalled(|| sent.load(Ordering::Relaxed));
    assert!(taken < ALL, "the server took all {taken} bytes");
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 4 << 20, "the server grew by {grown} bytes");
    // Nobody else waits for that client.
    server.connect().ask("neighbour", "neighbour");
    // It reads on, and nothing is lost.
    let expected = pattern(1 << 20);
    for round in 0..ALL >> 20 {
        assert!(
            client.read(1 << 20) == expected,
            "other bytes in megabyte {round}"
        );
    }
    client.expect_rest("");
    sender.join().expect("sent");
}

#[test]
fn a_guest_that_was_told_to_wait_gets_drained() {
    // 32 blocks of 64 KiB: it stops when told to, and goes on in `drained`.
    let pump = "(loop $more
        (if (i32.lt_u (global.get $state) (i32.const 32)) (then
          (global.set $state (i32.add (global.get $state) (i32.const 1)))
          (br_if $more (i32.eqz (call $send (i32.const 0) (i32.const 65536)))))
        (else (call $end))))";
    let server = serve(guest().data(pump).body("drained", pump).build()).start();
    let mut client = server.connect();
    client.send("x");
    assert_eq!(client.rest().expect("FIN").len(), 32 * 65_536);
}

#[test]
fn a_write_beyond_the_queue_is_refused() {
    // Writes until something else than "go on" or "wait" comes, then says how many.
    let flood = guest().data(
        r#"(local $answer i32)
           (loop $more
             (local.set $answer (call $send (i32.const 0) (i32.const 65536)))
             (global.set $state (i32.add (global.get $state) (i32.const 1)))
             (br_if $more (i32.lt_u (local.get $answer) (i32.const 2))))
           (call $print-digit "answer " (local.get $answer))
           (call $print-digit "writes " (global.get $state))"#,
    );
    let server = serve(flood.build()).args(&["--max-queue", "512K"]).start();
    let mut client = server.connect();
    client.send("x");
    server.stdout.wait("answer 3");
    server.stdout.wait("writes 9");
    assert_eq!(client.read(8 * 65_536).len(), 8 * 65_536);
}

#[test]
fn a_client_that_reads_slowly_gets_everything() {
    let server = Serve::prebuilt("echo").start();
    let mut client = server.connect();
    let bytes = pattern(300_000);
    client.send(&bytes);
    client.end();
    let mut got = Vec::new();
    for size in [1, 2, 3, 500, 1].into_iter().cycle().take(500) {
        got.extend(client.read(size));
    }
    got.extend(client.rest().expect("FIN"));
    assert!(got == bytes);
}
