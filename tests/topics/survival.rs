//! Subscriptions, messages and the will belong to the connection: code may come and go.

use super::{Orders, connect, start};
use crate::guests::{differing, forgetful, guest, messenger};

#[test]
fn a_swap_and_a_rollback_keep_subscriptions_and_will() {
    let server = start(&[]);
    let [mut a, mut b, mut c] = connect(&server);
    a.order("event t");
    b.order("direct t");
    b.order("will t farewell");
    c.order("publish t one");
    a.expect_line("1 t 3 one");
    b.expect("one");
    assert_eq!(server.swap(differing(messenger()), &[])["migrated"], 3);
    c.order("publish t two");
    a.expect_line("2 t 3 two");
    b.expect("two");
    server.roll_back(&[]);
    c.order("publish t three");
    a.expect_line("3 t 3 three");
    b.expect("three");
    c.ask("count t\n", "2\n");
    b.reset();
    a.expect_line("4 t 2 farewell");
}

#[test]
fn a_message_that_kills_new_code_goes_to_the_old() {
    let server = start(&[]);
    let [mut a, mut b] = connect(&server);
    a.order("event news");
    b.order("publish news one");
    a.expect_line("1 news 2 one");
    // Without an event each of them is in probation.
    server.swap(forgetful(), &[]);
    let ran = server.ask(&["publish", "news"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    // What the new code published when it took over never was.
    a.expect_line("2 news 0 ");
    server.stderr.wait("who?");
    a.ask("?\n", "what?\n");
    assert_eq!(server.ask_topics()["published"], 2);
    b.ask("x\n", "new\n");
    a.expect_line("3 news 2 a lie");
}

#[test]
fn a_restart_keeps_subscriptions_and_messages_that_wait() {
    let server = start(&["--on-trap", "restart"]);
    let [mut a, mut b] = connect(&server);
    a.order("event t");
    a.order("will t farewell");
    b.order("event t");
    a.send("trap\n");
    server.stderr.wait("restarted");
    b.order("publish t one");
    a.expect_line("1 t 2 one");
    a.end();
    b.expect_line("1 t 1 farewell");
}

/// Code that knows nothing of messages gets none, and what comes meanwhile is lost; with
/// code that does, the connection still has its subscription.
#[test]
fn code_without_messages_in_between() {
    let server = start(&[]);
    let [mut a, mut b] = connect(&server);
    a.order("event t");
    let mute = guest()
        .body("open", "(call $ok)")
        .data(r#"(call $say "mute\n")"#);
    server.swap(&mute, &[]);
    a.ask("x\n", "mute\\n");
    b.ask("x\n", "mute\\n");
    assert_eq!(server.ask(&["publish", "t"]).code, 0);
    server.roll_back(&[]);
    a.ask("?\n", "what?\n");
    b.ask("?\n", "what?\n");
    b.order("publish t two");
    a.expect_line("1 t 2 two");
}

/// A message is the only event that may still come, so it is the first.
#[test]
fn a_message_that_kills_new_code_of_a_paused_peer_goes_to_the_old() {
    let server = start(&[]);
    let [mut a, mut b] = connect(&server);
    a.order("event t");
    a.ask("pause\n", "ok\n");
    server.swap(forgetful(), &[]);
    assert_eq!(server.ask(&["publish", "t"]).code, 0);
    a.expect_line("1 t 0 ");
    b.ask("x\n", "new\n");
}

/// New code that takes no messages has had no event with one: when it dies of the first,
/// the old code gets both.
#[test]
fn a_message_is_no_event_of_code_that_takes_none() {
    let server = start(&[]);
    let [mut a, mut b] = connect(&server);
    a.order("event t");
    let mute = guest().body("open", "(call $ok)").data(
        r#"(if (i32.eq (i32.load8_u (local.get $at)) (i32.const 33)) (then (call $trap)))
               (call $say "mute")"#,
    );
    server.swap(&mute, &[]);
    b.ask("x", "mute");
    assert_eq!(server.ask(&["publish", "t"]).code, 0);
    a.send("!\n");
    a.expect("what?\n");
    a.expect_line("1 t 0 ");
}

/// The server has room for some more instances than connections, and here all connections
/// need another one at once.
#[test]
fn all_that_die_of_a_message_go_back() {
    let server = start(&["--max-connections", "400"]);
    let mut all: Vec<_> = (0..400).map(|_| server.connect()).collect();
    for client in &mut all {
        client.ask("event t\n", "ok\n");
    }
    server.swap(forgetful(), &[]);
    assert_eq!(server.ask(&["publish", "t"]).code, 0);
    for client in &mut all {
        client.expect_line("1 t 0 ");
    }
}
