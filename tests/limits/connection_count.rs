//! The number of connections: of all peers, and of one.

use std::net::Ipv4Addr;

use crate::guests::obeying;
use crate::harness::{Client, Scene, Serve};

#[test]
fn beyond_the_limit_connections_wait_and_none_is_lost() {
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
    scene.once("--max-connections");
    assert!(scene.server.limit_reached("max-connections") > 0);
    scene.total("accepted", 201);
    scene.total("refused", 0);
}

#[test]
fn beyond_the_limit_connections_are_refused_with_when_full_refuse() {
    let args = ["--max-connections", "3", "--when-full", "refuse"];
    let mut scene = Scene::start(&obeying(&[]), &args);
    let (one, _two) = (scene.client(), scene.client());
    for _ in 0..50 {
        Client::expect_refusal(Client::try_connect(scene.server.addresses[0]));
    }
    scene.reached("max-connections", 50, "--max-connections");
    scene.total("refused", 50);
    drop(one);
    scene.server.wait_open(2);
    scene.client();
}

#[test]
fn connections_of_one_peer_are_limited() {
    let mut scene = Scene::start(&obeying(&[]), &["--max-per-peer", "3"]);
    let (one, _two) = (scene.client(), scene.client());
    for _ in 0..20 {
        Client::expect_refusal(Client::try_connect(scene.server.addresses[0]));
    }
    // Another one is not concerned.
    let other = Ipv4Addr::new(127, 0, 0, 2).into();
    Client::connect_from(other, scene.server.addresses[0]).ask("x", "x");
    scene.reached("max-per-peer", 20, "--max-per-peer");
    drop(one);
    scene.server.wait_open(2);
    scene.client();
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
