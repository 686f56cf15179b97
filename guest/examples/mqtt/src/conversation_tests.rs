//! Conversations without a server: what a client sends, and what it gets.

use std::time::Duration;

use hotsocket_guest::testing::{Session as Peer, printed};
use hotsocket_guest::topics::Message;

use super::*;

mod limits;

const CONNECT: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\x0a\0\x01c";

fn connected() -> Peer<Mqtt> {
    let mut peer = Peer::open();
    assert_eq!(peer.data(CONNECT), [0x20, 2, 0, 0]);
    let _ = peer.published();
    peer
}

fn subscribe(peer: &mut Peer<Mqtt>, filter: &str, qos: u8) -> Vec<u8> {
    let length = u8::try_from(filter.len()).expect("short");
    let body = [&[0, 9, 0, length], filter.as_bytes(), &[qos]].concat();
    let length = u8::try_from(body.len()).expect("short");
    peer.data([&[0x82, length], &body[..]].concat())
}

/// The same, with what is retained, which comes in later events.
fn subscribe_and_wait(peer: &mut Peer<Mqtt>, filter: &str, qos: u8) -> Vec<u8> {
    let answer = subscribe(peer, filter, qos);
    [answer, peer.advance(Duration::ZERO)].concat()
}

fn message<'a>(topic: &'a str, bytes: &'a [u8]) -> Message<'a> {
    Message {
        topic,
        sender: 2,
        bytes,
    }
}

#[test]
fn the_lowest_qos_counts() {
    let mut peer = connected();
    assert_eq!(subscribe(&mut peer, "a/+", 2), [0x90, 3, 0, 9, 1]);
    assert_eq!(peer.subscriptions(), ["mqtt-clients.c", "mqtt.*.a.*"]);
    let got = peer.message(message("mqtt.0.a.b", b"x"));
    assert_eq!(got, b"\x30\x06\0\x03a/bx");
    let got = peer.message(message("mqtt.1.a.b", b"x"));
    assert_eq!(got, b"\x32\x08\0\x03a/b\0\x01x");
    assert_eq!(subscribe(&mut peer, "a/+", 0), [0x90, 3, 0, 9, 0]);
    let got = peer.message(message("mqtt.1.a.b", b"x"));
    assert_eq!(got, b"\x30\x06\0\x03a/bx");
    for strange in ["mqtt.2.a.b", "mqtt.0.a.%zz", "mqtt.0", "other"] {
        assert_eq!(peer.message(message(strange, b"x")), b"");
    }
}

#[test]
fn what_a_client_publishes_goes_out_and_comes_to_itself() {
    let mut peer = connected();
    subscribe(&mut peer, "#", 1);
    let got = peer.data(b"\x32\x06\0\x01t\0\x05x");
    assert_eq!(got, b"\x32\x06\0\x01t\0\x01x\x40\x02\0\x05");
    assert_eq!(peer.published(), [("mqtt.1.t".to_owned(), b"x".to_vec())]);
    // Topics of the server's are acknowledged and ignored.
    assert_eq!(peer.data(b"\x32\x06\0\x02$t\0\x06"), b"\x40\x02\0\x06");
    assert_eq!(peer.published(), []);
}

#[test]
fn what_is_not_acknowledged_is_sent_again_also_after_a_swap() {
    let mut peer = connected();
    subscribe(&mut peer, "t", 1);
    peer.message(message("mqtt.1.t", b"x"));
    peer.message(message("mqtt.1.t", b"y"));
    peer.data(b"\x40\x02\0\x01");
    // Half a PINGREQ is kept as well, and keeps nobody alive.
    peer.data(b"\xc0");
    let mut peer: Peer<Mqtt> = peer.swap().expect("a successor");
    assert_eq!(peer.data(b"\0"), packet::PINGRESP);
    assert_eq!(peer.timer(AGAIN), b"");
    peer.data(b"\xc0\0");
    let mut got = Vec::new();
    for _ in 0..3 {
        got.extend(peer.advance(Duration::from_secs(8)));
        peer.data(b"\xc0\0");
    }
    assert_eq!(got, b"\x3a\x06\0\x01t\0\x02y");
}

#[test]
fn retained_messages_come_with_the_subscription() {
    let mut peer = connected();
    peer.data(b"\x31\x04\0\x01ax");
    peer.data(b"\x33\x08\0\x03a/b\0\x01y");
    peer.data(b"\x31\x04\0\x01bz");
    peer.data(b"\x31\x03\0\x01b");
    let mut peer = peer.close_and_open();
    peer.data(CONNECT);
    let mut got = subscribe_and_wait(&mut peer, "a/#", 1);
    let rest = got.split_off(5);
    assert_eq!(got, [0x90, 3, 0, 9, 1]);
    let (one, two) = (
        b"\x31\x04\0\x01ax".as_slice(),
        b"\x33\x08\0\x03a/b\0\x01y".as_slice(),
    );
    assert!(
        rest == [one, two].concat() || rest == [two, one].concat(),
        "{rest:?}"
    );
    let got = subscribe_and_wait(&mut peer, "b", 0);
    assert_eq!(got, [0x90, 3, 0, 9, 0]);
    assert_eq!(
        subscribe_and_wait(&mut peer, "a", 0),
        [&[0x90, 3, 0, 9, 0], one].concat()
    );
}

