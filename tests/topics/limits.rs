//! What there is at most, and what happens then.

use std::time::{Duration, Instant};

use super::{Orders, connect, start};
use crate::guests::guest;
use crate::harness::{serve, wait_for};

#[test]
fn too_many_subscriptions_end_the_connection() {
    let server = start(&["--max-subscriptions", "2", "--access-log"]);
    let [mut a, mut b] = connect(&server);
    for topic in ["x", "y", "x", "y"] {
        a.order(&format!("event {topic}"));
    }
    a.ask("event z\n", "ok\n");
    a.expect_over();
    server
        .stderr
        .wait("subscribed to more than 2 (--max-subscriptions)");
    assert_eq!(server.limit_reached("max-subscriptions"), 1);
    server.stderr.wait(" too-many-subscriptions");
    b.ask("count x\n", "0\n");
}

/// What waits for [`stuck`], in bytes.
pub const STUCK: usize = 7_000_000;

/// Its peer reads no more, so its guest gets no message.
pub fn stuck(server: &crate::harness::Server, order: &str) -> crate::harness::Client {
    let mut client = server.connect();
    client.ask("?\n", "what?\n");
    client.order(order);
    client.send(format!("write 4000000\nwrite {}\n", STUCK - 3_999_999));
    // Now the guest has written it, and messages wait.
    client.read(1);
    client
}

#[test]
fn a_full_mailbox_ends_the_connection() {
    let server = start(&["--max-mailbox", "128K", "--access-log"]);
    let _stuck = stuck(&server, "event t");
    let mut sender = server.connect();
    sender.ask("?\n", "what?\n");
    wait_for("the mailbox to be full", || {
        sender.order("many t 3 50000");
        server.limit_reached("max-mailbox") == 1
    });
    server
        .stderr
        .wait("more than 128K of messages waited for its guest (--max-mailbox)");
    server.stdout.wait("1 closed: Other(\"mailbox-full\")");
    server.stderr.wait(" mailbox-full");
    sender.ask("count t\n", "0\n");
}

#[test]
fn a_full_mailbox_drops_the_oldest_and_says_how_many() {
    let server = start(&["--max-mailbox", "128K"]);
    let mut stuck = stuck(&server, "event-drop t");
    let mut sender = server.connect();
    sender.ask("?\n", "what?\n");
    wait_for("messages to be dropped", || {
        sender.order("many t 4 50000");
        server.ask_topics()["dropped"].as_u64() > Some(10)
    });
    let dropped = server.ask_topics()["dropped"].as_u64().expect("a number");
    stuck.read(STUCK);
    stuck.expect_line(&format!("lagged {dropped}"));
    let rest = stuck.read(100_000);
    assert!(rest.starts_with(b"1 t 2 0000"), "{:?}", &rest[..20]);
}

#[test]
fn a_peer_that_takes_no_direct_messages_is_reset() {
    let server = start(&["--max-queue", "8M", "--max-mailbox", "4M", "--access-log"]);
    let _stuck = stuck(&server, "direct t");
    let mut sender = server.connect();
    sender.ask("?\n", "what?\n");
    wait_for("the queue to be full", || {
        sender.order("many t 20 50000");
        server.limit_reached("max-queue") > 0
    });
    server
        .stderr
        .wait("peer did not take what others published: its queue is full (--max-queue)");
    server.stderr.wait(" queue-full");
}

#[test]
fn direct_messages_beyond_the_queue_are_dropped_if_they_may() {
    let server = start(&["--max-mailbox", "4M"]);
    let mut stuck = stuck(&server, "direct-drop t");
    let mut sender = server.connect();
    sender.ask("?\n", "what?\n");
    wait_for("the queue to be full", || {
        sender.order("many t 20 50000");
        server.ask_topics()["dropped"].as_u64() > Some(0)
    });
    stuck.read(STUCK);
    let first = stuck.read(50_000);
    assert!(first.iter().all(|byte| *byte == b'0'), "whole");
    assert_eq!(server.limit_reached("max-queue"), 0);
}

#[test]
fn who_publishes_too_much_waits() {
    let server = start(&["--max-fan-out", "10K"]);
    let [mut a, mut b] = connect(&server);
    a.order("event t");
    let began = Instant::now();
    // Three seconds' worth, one of which is free.
    b.ask("many t 3 10176\n", "ok\n");
    b.ask("?\n", "what?\n");
    assert!(
        began.elapsed() > Duration::from_millis(1500),
        "{:?}",
        began.elapsed()
    );
    server
        .stderr
        .wait("it publishes more than it may, and waits (--max-fan-out)");
    assert_eq!(server.limit_reached("max-fan-out"), 1);
    // Meanwhile a swap would not have had to wait for it: it has no event in progress.
    a.read(3 * 10176);
}

