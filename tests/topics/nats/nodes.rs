//! Who gets a message on which node.

use super::{Orders, connect, nodes};
use crate::harness::{Client, NatsServer};

#[test]
fn a_message_comes_once_to_all_who_have_subscribed_on_all_nodes() {
    let Some(nats) = NatsServer::start(&[]) else {
        return;
    };
    let [one, two, three] = nodes(&nats, &[]);
    let [mut a, mut near] = connect(&one);
    let [mut b, mut c] = connect(&two);
    let [mut d] = connect(&three);
    near.order("event rooms.lobby");
    a.order("event rooms.lobby");
    b.order("event rooms.*");
    b.order("event rooms.lobby");
    b.order("event rooms.>");
    c.order("event rooms.>");
    d.order("event *.lobby");
    for (subject, count) in [
        ("hotsocket.rooms.*", 1),
        ("hotsocket.rooms.lobby", 2),
        ("hotsocket.rooms.>", 1),
        ("hotsocket.*.lobby", 1),
    ] {
        nats.wait_subscribed(subject, count);
    }
    a.order("publish rooms.lobby hello");
    near.expect_line("1 rooms.lobby 1 hello");
    for client in [&mut b, &mut c, &mut d] {
        client.expect_line("1 rooms.lobby 0 hello");
    }
    // What should not have come would come before this. Each takes a message under the
    // pattern that it subscribed to first.
    b.order("publish rooms.lobby again");
    for (client, line) in [
        (&mut near, "2 rooms.lobby 0 again"),
        (&mut a, "1 rooms.lobby 0 again"),
        (&mut c, "2 rooms.lobby 1 again"),
        (&mut d, "2 rooms.lobby 0 again"),
    ] {
        client.expect_line(line);
    }
    b.order("leave rooms.*");
    nats.wait_subscribed("hotsocket.rooms.*", 0);
    d.order("publish rooms.lobby last");
    b.expect_line("2 rooms.lobby 0 last");
    c.expect_line("3 rooms.lobby 0 last");
    drop((a, near));
    nats.wait_subscribed("hotsocket.rooms.lobby", 1);
}

/// From two publishers at once, to subscribers with a topic and with a pattern.
#[test]
fn messages_of_one_publisher_come_in_order() {
    let Some(nats) = NatsServer::start(&[]) else {
        return;
    };
    let [one, two] = nodes(&nats, &["--max-mailbox", "16M"]);
    let [mut a, mut b] = connect(&one);
    let [mut c, mut d] = connect(&two);
    c.order("event t.x");
    d.order("event t.*");
    nats.wait_subscribed("hotsocket.t.x", 1);
    nats.wait_subscribed("hotsocket.t.*", 1);
    for publisher in [&mut a, &mut b] {
        publisher.send("many t.x 100 20\nmany t.x 100 20\n");
    }
    let read = |client: &mut Client| {
        let mut last = Vec::new();
        for number in 1..=400 {
            let start = format!("{number} t.x 0 ");
            let line = client.read(start.len() + 21);
            let line = String::from_utf8(line).expect("text");
            let text = line.strip_prefix(&start).expect("the next one").trim_end();
            last.push(text.parse::<u32>().expect("a number"));
        }
        last
    };
    for client in [&mut c, &mut d] {
        let numbers = read(client);
        // Each of 0 to 99 four times, twice from each; none before the one that it
        // follows.
        let mut seen = [0_u32; 101];
        for number in numbers {
            let number = number as usize;
            assert!(number == 0 || seen[number] < seen[number - 1], "{number}");
            seen[number] += 1;
        }
        assert_eq!(seen[..100], [4; 100]);
    }
}

#[test]
fn wills_and_what_is_published_by_command_reach_other_nodes() {
    let Some(nats) = NatsServer::start(&[]) else {
        return;
    };
    let [mut one, two] = nodes(&nats, &[]);
    let [mut a] = connect(&two);
    a.order("event gone");
    a.order("direct news");
    nats.wait_subscribed("hotsocket.gone", 1);
    nats.wait_subscribed("hotsocket.news", 1);
    let [mut b, mut c] = connect(&one);
    b.order("will gone reset");
    c.order("will gone shutdown");
    b.reset();
    a.expect_line("1 gone 0 reset");
    let message = one.path("message");
    std::fs::write(&message, "breaking").expect("written");
    let ran = one.ask(&["publish", "news", &message.display().to_string()]);
    assert_eq!(
        ran.success(),
        "published to 0 connections here, and to NATS\n"
    );
    a.expect("breaking");
    // The last that a node does is to publish wills.
    one.close_all();
    a.expect_line("2 gone 0 shutdown");
    let log = one.end().stderr;
    assert!(!log.contains("did not reach NATS"), "{log}");
}

#[test]
fn another_prefix_is_another_room() {
    let Some(nats) = NatsServer::start(&[]) else {
        return;
    };
    let [one] = nodes(&nats, &["--topics-prefix", "east.chat"]);
    let [two, three] = nodes(&nats, &["--topics-prefix", "west"]);
    let [mut a] = connect(&one);
    let [mut b] = connect(&two);
    let [mut c] = connect(&three);
    a.order("event >");
    b.order("event t");
    nats.wait_subscribed("east.chat.>", 1);
    nats.wait_subscribed("west.t", 1);
    c.order("publish t west");
    b.expect_line("1 t 0 west");
    a.order("publish t east");
    c.order("publish t last");
    b.expect_line("2 t 0 last");
    a.ask("?\n", "what?\n");
}
