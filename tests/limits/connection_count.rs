//! How many connections there may be, of all peers and of one.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

use crate::guests::obeying;
use crate::harness::Scene;
use crate::harness::{Client, Server};

/// Connect from one of this machine's other addresses.
fn connect_from(server: &Server, last: u8) -> Client {
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket
        .bind(&from.into())
        .expect("an address of this machine");
    socket
        .connect(&server.addresses[0].into())
        .expect("the server accepts");
    let stream: std::net::TcpStream = socket.into();
    stream
        .set_read_timeout(Some(crate::harness::PATIENCE))
        .expect("a timeout");
    Client { stream }
}

#[test]
fn more_connections_wait_and_none_is_lost() {
    let mut scene = Scene::start(&obeying(&[]), &["--max-connections", "20"]);
    // Each asks at once, and hears when its turn has come.
    let mut clients: Vec<_> = (0..200).map(|_| scene.server.connect()).collect();
    clients.iter_mut().for_each(|client| client.send("mine"));
    scene.server.stderr.wait("--max-connections");
    assert_eq!(scene.server.status()["connections"]["open"], 20);
    for mut client in clients {
        client.expect("mine");
        client.end();
        client.expect_rest("");
    }
    scene.undisturbed();
    assert_eq!(scene.server.stderr.count("--max-connections"), 1);
    assert!(crate::harness::reached(&scene.server, "max-connections") > 0);
    let status = scene.server.status();
    assert_eq!(status["connections"]["accepted"], 201);
    assert_eq!(status["connections"]["refused"], 0);
}

#[test]
fn more_connections_are_refused_if_that_is_wanted() {
    let args = ["--max-connections", "3", "--when-full", "refuse"];
    let mut scene = Scene::start(&obeying(&[]), &args);
    let (one, _two) = (scene.client(), scene.client());
    for _ in 0..50 {
        scene.server.connect().expect_reset();
    }
    scene.reached("max-connections", 50, "--max-connections");
    assert_eq!(scene.server.status()["connections"]["refused"], 50);
    drop(one);
    scene.server.wait_open(2);
    scene.client();
}

#[test]
fn one_peer_may_have_so_many() {
    let mut scene = Scene::start(&obeying(&[]), &["--max-per-peer", "3"]);
    let (one, _two) = (scene.client(), scene.client());
    for _ in 0..20 {
        scene.server.connect().expect_reset();
    }
    // Another one is not concerned.
    connect_from(&scene.server, 2).ask("x", "x");
    scene.reached("max-per-peer", 20, "--max-per-peer");
    drop(one);
    scene.server.wait_open(2);
    scene.client();
}
