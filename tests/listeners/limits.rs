//! What one listener lets in: ranges of addresses, so many connections, so many a second.

use std::net::{IpAddr, SocketAddr};

use crate::guests::obeying;
use crate::harness::{Client, Scene, Serve, Server};

/// A connection from 127.0.0.x is reset.
fn refuses(address: SocketAddr, last: u8) {
    let local = [127, 0, 0, last].into();
    Client::expect_refusal(Client::try_connect_from(local, address));
}

fn from(server: &Server, last: u8) -> Client {
    let local: IpAddr = [127, 0, 0, last].into();
    Client::connect_from(local, server.addresses[0])
}

#[test]
fn denied_addresses_are_reset_and_others_are_not() {
    let args = [
        "--deny",
        "127.0.0.0/24",
        "--allow",
        "127.0.0.1,127.0.0.4/30",
        "--deny",
        "127.0.0.6",
    ];
    let mut scene = Scene::start(&obeying(&[]), &args);
    for last in [1, 4, 5, 7] {
        from(&scene.server, last).ask("x", "x");
    }
    for last in [2, 3, 6, 200] {
        refuses(scene.server.addresses[0], last);
    }
    scene.reached("deny", 4, "refused: its address is denied (--deny)");
    scene.total("refused", 4);
}

#[test]
fn with_allowed_addresses_no_others_may_connect() {
    let args = ["--allow", "127.0.0.1,10.0.0.0/8"];
    let mut scene = Scene::start(&obeying(&[]), &args);
    for _ in 0..3 {
        refuses(scene.server.addresses[0], 2);
    }
    scene.reached("allow", 3, "127.0.0.2:");
    scene.total("refused", 3);
    scene.undisturbed();
}

#[test]
fn addresses_of_an_ipv6_socket_are_those_of_ipv4() {
    let server = Serve::prebuilt("echo")
        .listen(&["*:0"])
        .args(&["--deny", "127.0.0.2"])
        .spawn();
    let log = server.stderr.wait("listening on *:");
    let (_, port) = log.split_once("listening on *:").expect("the line");
    let address = ([127, 0, 0, 1], port.trim().parse().expect("a port")).into();
    server.stderr.wait("ready in ");
    Client::connect(address).ask("x", "x");
    refuses(address, 2);
}

#[test]
fn each_listener_has_room_of_its_own() {
    let args = ["--max-per-listener", "2", "--when-full", "refuse"];
    let server = Serve::prebuilt("echo")
        .listen(&["127.0.0.1:0", "127.0.0.1:0"])
        .args(&args)
        .start();
    let connect = |listener: usize| {
        let mut client = Client::connect(server.addresses[listener]);
        client.ask("x", "x");
        client
    };
    let (one, _two) = (connect(0), connect(0));
    for _ in 0..5 {
        refuses(server.addresses[0], 1);
    }
    server
        .stderr
        .wait("2 connections of a listener are open (--max-per-listener)");
    assert_eq!(server.limit_reached("max-per-listener"), 5);
    let _others = (connect(1), connect(1));
    drop(one);
    server.wait_open(3);
    connect(0);
}

#[test]
fn beyond_a_listeners_room_connections_wait() {
    let server = Serve::prebuilt("echo")
        .args(&["--max-per-listener", "2"])
        .start();
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.send("mine"));
    server
        .stderr
        .wait("more wait until some have closed (--when-full)");
    assert_eq!(server.status()["connections"]["open"], 2);
    for mut client in clients {
        client.expect("mine");
        client.end();
        client.expect_rest("");
    }
}

#[test]
fn connections_beyond_the_rate_wait_and_none_is_lost() {
    let server = Serve::prebuilt("echo")
        .args(&["--max-accept-rate", "100"])
        .start();
    let mut clients: Vec<_> = (0..60).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.send("mine"));
    for client in &mut clients {
        client.expect("mine");
    }
    let line = server.stderr.wait("(--max-accept-rate)");
    assert!(
        line.contains("more than 100 connections a second"),
        "{line}"
    );
    let waited = server.limit_reached("max-accept-rate");
    // However slow the machine, some of them came at once.
    assert!((1..=50).contains(&waited), "{waited}");
    assert_eq!(server.status()["connections"]["refused"], 0);
}

#[test]
fn a_server_that_waits_for_the_rate_stops_at_once() {
    let server = Serve::prebuilt("echo")
        .args(&["--max-accept-rate", "1"])
        .start();
    let _clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
    server.stderr.wait("(--max-accept-rate)");
    server.stop();
}

/// A peer that connects again and again, and is refused, takes no turn of others.
#[test]
fn who_is_refused_uses_up_no_rate() {
    let args = ["--max-accept-rate", "10", "--max-per-peer", "1"];
    let server = Serve::prebuilt("echo").args(&args).start();
    let mut greedy = from(&server, 2);
    greedy.ask("x", "x");
    for _ in 0..30 {
        refuses(server.addresses[0], 2);
    }
    from(&server, 3).ask("x", "x");
    assert_eq!(server.limit_reached("max-per-peer"), 30);
    // Only the second that was let in may have waited for its turn.
    let waited = server.limit_reached("max-accept-rate");
    assert!(waited <= 1, "{waited}");
}
