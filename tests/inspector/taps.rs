//! What is recorded of a connection, and when: only what has happened.

use super::{Viewer, brief, briefs, text};
use crate::guests::{counting, guest, messenger, opening};
use crate::harness::{Client, Server, prebuilt, serve};
use crate::topics::{Orders, connect};

/// A server with one client, who has had an answer, and its viewer.
fn watched(guest: Vec<u8>, args: &[&str], greeting: [&str; 2]) -> (Server, Client, Viewer) {
    let server = serve(guest).args(args).start();
    let mut client = server.connect();
    client.ask(greeting[0], greeting[1]);
    let viewer = Viewer::of(&server, Some(1));
    (server, client, viewer)
}

#[test]
fn both_directions_are_seen_in_order_with_what_they_cost() {
    let (_server, mut client, mut viewer) =
        watched(prebuilt("counter"), &[], ["x", "1 bytes so far\n"]);
    client.ask("hello", "6 bytes so far\n");
    client.ask([0xff; 4], "10 bytes so far\n");
    client.end();
    client.expect_rest("");
    let records = viewer.rest();
    assert_eq!(
        briefs(&records),
        [
            "data hello > 6 bytes so far",
            "data \u{fffd}\u{fffd}\u{fffd}\u{fffd} > 10 bytes so far",
            "end",
            "* fin-sent",
            "close ended",
            "* closed",
            "end"
        ]
    );
    for (seq, record) in (1..).zip(&records[..6]) {
        assert_eq!(record["seq"], seq, "{record}");
        assert_eq!(
            (&record["connection"], &record["service"]),
            (&1.into(), &"guest".into())
        );
        assert!(record["time"].as_f64() > Some(1.7e12), "{record}");
    }
    let first = &records[0];
    assert_eq!(
        (&first["in_bytes"], &first["out_bytes"]),
        (&5.into(), &15.into())
    );
    assert_eq!(first["generation"], 1);
    let (wall, cpu) = (first["wall_us"].as_f64(), first["cpu_us"].as_f64());
    assert!(wall > Some(0.0) && cpu > Some(0.0), "{first}");
    assert_eq!(records[5]["cause"], "ended");
    assert_eq!(
        records[5]["text"],
        "closed: ended; 10 bytes in, 46 bytes out"
    );
}

#[test]
fn a_large_write_is_seen_like_any_other() {
    let (_server, mut client, mut viewer) = watched(prebuilt("echo"), &[], ["x", "x"]);
    let large = vec![b'y'; 200_000];
    let sending = client.send_meanwhile(large.clone());
    client.expect(large);
    sending.join().expect("no panic").expect("it is taken");
    client.end();
    let records = viewer.rest();
    let sum = |field: &str| -> u64 {
        let events = records.iter().filter(|record| record["type"] == "event");
        events.filter_map(|event| event[field].as_u64()).sum()
    };
    assert_eq!((sum("in_bytes"), sum("out_bytes")), (200_000, 200_000));
}

#[test]
fn a_swap_under_it_and_a_rollback_are_marked_in_place() {
    let (server, mut client, mut viewer) = watched(counting("A").build(), &[], ["x", "A1"]);
    server.swap(counting("B").build(), &[]);
    client.ask("x", "B2");
    server.roll_back(&[]);
    client.ask("x", "A3");
    let seen = briefs(&viewer.until(|record| brief(record) == "data x > A3"));
    assert_eq!(
        seen,
        [
            "* swap",
            "open migrated (held)",
            "* probation-ended",
            "data x > B2",
            "* rollback",
            "open migrated (held)",
            "* probation-ended",
            "data x > A3",
        ]
    );
}

#[test]
fn what_is_held_back_is_seen_when_it_goes_out() {
    let (server, mut client, mut viewer) = watched(counting("A").build(), &[], ["x", "A1"]);
    let greets = opening("B", "(call $say \"hello again, \")").build();
    server.swap(greets, &[]);
    let open = viewer
        .until(|record| record["type"] == "event")
        .pop()
        .expect("one");
    assert_eq!(brief(&open), "open migrated (held)");
    assert!(
        open.get("out").is_none() && open.get("out_bytes").is_none(),
        "{open}"
    );
    client.ask("x", "hello again, B2");
    let seen = briefs(&viewer.until(|record| record["event"] == "data"));
    assert_eq!(seen, ["* probation-ended > hello again,", "data x > B2"]);
}

