//! Many clients at once, each with an instance of its own.

use crate::harness::Serve;

#[test]
fn two_hundred_clients_slow_and_fast_get_their_own_answers() {
    let server = Serve::prebuilt("counter").start();
    let mut clients: Vec<_> = (0..200).map(|_| server.connect()).collect();
    // Each fourth says nothing until the end. Of the others half send all at
    // once, half byte by byte with everybody else in between.
    for round in 1..=5 {
        for (at, client) in clients.iter_mut().enumerate() {
            match at % 4 {
                0 => {}
                1 | 2 => client.send([b'x'; 100]),
                _ => client.send("y"),
            }
        }
        for (at, client) in clients.iter_mut().enumerate() {
            match at % 4 {
                0 => {}
                1 | 2 => client.expect(format!("{} bytes so far\n", round * 100)),
                _ => client.expect(format!("{round} bytes so far\n")),
            }
        }
    }
    assert_eq!(server.connections("open"), 200);
    for (at, client) in clients.iter_mut().enumerate() {
        if at % 4 == 0 {
            client.ask("now", "3 bytes so far\n");
        }
        client.end();
        client.expect_rest("");
    }
    server.settle();
    assert_eq!(server.connections("accepted"), 200);
    assert_eq!(server.connections("faults"), 0);
}

#[test]
fn a_silent_client_delays_nobody() {
    let server = Serve::prebuilt("echo").start();
    let mut silent = server.connect();
    for _ in 0..20 {
        let mut client = server.connect();
        client.ask("x", "x");
        client.end();
        client.expect_rest("");
    }
    silent.ask("at last", "at last");
}
