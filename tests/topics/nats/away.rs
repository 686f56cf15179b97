//! NATS is not there yet, goes away and comes back.

use super::{Orders, connect, node, nodes, served};
use crate::harness::{NatsServer, count_lines};

#[test]
fn a_server_starts_and_serves_without_nats() {
    let Some(mut nats) = NatsServer::start(&[]) else {
        return;
    };
    nats.kill();
    let server = node(&nats, &[]).start();
    server.stderr.wait("cannot be reached (Connection refused)");
    let [mut a, mut b] = connect(&server);
    a.order("event t");
    b.order("publish t near");
    a.expect_line("1 t 2 near");
    let shown = server.ask(&["status"]).success();
    assert!(
        shown.contains("away: Connection refused; connections of this node meet"),
        "{shown}"
    );
    assert_eq!(server.nats()["state"], "connecting");
    nats.restart();
    server.wait_nats("connected");
    nats.wait_subscribed("hotsocket.t", 1);
    let mut foreign = nats.connect();
    foreign.publish("hotsocket.t", "far");
    a.expect_line("2 t 0 far");
    let log = server.stop().stderr;
    assert_eq!(count_lines(&log, "cannot be reached"), 1, "{log}");
    assert_eq!(count_lines(&log, "is connected"), 1, "{log}");
}

#[test]
fn nodes_meet_again_when_nats_is_back() {
    let Some(mut nats) = NatsServer::start(&[]) else {
        return;
    };
    let [one, two, three] = nodes(&nats, &[]);
    let [mut a, mut b] = connect(&one);
    let [mut c] = connect(&two);
    let [mut d] = connect(&three);
    a.order("event t.*");
    c.order("event t.x");
    d.order("event gone");
    nats.wait_subscribed("hotsocket.t.*", 1);
    nats.wait_subscribed("hotsocket.t.x", 1);
    nats.kill();
    for server in [&one, &two, &three] {
        server.wait_nats("away");
        server.stderr.wait("cannot be reached");
    }
    b.order("publish t.x near");
    a.expect_line("1 t.x 2 near");
    // What changes meanwhile holds afterwards.
    d.order("event t.>");
    d.order("leave gone");
    nats.restart();
    for server in [&one, &two, &three] {
        server.wait_nats("connected");
        assert_eq!(server.nats_count("reconnects"), 1);
    }
    for subject in ["hotsocket.t.*", "hotsocket.t.x", "hotsocket.t.>"] {
        nats.wait_subscribed(subject, 1);
    }
    nats.wait_subscribed("hotsocket.gone", 0);
    // A foreign subscriber would get what waited; those who were away with their node
    // may have missed it, so their numbers are not known.
    let [mut e] = connect(&three);
    e.order("publish t.x last");
    a.expect_line("2 t.x 0 last");
    for server in [one, two, three] {
        let log = server.stop().stderr;
        assert_eq!(count_lines(&log, "cannot be reached"), 1, "{log}");
        assert_eq!(count_lines(&log, "is connected again"), 1, "{log}");
    }
}

/// What is published while NATS is away waits for it.
#[test]
fn messages_wait_for_nats() {
    let Some(mut nats) = NatsServer::start(&[]) else {
        return;
    };
    nats.kill();
    let server = node(&nats, &[]).start();
    let [mut a] = connect(&server);
    a.order("many t 1000 100");
    nats.restart();
    let mut foreign = nats.connect();
    foreign.subscribe("hotsocket.last");
    server.wait_nats_count("published", 1000);
    a.order("publish last x");
    assert_eq!(foreign.next(), ("hotsocket.last".to_owned(), b"x".to_vec()));
    assert_eq!(server.nats_count("dropped"), 0);
}

/// The client has taken it, but nobody else.
#[test]
fn a_message_that_still_waits_at_the_end_is_said() {
    let Some(mut nats) = NatsServer::start(&[]) else {
        return;
    };
    nats.kill();
    let server = node(&nats, &[]).start();
    let [mut a] = connect(&server);
    a.order("publish t x");
    let log = server.stop().stderr;
    assert_eq!(count_lines(&log, "did not reach NATS"), 1, "{log}");
}

#[test]
fn a_server_without_the_flag_says_nothing_of_nats() {
    let server = served(&[]).start();
    assert!(server.nats().is_null());
    let told = server.ask(&["publish", "t"]).success();
    assert_eq!(told, "published to 0 connections\n");
}
