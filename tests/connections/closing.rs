//! Closing: FIN, RST, half-close and timeouts, from either side. No reply is lost.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::guests::{FLOOD, blocks, guest};
use crate::harness::{Client, PATIENCE, Process, Reader, Serve, count_lines, lacks_program, serve};

#[test]
fn a_client_that_ends_its_side_gets_its_reply() {
    for name in ["hello", "echo", "lines"] {
        let server = Serve::prebuilt(name).start();
        let mut client = server.connect();
        client.send("x");
        client.end();
        client.expect_rest(match name {
            "hello" => "Hello World from the server!",
            "echo" => "x",
            _ => "1: x",
        });
    }
}

#[test]
fn nc_gets_its_reply() {
    if lacks_program("nc") {
        return;
    }
    let server = Serve::nothing().start();
    let mut nc = Command::new("nc");
    nc.args(["-N", "127.0.0.1", &server.port().to_string()])
        .stdin(Stdio::piped());
    let mut nc = Process::start_with("nc", &mut nc, Reader::Test, PATIENCE);
    let mut stdin = nc.child.stdin.take().expect("piped");
    stdin.write_all(b"Hello").expect("written");
    drop(stdin);
    assert_eq!(nc.end().success(), "Hello World from the server!");
    server.stdout.wait("Client disconnected");
}

#[test]
fn a_guest_may_go_on_after_the_peers_end() {
    let held = guest()
        .prints_closed()
        .body("open", "(call $hold-open) (call $ok)")
        .body("end", "(call $set-timer (i32.const 1) (i64.const 20))")
        .body("timer", r#"(call $say "late") (call $end)"#);
    let server = serve(held.build()).start();
    let mut client = server.connect();
    client.end();
    client.expect_rest("late");
    server.stdout.wait("closed 0");
}

/// Send for as long as the server takes it, then read what has come.
fn chatter(mut client: Client, reply: &[u8]) {
    // It may be refused half-way.
    let _ = client
        .send_meanwhile_and_end(vec![b'x'; 64 * 65_536])
        .join()
        .expect("no panic");
    client.expect_rest(reply);
}

#[test]
fn a_client_that_goes_on_sending_still_reads_the_reply() {
    let reply = [b'r'; 200_000];
    let ends = guest().prints_closed().data(
        "(if (i32.eqz (global.get $state)) (then
           (memory.fill (i32.const 150000) (i32.const 114) (i32.const 50000))
           (call $say (i32.const 150000) (i32.const 50000))
           (call $say (i32.const 150000) (i32.const 50000))
           (call $say (i32.const 150000) (i32.const 50000))
           (call $say (i32.const 150000) (i32.const 50000))
           (call $end)
           (global.set $state (i32.const 1))))",
    );
    let server = serve(ends.build()).start();
    chatter(server.connect(), &reply);
    server.stdout.wait("closed 0");
}

#[test]
fn a_trap_does_not_destroy_the_reply_before_it() {
    // Whatever comes in one event is one; the rest of what the client sends
    // meets a guest that is dead.
    let dies = guest().data(
        r#"(if (global.get $state) (then (call $trap)))
           (call $say "first")
           (global.set $state (i32.const 1))"#,
    );
    let server = serve(dies.build()).start();
    chatter(server.connect(), b"first");
    server.stderr.wait("guest trapped in `data`");
}

#[test]
fn the_fin_follows_all_that_was_written() {
    let much = guest().data(&format!("{} (call $end)", blocks(100)));
    let server = serve(much.build()).start();
    let mut client = server.connect();
    client.send("x");
    assert_eq!(client.rest().expect("FIN").len(), 100 * 65_536);
}

#[test]
fn a_reset_is_told_to_the_guest_and_costs_nobody_else() {
    let server = serve(guest().prints_closed().data(r#"(call $say "x")"#).build()).start();
    let mut other = server.connect();
    other.ask("x", "x");
    for round in 1..=5 {
        let mut client = server.connect();
        client.ask("x", "x");
        client.reset();
        server.stdout.wait_count("closed 1", round);
    }
    other.ask("x", "x");
    server.wait_open(1);
    // At once, before the server can have said anything.
    for _ in 0..20 {
        server.connect().reset();
    }
    server.connect().ask("x", "x");
}

#[test]
fn a_guest_may_reset() {
    let server = serve(
        guest()
            .prints_closed()
            .data(r#"(call $say "never sent") (call $abort)"#)
            .build(),
    )
    .start();
    let mut client = server.connect();
    client.send("x");
    client.expect_reset();
    server.stdout.wait("closed 2");
}

#[test]
fn a_refused_client_is_closed_and_the_reason_logged() {
    let server = serve(
        guest()
            .body("open", r#"(call $refuse "house full")"#)
            .build(),
    )
    .start();
    server.connect().expect_over();
    let line = server.stderr.wait("house full");
    assert!(line.contains("connection 1 from 127.0.0.1:"), "{line}");
    server.settle();
    assert_eq!(server.connections("refused"), 1);
    assert_eq!(count_lines(&server.stop().stderr, "house full"), 1);
}

#[test]
fn a_write_timeout_is_told_to_the_guest_and_logged() {
    let flood = guest().prints_closed().data(FLOOD);
    let server = serve(flood.build())
        .args(&["--write-timeout", "300ms", "--max-queue", "16M"])
        .start();
    let mut client = server.connect();
    client.send("x");
    server.stdout.wait("closed 4");
    assert!(
        server
            .stderr
            .wait("peer read nothing for 300ms")
            .contains("unsent bytes dropped")
    );
    server.connect();
}
