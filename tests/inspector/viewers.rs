//! Who looks: several, too many, too slow, gone; and what it is to those that nobody
//! looks at.

use std::io::Write;
use std::net::Shutdown;

use serde_json::Value;

use super::{Viewer, brief, briefs};
use crate::guests::counting;
use crate::harness::{prebuilt, serve, wait_for};

#[test]
fn all_viewers_of_a_connection_see_the_same() {
    let server = serve(prebuilt("echo")).start();
    let mut client = server.connect();
    client.ask("x", "x");
    let mut viewers = [(); 3].map(|()| Viewer::of(&server, Some(1)));
    client.ask("hello", "hello");
    client.end();
    client.expect_rest("");
    let [one, other, third] = viewers.each_mut().map(Viewer::rest);
    assert_eq!(briefs(&one)[0], "data hello > hello");
    assert_eq!(one, other);
    assert_eq!(one, third);
}

#[test]
fn of_a_service_those_are_seen_that_come_too() {
    let server = serve(counting("A").build()).start();
    let mut first = server.connect();
    first.ask("x", "A1");
    let mut viewer = Viewer::of(&server, None);
    let mut second = server.connect();
    second.ask("y", "A1");
    first.ask("x", "A2");
    let seen = viewer.until(|record| brief(record) == "data x > A2");
    assert_eq!(
        briefs(&seen),
        ["open accepted", "data y > A1", "data x > A2"]
    );
    let ids: Vec<_> = seen
        .iter()
        .map(|record| record["connection"].clone())
        .collect();
    assert_eq!(ids, [2, 2, 1]);
    // It goes on when one of them has gone.
    drop(second);
    viewer.until(|record| record["mark"] == "closed");
    first.ask("z", "A3");
    viewer.until(|record| brief(record) == "data z > A3");
}

#[test]
fn a_slow_viewer_delays_nobody_and_learns_how_much_it_has_missed() {
    let server = serve(prebuilt("echo"))
        .args(&["--tap-buffer", "256K"])
        .start();
    let mut client = server.connect();
    client.ask("x", "x");
    let mut viewer = Viewer::of(&server, Some(1));
    let mut sent = 0;
    let block = [b'b'; 4096];
    while server.limit_reached("tap-buffer") == 0 {
        for _ in 0..100 {
            client.ask(block, block);
            sent += block.len() as u64;
        }
    }
    client.end();
    client.expect_rest("");
    let records = viewer.rest();
    let sum = |of: &str, field: &str| -> u64 {
        let records = records.iter().filter(|record| record["type"] == of);
        records.filter_map(|record| record[field].as_u64()).sum()
    };
    let dropped = (sum("dropped", "records"), sum("dropped", "bytes"));
    assert!(dropped.0 > 0 && dropped.1 > 0, "{dropped:?}");
    let seen = sum("event", "in_bytes") + sum("event", "out_bytes");
    assert_eq!(seen + dropped.1, 2 * sent);
    // The numbers of records have gaps where so many were dropped.
    let mut next = 1;
    for record in &records {
        match record["type"].as_str() {
            Some("dropped") => next += record["records"].as_u64().expect("a number"),
            Some("end") => {}
            _ => {
                assert_eq!(record["seq"], next, "{record}");
                next += 1;
            }
        }
    }
    let last = &records[records.len() - 2];
    assert_eq!(brief(last), "* closed", "the end is never dropped");
}

#[test]
fn there_are_only_so_many_viewers() {
    let server = serve(prebuilt("echo")).args(&["--max-taps", "1"]).start();
    let mut client = server.connect();
    client.ask("x", "x");
    let viewer = Viewer::of(&server, Some(1));
    let (_, refused) = Viewer::try_of(&server, Some(1));
    assert_eq!(
        refused["error"],
        "no more viewers than 1 may look at connections at once (--max-taps)"
    );
    assert_eq!(server.limit_reached("max-taps"), 1);
    // One that goes makes room, though nothing happens on the connection.
    drop(viewer);
    wait_for("room for another", || {
        Viewer::try_of(&server, Some(1)).1["type"] == "lease"
    });
}

#[test]
fn one_that_ends_its_side_is_gone() {
    let server = serve(prebuilt("echo")).start();
    let mut client = server.connect();
    client.ask("x", "x");
    let mut viewer = Viewer::of(&server, Some(1));
    let stream = viewer.0.get_mut();
    stream.write_all(b"whatever else\n").expect("it is taken");
    stream.shutdown(Shutdown::Write).expect("it ends");
    assert_eq!(viewer.next(), None);
}

#[test]
fn of_a_thousand_connections_only_the_one_is_seen() {
    let server = serve(prebuilt("echo")).start();
    let mut clients: Vec<_> = (0..1000).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("x");
    }
    for client in &mut clients {
        client.expect("x");
    }
    let mut viewer = Viewer::of(&server, Some(500));
    for client in &mut clients {
        client.ask("again", "again");
    }
    let seen = viewer.until(|record| record["type"] == "event");
    assert_eq!(briefs(&seen), ["data again > again"]);
    drop(clients);
    let seen = viewer.rest();
    assert!(
        seen.iter()
            .all(|record| record["connection"] == 500 || record["type"] == "end")
    );
    // Rows of the list have the last event, whoever looks.
    let list = server.ask_json(&["top", "--rows", "1"]);
    assert!(list["connections"]["connections"].is_array(), "{list}");
}

#[test]
fn the_list_has_the_last_event_and_its_cpu_time() {
    let server = serve(prebuilt("echo")).start();
    let mut client = server.connect();
    client.ask("x", "x");
    let row = || -> Value {
        let list = server.ask_json(&["top"]);
        list["connections"]["connections"][0].clone()
    };
    assert_eq!(row()["last_event"], "data");
    for _ in 0..2000 {
        client.ask("x", "x");
    }
    assert!(row()["cpu_us"].as_u64() > Some(0), "{}", row());
}