/// A node of the index for each token.
#[test]
fn a_long_pattern_counts_as_several_subscriptions() {
    let server = start(&["--max-subscriptions", "4"]);
    let [mut a, mut b] = connect(&server);
    let tokens = |count: usize| vec!["x"; count].join(".");
    // Topics are in a table, however long they are.
    a.order(&format!("event {}", tokens(100)));
    a.order(&format!("event {}.*", tokens(32)));
    a.order(&format!("leave {}.*", tokens(32)));
    a.order("event x.*");
    a.order(&format!("event {}.>", tokens(16)));
    a.ask("event y\n", "ok\n");
    a.expect_over();
    assert_eq!(server.limit_reached("max-subscriptions"), 1);
    b.ask("count x.y\n", "0\n");
}

#[test]
fn to_publish_what_nobody_gets_is_not_free() {
    let server = start(&["--max-fan-out", "1K"]);
    let [mut a] = connect(&server);
    a.order("event *.*.*.*");
    a.order("many nobody.is.here 30 0");
    server
        .stderr
        .wait("it publishes more than it may, and waits (--max-fan-out)");
}

/// Nobody reads it meanwhile, so it is not silent.
#[test]
fn a_connection_that_is_held_is_not_idle() {
    let server = start(&["--max-fan-out", "1K", "--idle-timeout", "1s"]);
    let [mut a] = connect(&server);
    a.ask("many nobody 48 0\n", "ok\n");
    // In two seconds.
    a.ask("?\n", "what?\n");
    assert_eq!(server.limit_reached("max-fan-out"), 1);
}

/// It sets three timers that are due together, and publishes so many messages as each of
/// them rings.
fn ringing(messages: usize) -> Vec<u8> {
    publishing(
        "(call $set-timer (i32.const 1) (i64.const 0))
         (call $set-timer (i32.const 2) (i64.const 0))
         (call $set-timer (i32.const 3) (i64.const 0))
         (call $say \"set \")",
        messages,
        "(call $say \"rang \")",
    )
}

/// It publishes so many messages as a timer rings, then does this.
fn publishing(data: &str, messages: usize, then: &str) -> Vec<u8> {
    guest()
        .data(data)
        .body(
            "timer",
            &format!(
                r#"(local $n i32)
                   (local.set $n (i32.const {messages}))
                   (loop $more
                     (call $publish "t" (i32.const 0) (i32.const 0) (i32.const 0))
                     (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                     (br_if $more (local.get $n)))
                   {then}"#
            ),
        )
        .change(
            ";; further imports",
            r#"(import "hotsocket:topics/topics@0.1.0" (instance $the-topics
                 (type $error' (enum "invalid" "too-large" "too-much" "no-subscriber"))
                 (export "topic-error" (type $error (eq $error')))
                 (type $message (list u8))
                 (type $published (result (error $error)))
                 (export "publish"
                   (func (param "topic" string) (param "bytes" $message) (result $published)))))"#,
        )
        .change(
            "(core module $guest",
            r#"(core func $publish (canon lower (func $the-topics "publish") (memory $memory)))
               (core module $guest"#,
        )
        .change(
            r#"(import "host" "end" (func $end))"#,
            r#"(import "host" "end" (func $end))
               (import "host" "publish" (func $publish (param i32 i32 i32 i32 i32)))"#,
        )
        .change(
            r#"(export "panic" (func $panic))"#,
            r#"(export "panic" (func $panic)) (export "publish" (func $publish))"#,
        )
        .build()
}

/// Or who sets thousands for the same moment would publish as much as they all may.
#[test]
fn a_timer_does_not_ring_while_its_connection_is_held() {
    let server = serve(ringing(2000)).args(&["--max-fan-out", "1K"]).start();
    let mut client = server.connect();
    client.ask("x", "set rang ");
    let published = || server.ask_topics()["published"].as_u64();
    wait_for("messages", || published() > Some(0));
    // Now it is held for two minutes.
    assert_eq!(published(), Some(2000));
}

/// It publishes more every millisecond than is given back in a tenth of a second.
#[test]
fn a_guest_that_is_always_held_again_gets_what_its_peer_sends() {
    let set = "(call $set-timer (i32.const 1) (i64.const 1))";
    let ticking = publishing(&format!("{set} (call $say \"x\")"), 20, set);
    let server = serve(ticking).args(&["--max-fan-out", "8K"]).start();
    let mut client = server.connect();
    client.ask("x", "x");
    wait_for("messages", || {
        server.ask_topics()["published"].as_u64() > Some(200)
    });
    client.ask("x", "x");
    client.end();
    client.expect_rest("");
    server.settle();
}

#[test]
fn timers_that_were_held_ring_later() {
    let server = serve(ringing(20)).args(&["--max-fan-out", "1K"]).start();
    let mut client = server.connect();
    client.ask("x", "set rang rang rang ");
}
