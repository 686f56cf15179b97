//! Peers that vanish: no FIN, no RST, nothing.
//!
//! A socket filter that drops every packet that comes to the client's socket
//! makes it one that has vanished: it acknowledges nothing any more.

use std::fs;

use socket2::{SockFilter, SockRef};

use crate::guests::guest;
use crate::harness::{Client, Server, serve};

/// `ret #0`: keep nothing of a packet.
fn vanish(client: &Client) {
    SockRef::from(&client.stream)
        .attach_filter(&[SockFilter::new(0x06, 0, 0, 0)])
        .expect("a filter");
}

fn start(args: &[&str]) -> Server {
    let reporter = guest().data(r#"(call $say "x")"#).body(
        "close",
        r#"(call $print-digit "closed " (local.get $reason))"#,
    );
    serve(reporter.build()).args(args).start()
}

#[test]
fn a_peer_that_vanishes_in_silence_is_noticed() {
    let server = start(&["--keepalive", "1s", "--write-timeout", "1s"]);
    let mut client = server.connect();
    client.ask("x", "x");
    vanish(&client);
    server.stdout.wait("closed 1");
    server.wait_open(0);
}

#[test]
fn a_peer_that_vanishes_with_a_reply_on_its_way_is_noticed() {
    // Long before keepalive would ask.
    let server = start(&["--keepalive", "1h", "--write-timeout", "1s"]);
    let mut client = server.connect();
    client.ask("x", "x");
    vanish(&client);
    client.send("y");
    server.stdout.wait("closed 1");
    server.wait_open(0);
}

/// The kernel lists the keepalive timer of each socket, with the time left in
/// hundredths of a second.
#[test]
fn keepalive_is_on_by_default() {
    let server = start(&[]);
    let mut client = server.connect();
    client.ask("x", "x");
    let ours = format!(":{:04X}", server.port());
    let theirs = format!(
        ":{:04X}",
        client.stream.local_addr().expect("an address").port()
    );
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
    let socket = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|columns| columns[1].ends_with(&ours) && columns[2].ends_with(&theirs))
        .expect("the server's socket");
    let (timer, left) = socket[5].split_once(':').expect("a timer");
    let left = u64::from_str_radix(left, 16).expect("a time");
    // 01 would be a retransmission still under way.
    assert!(timer == "02" || timer == "01", "{socket:?}");
    assert!(left <= 6000, "{socket:?}");
}
