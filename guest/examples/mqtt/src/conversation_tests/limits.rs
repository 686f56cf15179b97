//! Clients that take too little, many retained messages, many filters.

use std::collections::BTreeSet;

use super::*;
use crate::retained::retain;

const SECOND: Duration = Duration::from_secs(1);

/// As when much waits for the client: what an event writes beyond a few bytes does not fit.
fn fill(peer: &mut Peer<Mqtt>) {
    peer.set_max_queue(4);
    assert_eq!(peer.message(message("mqtt.0.t", b"lost")), b"");
    peer.set_max_queue(8 << 20);
}

#[test]
fn who_takes_too_little_is_neither_silent_nor_sent_anything_again() {
    let mut peer = connected();
    subscribe_and_wait(&mut peer, "t", 1);
    let sent = peer.message(message("mqtt.1.t", b"x"));
    assert_eq!(sent, b"\x32\x06\0\x01t\0\x01x");
    fill(&mut peer);
    assert_eq!(peer.advance(60 * SECOND), b"");
    let mut peer: Peer<Mqtt> = peer.swap().expect("a successor");
    assert_eq!(peer.advance(60 * SECOND), b"");
    assert!(!peer.has_aborted());
    // From now on it can answer, and has as much time as ever.
    assert_eq!(peer.drained(), b"");
    assert_eq!(peer.advance(14 * SECOND), b"");
    assert_eq!(peer.data(b"\xc0\0"), packet::PINGRESP);
    assert_eq!(peer.advance(14 * SECOND), b"\x3a\x06\0\x01t\0\x01x");
    assert!(!peer.has_aborted());
    peer.advance(2 * SECOND);
    assert!(peer.has_aborted());
}

#[test]
fn who_is_read_from_waits_no_more() {
    let mut peer = connected();
    subscribe_and_wait(&mut peer, "t", 1);
    fill(&mut peer);
    assert_eq!(peer.data(b"\xc0\0"), packet::PINGRESP);
    peer.advance(16 * SECOND);
    assert!(peer.has_aborted());
}

#[test]
fn what_is_retained_comes_when_the_subscription_is_in_effect() {
    let mut peer = connected();
    let answer = subscribe(&mut peer, "a", 0);
    assert_eq!(answer, [0x90, 3, 0, 9, 0]);
    // By another client, whose message was published before this one had subscribed.
    retain("a", 0, b"x");
    assert_eq!(peer.advance(Duration::ZERO), b"\x31\x04\0\x01ax");
}

/// Of 11 bytes each, in any order.
fn packets(bytes: &[u8]) -> BTreeSet<&[u8]> {
    bytes.chunks(11).collect()
}

#[test]
fn any_number_of_retained_messages_comes_as_the_client_takes_them() {
    const COUNT: usize = 1200;
    let mut peer = connected();
    for number in 0..COUNT {
        retain(&format!("r/{number:04}"), 0, b"x");
        retain(&format!("s/{number:04}"), 0, b"x");
    }
    subscribe(&mut peer, "+/0000", 0);
    let both = b"\x31\x09\0\x06s/0000x\x31\x09\0\x06r/0000x";
    let got = peer.advance(Duration::ZERO);
    assert_eq!(packets(&got), packets(both));
    subscribe(&mut peer, "r/#", 0);
    let mut got = peer.timer(RETAINED);
    assert!(!got.is_empty() && got.len() < 11 * COUNT);
    // The rest waits for the client, also in a successor.
    peer.set_max_queue(4);
    peer.timer(RETAINED);
    assert!(
        printed()
            .concat()
            .contains("cannot send a retained message")
    );
    peer.set_max_queue(8 << 20);
    assert_eq!(peer.advance(5 * SECOND), b"");
    let mut peer: Peer<Mqtt> = peer.swap().expect("a successor");
    assert_eq!(peer.drained(), b"");
    got.extend(peer.advance(Duration::ZERO));
    // The one that did not fit by itself was dropped.
    assert_eq!(got.len(), 11 * (COUNT - 1));
    let packets = packets(&got);
    assert_eq!(packets.len(), COUNT - 1);
    assert!(packets.iter().all(|it| it.starts_with(b"\x31\x09\0\x06r/")));
}

