//! Peers that vanish without a FIN or RST: keepalive and the write timeout notice.
//!
//! A socket filter that drops every packet that comes to the client's socket
//! makes it one that has vanished: it acknowledges nothing any more.

use socket2::{SockFilter, SockRef};

use crate::guests::guest;
use crate::harness::{Client, Server, TcpRow, serve, wait_for};

/// `ret #0`: keep nothing of a packet.
fn vanish(client: &Client) {
    SockRef::from(&client.stream)
        .attach_filter(&[SockFilter::new(0x06, 0, 0, 0)])
        .expect("a filter");
}

fn start(args: &[&str]) -> Server {
    let guest = guest().data(r#"(call $say "x")"#).prints_closed();
    serve(guest.build()).args(args).start()
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
    let server = start(&["--keepalive", "1s", "--write-timeout", "1s"]);
    let mut client = server.connect();
    client.ask("x", "x");
    vanish(&client);
    client.send("y");
    server.stdout.wait("closed 1");
    server.wait_open(0);
}

#[test]
fn one_probe_that_is_lost_ends_no_connection() {
    // More than a second between the probe that is lost and the last one.
    let server = start(&["--keepalive", "6s", "--write-timeout", "1s"]);
    let mut client = server.connect();
    client.ask("x", "x");
    let peer = client.stream.local_addr().expect("an address");
    let probes = || {
        let socket = TcpRow::find(server.addresses[0], peer);
        socket.map(|socket| socket.unanswered_probes())
    };
    vanish(&client);
    wait_for("a probe that is lost", || probes() == Some(1));
    SockRef::from(&client.stream)
        .detach_filter()
        .expect("a filter");
    wait_for("a probe that is answered", || probes() != Some(1));
    client.ask("x", "x");
}

#[test]
fn keepalive_is_on_by_default() {
    let server = start(&[]);
    let mut client = server.connect();
    client.ask("x", "x");
    let peer = client.stream.local_addr().expect("an address");
    let socket = TcpRow::find(server.addresses[0], peer).expect("the server's socket");
    let (timer, left) = socket.timer();
    // 2 is the keepalive timer, 1 a retransmission that is still under way.
    assert!(timer == "02" || timer == "01", "{timer}");
    assert!(left <= 6000, "{left} hundredths of a second");
}

/// After the peer's FIN nothing is read; its RST is noticed all the same.
#[test]
fn a_reset_is_noticed_while_the_guest_holds_the_connection_open() {
    let holding = guest()
        .data(r#"(call $say "x")"#)
        .body("end", r#"(call $hold-open) (call $say "go on")"#)
        .prints_closed();
    let server = serve(holding.build()).start();
    let mut client = server.connect();
    client.ask("x", "x");
    client.end();
    client.expect("go on");
    client.reset();
    server.settle();
    server.stdout.wait("closed 1");
}