#[test]
fn filters_that_share_a_pattern_do_not_take_it_away() {
    let mut peer = connected();
    subscribe(&mut peer, "a/#", 0);
    subscribe(&mut peer, "a", 0);
    assert_eq!(peer.data(b"\xa2\x05\0\x07\0\x01a"), b"\xb0\x02\0\x07");
    let patterns = ["mqtt-clients.c", "mqtt.*.a", "mqtt.*.a.>"];
    assert_eq!(peer.subscriptions(), patterns);
    assert_eq!(peer.data(b"\xa2\x07\0\x07\0\x03a/#"), b"\xb0\x02\0\x07");
    assert_eq!(peer.subscriptions(), patterns[..1]);
}

#[test]
fn a_will_is_set_and_taken_back() {
    let connect = b"\x10\x16\0\x04MQTT\x04\x2e\0\0\0\x01c\0\x01w\0\x04gone";
    let mut peer = Peer::<Mqtt>::open();
    assert_eq!(peer.data(connect), [0x20, 2, 0, 0]);
    assert_eq!(peer.will(), Some(("mqtt.1.w".to_owned(), b"gone".to_vec())));
    // Retained by us, as the host knows no such thing.
    let mut peer = peer.close_and_open();
    peer.data(connect);
    let got = subscribe_and_wait(&mut peer, "w", 0);
    assert!(got.ends_with(b"\x31\x07\0\x01wgone"), "{got:?}");
    peer.data(b"\xe0\0");
    assert_eq!((peer.will(), peer.has_ended()), (None, true));
}

#[test]
fn who_is_silent_is_closed() {
    let mut peer = Peer::<Mqtt>::open();
    peer.advance(CONNECT_TIME);
    assert!(peer.has_aborted());
    let mut peer = connected();
    peer.advance(Duration::from_secs(14));
    peer.data(b"\xc0\0");
    peer.advance(Duration::from_secs(14));
    assert!(!peer.has_aborted());
    peer.advance(Duration::from_secs(2));
    assert!(peer.has_aborted());
    let lines = printed();
    let line = lines.last().expect("a line");
    assert!(
        line.contains("silent for longer than its keep-alive"),
        "{line}"
    );
}

#[test]
fn the_newer_of_two_connections_stays() {
    let mut peer = connected();
    peer.message(message("mqtt-clients.c", &[0; 16]));
    assert!(!peer.has_aborted());
    // The older one has to hear of it.
    assert_eq!(peer.published().len(), 1);
    peer.message(message("mqtt-clients.c", b"strange"));
    assert!(!peer.has_aborted() && peer.published().is_empty());
    peer.message(message("mqtt-clients.c", &[0xff; 16]));
    assert!(peer.has_aborted());
}

#[test]
fn the_password_is_the_servers() {
    let with = b"\x10\x17\0\x04MQTT\x04\xc2\0\x0a\0\x01c\0\x01u\0\x05right";
    let settings = [("password", "right")];
    assert_eq!(
        Peer::<Mqtt>::open_with(&settings).data(with),
        [0x20, 2, 0, 0]
    );
    for settings in [[("password", "wrong")], [("password", "right!")]] {
        let mut peer = Peer::<Mqtt>::open_with(&settings);
        assert_eq!(peer.data(with), [0x20, 2, 0, 4]);
        assert!(peer.has_ended());
    }
    let mut peer = Peer::<Mqtt>::open_with(&settings);
    assert_eq!(peer.data(CONNECT), [0x20, 2, 0, 4]);
}

#[test]
fn clients_that_cannot_be_served_are_told_why() {
    for (connect, code) in [
        (&b"\x10\x0e\0\x06MQIsdp\x03\x02\0\x0a\0\0"[..], 1),
        (b"\x10\x0c\0\x04MQTT\x05\x02\0\x0a\0\0", 1),
        (b"\x10\x0c\0\x04MQTT\x04\0\0\x0a\0\0", 2),
        (b"\x10\x0c\0\x04MQTT\x04\x02\0\x0a\0\0", 0),
    ] {
        let mut peer = Peer::<Mqtt>::open();
        assert_eq!(peer.data(connect), [0x20, 2, 0, code], "{connect:?}");
    }
    for bad in [
        &b"\xc0\0"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x30\xff\xff\xff\x7f",
    ] {
        let mut peer = Peer::<Mqtt>::open();
        assert_eq!(peer.data(bad), b"");
        assert!(peer.has_aborted());
    }
    let mut peer = connected();
    peer.data(CONNECT);
    assert!(peer.has_aborted());
}

#[test]
fn many_packets_are_worked_off_in_turns() {
    let mut peer = connected();
    let many = b"\xc0\0".repeat(MAX_PACKETS + 1);
    assert_eq!(peer.data(many).len(), 2 * MAX_PACKETS);
    assert!(peer.is_paused());
    assert_eq!(peer.timer(MORE), packet::PINGRESP);
    assert!(!peer.is_paused());
}
