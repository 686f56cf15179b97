//! Who gets a message, in which order, and how.

use super::{Orders, connect, start};
use crate::harness::wait_for;

#[test]
fn all_who_have_subscribed_get_it_once_but_not_the_sender() {
    let server = start(&[]);
    let [mut a, mut b, mut c, mut d] = connect(&server);
    a.order("event rooms.*");
    b.order("event rooms.lobby");
    b.order("event rooms.>");
    c.order("event rooms.*.x");
    d.ask("count rooms.lobby\n", "2\n");
    a.order("publish rooms.lobby hello");
    b.expect_line("1 rooms.lobby 1 hello");
    d.order("publish rooms.lobby.x again");
    b.expect_line("2 rooms.lobby.x 4 again");
    c.expect_line("1 rooms.lobby.x 4 again");
    // What should not have come would come before this.
    d.order("publish rooms.lobby last");
    a.expect_line("1 rooms.lobby 4 last");
    b.expect_line("3 rooms.lobby 4 last");
    b.order("leave rooms.>");
    b.order("leave rooms.lobby");
    d.ask("count rooms.lobby\n", "1\n");
}

#[test]
fn messages_come_in_order_and_to_all_in_the_same() {
    let server = start(&["--max-mailbox", "16M"]);
    let [mut a, mut b, mut sender, mut other] = connect(&server);
    for subscriber in [&mut a, &mut b] {
        subscriber.order("event t");
    }
    sender.send("many t 200 10\nmany t 200 10\n");
    other.send("many t 200 10\nmany t 200 10\n");
    let read = |client: &mut crate::harness::Client| {
        let mut lines: Vec<String> = Vec::new();
        for number in 1..=800 {
            let mut line = String::new();
            while !line.ends_with('\n') {
                line.push(char::from(client.read(1)[0]));
            }
            let start = format!("{number} t ");
            lines.push(line.strip_prefix(&start).expect("the next one").to_owned());
        }
        lines
    };
    let (first, second) = (read(&mut a), read(&mut b));
    assert!(first == second, "in another order");
    for sender in ["3 ", "4 "] {
        let its: Vec<_> = first
            .iter()
            .filter(|line| line.starts_with(sender))
            .collect();
        let expected = (0..200)
            .chain(0..200)
            .map(|number| format!("{sender}{number:0>10}\n"));
        assert!(
            its.into_iter().eq(expected.collect::<Vec<_>>().iter()),
            "from {sender}"
        );
    }
}

/// The host writes them itself, whole, between what the guest writes.
#[test]
fn direct_messages_reach_the_peer_without_the_guest() {
    let server = start(&["--hibernate-after", "50ms"]);
    let [mut a, mut b] = connect(&server);
    a.order("direct t");
    wait_for("it to sleep", || server.connections("asleep") == 2);
    let woken = server.connections("woken");
    b.order("publish t one");
    a.expect("one");
    b.order("many t 100 1000");
    a.read(100 * 1000);
    // The sender was woken, the receiver was not.
    assert_eq!(server.connections("woken"), woken + 1);
    a.ask("?\n", "what?\n");
    b.order("publish t two");
    a.expect("two");
}

#[test]
fn an_event_wakes_a_sleeper() {
    let server = start(&["--hibernate-after", "50ms"]);
    let [mut a, mut b] = connect(&server);
    a.order("event t");
    b.order("publish t one");
    a.expect_line("1 t 2 one");
    wait_for("both to sleep", || server.connections("asleep") == 2);
    b.order("publish t two");
    // It still knows how many there were.
    a.expect_line("2 t 2 two");
}

#[test]
fn what_is_no_topic_is_refused() {
    let server = start(&[]);
    let [mut a] = connect(&server);
    for order in [
        "publish a..b x",
        "publish a.* x",
        "event a.>.b",
        "event .",
        "will > x",
    ] {
        a.ask(format!("{order}\n"), "Invalid\n");
    }
    let long = "x".repeat(257);
    a.ask(format!("publish {long} x\n"), "Invalid\n");
    a.ask("many t 1 65537\n", "TooLarge\n");
    a.ask("many t 17 65536\n", "TooMuch\n");
    a.ask("count a..b\n", "0\n");
}