#[test]
fn what_an_event_wrote_that_died_is_not_seen() {
    let dying = guest()
        .data("(call $say \"never sent\") (call $trap)")
        .build();
    let (server, mut client, mut viewer) = watched(counting("A").build(), &[], ["x", "A1"]);
    server.swap(dying, &[]);
    client.ask("x", "A2");
    let records = viewer.until(|record| brief(record) == "data x > A2");
    assert_eq!(
        briefs(&records),
        [
            "* swap",
            "open migrated (held)",
            "data x (fault)",
            "* rollback",
            "open migrated",
            "data x > A2",
        ]
    );
    assert_eq!(records[2]["generation"], 2);
    assert_eq!(records[2]["out_bytes"], 0);
    let fault = records[2]["fault"].as_str().expect("a text");
    assert!(
        fault.contains("unreachable") && !fault.contains('\n'),
        "{fault}"
    );
    assert_eq!(
        (&records[3]["from"], &records[3]["to"]),
        (&2.into(), &1.into())
    );
}

#[test]
fn the_event_that_kills_a_connection_is_the_last() {
    let dying = guest()
        .data("(if (i32.eq (local.get $count) (i32.const 1)) (then (call $say \"ok\")) (else (call $say \"lost\") (call $trap)))")
        .build();
    let (_server, mut client, mut viewer) = watched(dying, &[], ["x", "ok"]);
    client.send("die");
    client.expect_rest("");
    let records = viewer.rest();
    assert_eq!(briefs(&records), ["data die (fault)", "* closed", "end"]);
    assert_eq!(records[1]["cause"], "fault");
}

#[test]
fn a_restart_after_a_trap_is_marked() {
    let (_server, mut client, mut viewer) =
        watched(messenger(), &["--on-trap", "restart"], ["?\n", "what?\n"]);
    client.send("trap\n");
    let mut seen = viewer.until(|record| record["origin"] == "restarted");
    client.ask("?\n", "what?\n");
    seen.extend(viewer.until(|record| brief(record) == "data ? > what?"));
    let seen: Vec<_> = briefs(&seen)
        .into_iter()
        .filter(|brief| !brief.starts_with("std"))
        .collect();
    assert_eq!(
        seen,
        [
            "data trap (fault)",
            "* restart",
            "open restarted",
            "data ? > what?"
        ]
    );
}

#[test]
fn sleep_and_waking_are_marked() {
    let (_server, mut client, mut viewer) = watched(
        counting("A").build(),
        &["--hibernate-after", "100ms"],
        ["x", "A1"],
    );
    viewer.until(|record| record["mark"] == "asleep");
    client.ask("x", "A2");
    let seen = briefs(&viewer.until(|record| record["event"] == "data"));
    assert_eq!(seen, ["* woke", "open woken", "data x > A2"]);
}

#[test]
fn lines_timers_and_effects_are_seen() {
    let telling = guest()
        .data(
            "(call $print \"to stdout \u{1b}[2J\") (call $error \"to stderr\")
             (call $set-timer (i32.const 3) (i64.const 1)) (call $say \"x\")",
        )
        .body("timer", "(call $say \"y\")")
        .build();
    let server = serve(telling).start();
    let mut client = server.connect();
    server.wait_open(1);
    let mut viewer = Viewer::of(&server, Some(1));
    client.ask("z", "xy");
    let records = viewer.until(|record| record["event"] == "timer");
    assert_eq!(
        briefs(&records),
        [
            "stdout: to stdout \u{1b}[2J",
            "stderr: to stderr",
            "data z > x",
            "timer > y"
        ]
    );
    assert_eq!(records[2]["effects"], serde_json::json!(["timer 3 in 1ms"]));
    assert_eq!(records[3]["timer"], 3);
    assert_eq!(records[0]["level"], "info");
    assert_eq!(records[1]["level"], "error");
}

#[test]
fn messages_are_seen_where_they_come_and_where_they_are_asked_for() {
    let server = serve(messenger()).start();
    let [mut one, mut other] = connect(&server);
    let mut viewer = Viewer::of(&server, Some(1));
    let mut of_other = Viewer::of(&server, Some(2));
    one.order("event news");
    one.order("direct ticker");
    other.order("publish ticker 17");
    one.expect("17");
    other.order("publish news hello");
    let seen = viewer.until(|record| record["event"] == "message");
    let subscribed = &seen[0];
    assert_eq!(subscribed["effects"], serde_json::json!(["subscribe news"]));
    let direct = seen.iter().find(|record| record["type"] == "direct");
    let direct = direct.expect("a direct delivery");
    assert_eq!(
        (brief(direct).as_str(), &direct["out_bytes"]),
        ("direct ticker > 17", &2.into())
    );
    let message = seen.last().expect("one");
    assert_eq!(
        (&message["topic"], &message["sender"], text(message, "in")),
        (&"news".into(), &2.into(), "hello".to_owned())
    );
    let published = of_other.until(|record| record["effects"][0].is_string());
    let published = published.last().expect("one");
    assert_eq!(
        published["effects"],
        serde_json::json!(["publish ticker (2 bytes)"])
    );
}
