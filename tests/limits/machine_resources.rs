//! What the machine has no more of: descriptors, address space, pool slots.
//! The new connection is refused, that is told once, the open ones go on.

use crate::guests::{obeying, with_spare_memories};
use crate::harness::{Client, Server, serve, wait_for};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

/// A server under a limit of the shell's.
fn confined(limit: &str, args: &[&str]) -> Server {
    serve(obeying(&[]).build()).args(args).ulimit(limit).start()
}

#[test]
fn the_limit_of_connections_is_lowered_to_the_files_there_may_be() {
    let server = confined("-n 100", &["--max-connections", "1000"]);
    let line = server.stderr.wait("room for 36 connections only");
    assert!(line.contains("ulimit -n 1064"), "{line}");
    assert_eq!(server.status()["connections"]["limit"], 36);
    // All of them fit, and the next one waits.
    let mut clients: Vec<_> = (0..37).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.send("x"));
    clients[..36]
        .iter_mut()
        .for_each(|client| client.expect("x"));
    drop(clients.remove(0));
    clients[35].expect("x");
    assert_eq!(server.stderr.count("cannot accept"), 0);
}

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let server = confined("-S -n 100", &["--max-connections", "200"]);
    assert_eq!(server.stderr.count("connections only"), 0);
    assert_eq!(server.status()["connections"]["limit"], 200);
}

#[test]
fn without_descriptors_accepting_pauses_and_recovers() {
    let server = confined("-n 70", &["--max-connections", "6"]);
    let mut open = server.connect();
    open.ask("x", "x");
    // The control socket's clients take what is left.
    let hang = || UnixStream::connect(server.control_socket()).expect("its socket");
    let hanging: Vec<_> = (0..60).map(|_| hang()).collect();
    wait_for("the last descriptor", || server.open_files() >= 70);
    let mut new: Vec<_> = (0..5).map(|_| server.connect()).collect();
    new.iter_mut().for_each(|client| client.send("new"));
    server.stderr.wait("cannot accept connections: ");
    open.ask("y", "y");
    drop(hanging);
    new.iter_mut().for_each(|client| client.expect("new"));
    server.stderr.wait("accepting connections again");
    open.ask("z", "z");
    assert!(server.limit_reached("descriptors") > 0);
    // Once, not every 50 ms, and again only if it has recovered in between.
    let told = server.stderr.count("cannot accept connections");
    assert_eq!(told, server.stderr.count("accepting connections again"));
    assert!(told <= 3, "{told} times");
}

/// Connect until some have been refused; the open ones, all of which still
/// answer.
fn crowd(address: SocketAddr, at_most: usize) -> (Vec<Client>, usize) {
    let (mut open, mut refused) = (Vec::new(), 0);
    while refused < 10 {
        let mut client = Client::connect(address);
        // It may have been refused before it could say anything.
        let _ = std::io::Write::write(&mut client.stream, b"x");
        let mut byte = [0];
        match std::io::Read::read(&mut client.stream, &mut byte) {
            Ok(1) => open.push(client),
            _ => refused += 1,
        }
        assert!(open.len() < at_most, "there is room for {}", open.len());
    }
    open.iter_mut().for_each(|client| client.ask("y", "y"));
    (open, refused)
}

#[test]
fn without_address_space_new_connections_are_refused() {
    let server = confined("-v 1200000", &[]);
    server.stderr.wait("ulimit -v");
    let (mut open, refused) = crowd(server.addresses[0], 5000);
    assert!(open.len() > 20, "only {} fit", open.len());
    let line = server.stderr.wait(" refused: ");
    assert!(line.contains("no room for another instance"), "{line}");
    assert_eq!(server.stderr.count(" refused: "), 1);
    assert_eq!(server.limit_reached("room"), refused as u64);
    open.truncate(5);
    server.wait_open(5);
    server.connect().ask("x", "x");
    open.iter_mut().for_each(|client| client.ask("y", "y"));
}

/// Each instance takes sixteen of the pool's memories, of which there are a few
/// more than connections.
#[test]
fn without_pool_slots_new_connections_are_refused() {
    let many = with_spare_memories(obeying(&[]), "(memory 1)");
    let server = serve(many.build())
        .args(&["--max-connections", "200"])
        .start();
    let (mut open, refused) = crowd(server.addresses[0], 100);
    assert!(open.len() > 10, "only {} fit", open.len());
    let line = server.stderr.wait(" refused: ");
    assert!(line.contains("no room for another instance"), "{line}");
    assert_eq!(server.stderr.count(" refused: "), 1);
    assert_eq!(server.limit_reached("room"), refused as u64);
    open.truncate(5);
    server.wait_open(5);
    server.connect().ask("x", "x");
    open.iter_mut().for_each(|client| client.ask("y", "y"));
}
