//! What the machine runs out of: descriptors, address space, pool slots.
//! The new connection is refused, that is logged once, the open ones continue.

use std::io::{Read, Write};
use std::ops::RangeInclusive;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use crate::guests::{obeying, with_spare_memories};
use crate::harness::{Client, Serve, Server, assert_logged_once, count_lines, serve, wait_for};

/// A server under a limit of the shell's.
fn confined(limit: &str, args: &[&str]) -> Server {
    serve(obeying(&[]).build()).args(args).ulimit(limit).start()
}

#[test]
fn the_limit_of_connections_is_lowered_to_the_files_there_may_be() {
    let server = confined("-n 100", &["--max-connections", "1000"]);
    let line = server.stderr.wait("lowered from 1000 to 36");
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
    assert_eq!(count_lines(&server.stop().stderr, "cannot accept"), 0);
}

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let server = confined("-S -n 100", &["--max-connections", "200"]);
    assert_eq!(server.status()["connections"]["limit"], 200);
    assert_eq!(count_lines(&server.stop().stderr, "lowered from"), 0);
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
    let log = server.stop().stderr;
    let times = count_lines(&log, "cannot accept connections");
    assert_eq!(times, count_lines(&log, "accepting connections again"));
    assert!(times <= 3, "{times} times");
}

/// Connect, and ask for an answer; `None` if the server refuses.
pub fn admitted(server: &Server) -> Option<Client> {
    let mut client = server.connect();
    // It may have been refused before it could say anything.
    let _ = client.stream.write(b"x");
    let read = client.stream.read(&mut [0]);
    matches!(read, Ok(1)).then_some(client)
}

/// Connect until ten have been refused. That is logged once, all that are open
/// still answer, and when some of them have gone there is room again.
fn refuses_some(server: Server, fit: RangeInclusive<usize>) {
    let began = Instant::now();
    let (mut open, mut refused) = (Vec::new(), 0);
    while refused < 10 {
        match admitted(&server) {
            Some(client) => open.push(client),
            None => refused += 1,
        }
        assert!(open.len() <= *fit.end(), "there is room for {}", open.len());
    }
    assert!(open.len() >= *fit.start(), "only {} fit", open.len());
    open.iter_mut().for_each(|client| client.ask("y", "y"));
    let line = server.stderr.wait(" refused: ");
    assert!(line.contains("no room for another instance"), "{line}");
    open.truncate(5);
    server.wait_open(5);
    server.connect().ask("x", "x");
    open.iter_mut().for_each(|client| client.ask("y", "y"));
    drop(open);
    server.settle();
    assert_eq!(server.limit_reached("room"), refused);
    assert_logged_once(&server.stop().stderr, " refused: ", began);
}

#[test]
fn without_address_space_new_connections_are_refused() {
    let server = confined("-v 1200000", &[]);
    server.stderr.wait("ulimit -v");
    refuses_some(server, 21..=4999);
}

/// Each instance takes sixteen of the pool's memories, of which there are a few
/// more than connections.
#[test]
fn without_pool_slots_new_connections_are_refused() {
    let many = with_spare_memories(obeying(&[]), "(memory 1)");
    let server = serve(many.build())
        .args(&["--max-connections", "200"])
        .start();
    let line = server.stderr.wait("there is room for ");
    assert!(line.contains("room for 32 connections"), "{line}");
    refuses_some(server, 32..=32);
}

/// What a guest needs of the pool is known before anything changes.
#[test]
fn a_guest_for_which_there_is_no_room_is_not_swapped_in() {
    let many = with_spare_memories(obeying(&[]), "(memory 1)");
    let server = Serve::prebuilt("echo")
        .args(&["--max-connections", "200"])
        .start();
    let mut clients: Vec<_> = (0..33).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ask("x", "x"));
    let refused = server.try_swap(many.build(), &[]).failure(1);
    let why = "there is room for 32 connections, and 33 are open";
    assert!(refused.contains(why), "{refused}");
    clients.iter_mut().for_each(|client| client.ask("y", "y"));

    drop(clients.pop());
    server.wait_open(32);
    let report = server.swap(&many, &[]);
    assert_eq!(report["migrated"], 32, "{report}");
    assert_eq!(report["remaining"], 0, "{report}");
    assert_eq!(report["room"], 32, "{report}");
    clients.iter_mut().for_each(|client| client.ask("z", "z"));
    assert!(admitted(&server).is_none());
    // Trials and successors find room all the same.
    let report = server.swap(&many_more(), &[]);
    assert_eq!(report["migrated"], 32, "{report}");
}

fn many_more() -> crate::guests::Guest {
    with_spare_memories(obeying(&[]).says_bye(), "(memory 1)")
}
