//! A will is published however the connection ends.

use super::{Orders, connect, start};

/// Each ends with a will, in its own way, and the first connection hears of it.
fn hears(args: &[&str], order: &str, end: impl FnOnce(crate::harness::Client)) {
    let server = start(args);
    let [mut a, mut b] = connect(&server);
    a.order("event gone");
    b.order("will gone one");
    b.order("will gone two");
    if !order.is_empty() {
        b.send(format!("{order}\n"));
    }
    end(b);
    a.expect_line("1 gone 2 two");
    a.ask("?\n", "what?\n");
}

#[test]
fn after_a_fin() {
    hears(&[], "", |mut client| {
        client.end();
        client.expect_rest("");
    });
}

#[test]
fn after_a_reset() {
    hears(&[], "", crate::harness::Client::reset);
}

#[test]
fn after_a_fault() {
    hears(&[], "trap", |mut client| client.expect_over());
}

#[test]
fn after_the_guest_has_aborted() {
    hears(&[], "abort", |mut client| client.expect_reset());
}

#[test]
fn after_a_limit() {
    let args = ["--max-subscriptions", "1"];
    hears(&args, "event x\nevent y", |mut client| {
        client.expect_rest("ok\nok\n");
    });
}

#[test]
fn one_that_is_taken_back_is_not() {
    let server = start(&[]);
    let [mut a, mut b, mut c] = connect(&server);
    a.order("event gone");
    b.order("will gone one");
    b.order("no-will");
    b.end();
    b.expect_rest("");
    c.order("publish gone last");
    a.expect_line("1 gone 3 last");
}

/// The peer of the event hears no more, but all others do.
#[test]
fn what_an_event_says_before_it_aborts_is_published() {
    let server = start(&[]);
    let [mut a, mut b] = connect(&server);
    a.order("event t");
    b.send("publish t one\nwill t farewell\nabort\n");
    b.expect_reset();
    a.expect_line("1 t 2 one");
    a.expect_line("2 t 2 farewell");
}

/// A peer could keep others from hearing of what it has sent.
#[test]
fn what_an_event_says_is_published_though_its_peer_is_gone() {
    let server = start(&[]);
    let [mut a, mut b] = connect(&server);
    a.order("event t");
    server.freeze();
    b.send("publish t one\nwill t farewell\nwrite 100000\nwrite 100000\n");
    b.reset();
    server.signal(rustix::process::Signal::CONT);
    a.expect_line("1 t 2 one");
    a.expect_line("2 t 2 farewell");
}

#[test]
fn a_subscription_too_many_takes_nothing_else_with_it() {
    let server = start(&["--max-subscriptions", "1"]);
    let [mut a, mut b] = connect(&server);
    a.order("event t");
    b.send("publish t one\nevent x\nevent y\npublish t two\nwill t farewell\n");
    b.expect_rest("ok\nok\nok\nok\nok\n");
    a.expect_line("1 t 2 one");
    a.expect_line("2 t 2 two");
    a.expect_line("3 t 2 farewell");
}
