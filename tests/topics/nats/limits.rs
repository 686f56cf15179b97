//! What waits for NATS is bounded, and so is what it takes.

use rustix::process::Signal;

use super::{Orders, connect, node, nodes};
use crate::harness::{NatsServer, temp_dir};

/// NATS takes nothing, and the publisher doesn't notice.
#[test]
fn messages_beyond_the_outbox_are_dropped_and_counted() {
    let Some(mut nats) = NatsServer::start(&[]) else {
        return;
    };
    nats.kill();
    let server = node(&nats, &["--max-fan-out", "1G"]).start();
    let [mut a, mut b] = connect(&server);
    b.order("event last");
    for _ in 0..20 {
        a.order("many t 16 64000");
    }
    a.order("publish last near");
    b.expect_line("1 last 1 near");
    let dropped = server.nats_count("dropped");
    // Some are in the client.
    assert!((20..320).contains(&dropped), "{dropped}");
    server.stderr.wait("more than 8 MiB wait for NATS");
    nats.restart();
    server.wait_nats_count("published", 320 - dropped);
}

/// A server that takes nothing is as good as none.
#[test]
fn a_nats_server_that_hangs_delays_no_publisher() {
    let Some(nats) = NatsServer::start(&[]) else {
        return;
    };
    let [server] = nodes(&nats, &["--max-fan-out", "1G"]);
    let [mut a, mut b] = connect(&server);
    b.order("event last");
    nats.wait_subscribed("hotsocket.last", 1);
    nats.freeze();
    while server.nats_count("dropped") == 0 {
        a.order("many t 16 64000");
    }
    a.order("publish last near");
    b.expect_line("1 last 1 near");
    nats.signal(Signal::CONT);
    let mut foreign = nats.connect();
    foreign.publish("hotsocket.last", "far");
    b.expect_line("2 last 0 far");
}

#[test]
fn a_message_too_large_for_nats_is_counted() {
    let dir = temp_dir();
    let config = dir.path().join("nats.conf");
    std::fs::write(&config, "max_payload: 1000\n").expect("written");
    let Some(nats) = NatsServer::start(&["-c", &config.display().to_string()]) else {
        return;
    };
    let [one, two] = nodes(&nats, &[]);
    let [mut a, mut near] = connect(&one);
    let [mut b] = connect(&two);
    for client in [&mut near, &mut b] {
        client.order("direct t");
    }
    nats.wait_subscribed("hotsocket.t", 2);
    a.order("many t 1 1001");
    a.order("many t 1 1000");
    near.read(2001);
    b.read(1000);
    assert_eq!(one.nats_count("too_large"), 1);
    one.stderr.wait("NATS takes 1000 bytes at most");
    b.ask("?\n", "what?\n");
}

/// It counts as one receiver, or publishing to nobody here would be free.
#[test]
fn publishing_to_nats_is_bounded() {
    let Some(nats) = NatsServer::start(&[]) else {
        return;
    };
    let [server] = nodes(&nats, &["--max-fan-out", "100K"]);
    let [mut a] = connect(&server);
    a.order("many t 3 60000");
    server.stderr.wait("it publishes more than it may");
    assert_eq!(server.limit_reached("max-fan-out"), 1);
}
