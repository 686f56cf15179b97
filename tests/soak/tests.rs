//! The soak, shortened, and proof that it would find what it looks for.

use std::time::Duration;

use super::faulty_socket::{Fault, Kind, Way};
use super::wire::Wrong;
use super::{Plan, run};

#[test]
fn nothing_is_lost_doubled_or_reordered() {
    let outcome = run(Plan {
        connections: 200,
        time: Duration::from_secs(5),
        complete: true,
        measured: Duration::ZERO,
        rate: 5,
        fault: None,
        binary: false,
        attackers: 0,
        visits: None,
        speakers: 16,
        topic_fault: None,
    });
    println!("{outcome}");
    let complaints = outcome.complaints();
    assert!(
        complaints.is_empty(),
        "{}\n{outcome}\n{}",
        complaints.join("\n"),
        outcome.log
    );
}

/// A fault on either way is found, and taken for what it is.
fn finds(kind: Kind, wrong: Wrong) {
    for way in [Way::ToGuest, Way::ToClient] {
        let outcome = run(Plan {
            connections: 12,
            time: Duration::from_secs(60),
            complete: true,
            measured: Duration::ZERO,
            rate: 50,
            fault: Some(Fault {
                kind,
                way,
                after: 1000,
            }),
            binary: false,
            attackers: 0,
            visits: None,
            speakers: 0,
            topic_fault: None,
        });
        assert_eq!(outcome.count(wrong), 1, "{way:?}: {outcome}");
        assert!(!outcome.complaints().is_empty());
    }
}

#[test]
fn a_dropped_byte_is_found() {
    finds(Kind::Drop, Wrong::Lost);
}

#[test]
fn a_repeated_byte_is_found() {
    finds(Kind::Repeat, Wrong::Doubled);
}

#[test]
fn swapped_bytes_are_found() {
    finds(Kind::Swap, Wrong::Reordered);
}

/// A fault in what is published is found by those who hear it.
fn finds_in_messages(kind: Kind, wrong: Wrong) {
    let outcome = run(Plan {
        connections: 8,
        time: Duration::from_secs(60),
        complete: true,
        measured: Duration::ZERO,
        rate: 50,
        fault: None,
        binary: false,
        attackers: 0,
        visits: None,
        speakers: 8,
        topic_fault: Some(kind),
    });
    assert!(outcome.count(wrong) >= 1, "{outcome}");
    assert!(!outcome.complaints().is_empty());
}

#[test]
fn a_message_that_does_not_come_is_found() {
    finds_in_messages(Kind::Drop, Wrong::Lost);
}

#[test]
fn a_message_that_comes_twice_is_found() {
    finds_in_messages(Kind::Repeat, Wrong::Doubled);
}

#[test]
fn messages_out_of_order_are_found() {
    finds_in_messages(Kind::Swap, Wrong::Reordered);
}
