//! Other clients of NATS take part with plain bytes, and what they send that is no
//! message is dropped.

use super::{Orders, connect, nodes};
use crate::harness::NatsServer;

#[test]
fn a_foreign_client_sees_and_sends_plain_bytes() {
    let Some(nats) = NatsServer::start(&[]) else {
        return;
    };
    let [server] = nodes(&nats, &[]);
    let [mut a, mut b] = connect(&server);
    a.order("event rooms.*");
    b.order("direct rooms.>");
    nats.wait_subscribed("hotsocket.rooms.*", 1);
    nats.wait_subscribed("hotsocket.rooms.>", 1);
    let mut foreign = nats.connect();
    foreign.subscribe("hotsocket.>");
    a.order("publish rooms.lobby hello there");
    b.expect("hello there");
    let seen = foreign.next();
    assert_eq!(
        seen,
        ("hotsocket.rooms.lobby".to_owned(), b"hello there".to_vec())
    );
    let mut other = nats.connect();
    other.publish("hotsocket.rooms.lobby", "from far away");
    a.expect_line("1 rooms.lobby 0 from far away");
    b.expect("from far away");
}

#[test]
fn what_is_no_message_is_dropped_and_counted() {
    let Some(nats) = NatsServer::start(&[]) else {
        return;
    };
    let [server] = nodes(&nats, &[]);
    let [mut a] = connect(&server);
    a.order("event >");
    nats.wait_subscribed("hotsocket.>", 1);
    let mut foreign = nats.connect();
    let long = format!("hotsocket.{}", "x".repeat(257));
    foreign.publish("hotsocket.t", vec![b'x'; 65_537]);
    foreign.publish("hotsocket.a\u{7}b", "control character");
    foreign.publish(&long, "long");
    foreign.publish("hotsocket.t", vec![b'x'; 65_536]);
    a.expect("1 t 0 xxx");
    a.read(65_536 - 3 + 1);
    foreign.publish("hotsocket.t", "last");
    a.expect_line("2 t 0 last");
    assert_eq!(server.nats_count("invalid"), 3);
    server
        .stderr
        .wait("a message from NATS was dropped: 65537 bytes under hotsocket.t");
}

/// Sessions go on while more comes than anybody takes; what is lost is counted.
#[test]
fn a_flood_delays_no_session() {
    let Some(nats) = NatsServer::start(&[]) else {
        return;
    };
    let [server] = nodes(&nats, &["--max-mailbox", "128K"]);
    let [mut a, mut b] = connect(&server);
    a.order("event-drop flood");
    nats.wait_subscribed("hotsocket.flood", 1);
    let mut foreign = nats.connect();
    let flood = std::thread::spawn(move || {
        for _ in 0..100_000 {
            foreign.publish("hotsocket.flood", [b'x'; 100]);
        }
        foreign.settle();
    });
    for _ in 0..100 {
        b.ask("?\n", "what?\n");
    }
    flood.join().expect("sent");
    // All that came was delivered, dropped in the mailbox, or lost before.
    let received = |server: &crate::harness::Server| {
        let topics = server.ask_topics();
        let nats = &topics["nats"];
        let received = nats["received"].as_u64().expect("a number");
        (received, nats["slow_consumer"].as_u64().expect("a number"))
    };
    crate::harness::stalled(|| usize::try_from(received(&server).0).expect("a size"));
    let (received, slow) = received(&server);
    assert!(
        received > 0 && (received == 100_000 || slow > 0),
        "{received}, {slow} lost"
    );
    b.ask("?\n", "what?\n");
}