#[test]
fn retained_messages_leave_room_for_others() {
    let mut peer = connected();
    for number in 0..1200 {
        retain(&format!("r/{number:04}"), 1, b"x");
    }
    subscribe(&mut peer, "r/#", 1);
    let mut ids = ids_of(&peer.advance(Duration::ZERO));
    assert_eq!(ids.len(), 500);
    // It has acknowledged none of them, and stays when somebody publishes.
    let live = peer.message(message("mqtt.1.r.x", b"live"));
    assert!(live.ends_with(b"live") && !peer.has_aborted());
    ids.extend(ids_of(&live));
    let mut acknowledged = 0;
    while acknowledged < ids.len() {
        for id in &ids[acknowledged..] {
            peer.data([&b"\x40\x02"[..], &id.to_be_bytes()].concat());
        }
        acknowledged = ids.len();
        ids.extend(ids_of(&peer.advance(Duration::ZERO)));
    }
    assert_eq!(ids.len(), 1201);
}

/// Those of messages at QoS 1, which are short.
fn ids_of(mut got: &[u8]) -> Vec<u16> {
    let mut ids = Vec::new();
    while let [_, length, _, topic, rest @ ..] = got {
        let id = usize::from(*topic);
        ids.push(u16::from_be_bytes([rest[id], rest[id + 1]]));
        got = &got[2 + usize::from(*length)..];
    }
    ids
}

#[test]
fn who_unsubscribes_gets_nothing_more_of_what_is_retained() {
    let mut peer = connected();
    retain("a/b", 0, b"x");
    subscribe(&mut peer, "a/#", 0);
    peer.data(b"\xa2\x07\0\x07\0\x03a/#");
    assert_eq!(peer.advance(Duration::ZERO), b"");
}

#[test]
fn there_are_only_so_many_filters() {
    let mut peer = connected();
    for number in 0..63 {
        let answer = subscribe(&mut peer, &format!("f/{number}/#"), 0);
        assert_eq!(answer.last(), Some(&0));
    }
    assert_eq!(subscribe(&mut peer, "two/#", 0).last(), Some(&0x80));
    assert_eq!(subscribe(&mut peer, "one", 0).last(), Some(&0));
    assert_eq!(subscribe(&mut peer, "more", 0).last(), Some(&0x80));
    // Those that it has may be changed.
    assert_eq!(subscribe(&mut peer, "f/0/#", 1).last(), Some(&1));
    assert_eq!(peer.subscriptions().len(), 128);
}

#[test]
fn a_filter_of_many_levels_counts_as_several() {
    let mut peer = connected();
    let rest = "/l".repeat(14) + "/#";
    for number in 0..31 {
        let answer = subscribe(&mut peer, &format!("{number}{rest}"), 0);
        assert_eq!(answer.last(), Some(&0));
    }
    let answer = subscribe(&mut peer, &format!("31{rest}"), 0);
    assert_eq!(answer.last(), Some(&0x80));
    // As the host counts them.
    let tokens = |pattern: &String| pattern.split('.').count();
    let weight = |pattern: &String| match pattern.contains('*') {
        true => tokens(pattern).div_ceil(16),
        false => 1,
    };
    assert!(peer.subscriptions().iter().map(weight).sum::<usize>() <= 128);
}

#[test]
fn a_snapshot_of_version_1_is_read() {
    let old = Version1 {
        session: Session {
            client: "c".to_owned(),
            phase: Phase::Connected,
            ..Session::default()
        },
        input: Frames::from_half(*b"\xc0"),
    };
    let mut handler = Mqtt::default();
    let restored = handler.restore(Snapshot::of(1, &old));
    assert_eq!(restored, Ok(()));
    assert_eq!(handler.session, old.session);
    assert_eq!(handler.input.half(), b"\xc0");
    assert!(!handler.waits && handler.replay.is_over());
}
