//! Answers of the inspector's API that go on: the log, and what a connection carries.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::admin_api::{Api, TOKEN, bearer};
use super::{connect, get};
use crate::harness::wait_for;

/// An answer that goes on.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line
    }

    /// The next record; `None` at the end.
    fn next(&mut self) -> Option<Value> {
        loop {
            let line = self.line();
            match line.as_bytes().first() {
                None => return None,
                Some(b'{') => return Some(serde_json::from_str(&line).expect("JSON")),
                // Headers, and the sizes of chunks.
                Some(_) => {}
            }
        }
    }
}

impl Api {
    /// A stream of records.
    fn stream(&self, path: &str) -> Stream {
        let (stream, status) = self.try_stream(path);
        assert!(status.starts_with("HTTP/1.1 200 "), "{status}");
        stream
    }

    /// The same, with the first line of the answer.
    fn try_stream(&self, path: &str) -> (Stream, String) {
        let mut stream = connect(self.admin);
        let ask = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
            bearer(TOKEN)
        );
        stream.write_all(ask.as_bytes()).expect("it is taken");
        let mut stream = Stream(BufReader::new(stream));
        let status = stream.line();
        (stream, status)
    }
}

#[test]
fn the_log_goes_on_while_somebody_reads_it() {
    let api = Api::start(&[
        "--access-log",
        "--admin-lifetime",
        "100ms",
        "--admin-clients",
        "2",
    ]);
    let mut log = api.stream("/api/log");
    let others: Vec<_> = (0..7).map(|_| api.stream("/api/log")).collect();
    assert_eq!(
        api.send("GET", "/api/log", &bearer(TOKEN), b"").status,
        429,
        "eight at once"
    );
    // Others come and go, and one lasts too long.
    assert_eq!(get(api.admin, "/ready").status, 200);
    let idle = connect(api.admin);
    wait_for("an idle client to be closed", || {
        api.server.limit_reached("admin-lifetime") == 1
    });
    drop((idle, others));
    let mut client = api.server.connect();
    client.ask("four", "four");
    drop(client);
    let record = log.next().expect("a record");
    assert_eq!(record["type"], "log");
    assert_eq!(
        (&record["level"], &record["kind"]),
        (&"info".into(), &"closed".into())
    );
    let text = record["text"].as_str().expect("a text");
    assert!(text.starts_with("connection 1 from 127.0.0.1:"), "{text}");
    assert!(api.server.stderr.wait("closed: ").ends_with(text));
    drop(log);
    wait_for("the others to have gone", || {
        api.stream("/api/log");
        true
    });
}

#[test]
fn a_tap_shows_a_connection_until_it_ends() {
    let api = Api::start(&[]);
    let mut client = api.server.connect();
    client.ask("one", "one");
    let mut tap = api.stream("/api/tap?connection=1");
    let lease = tap.next().expect("a lease");
    assert_eq!(lease["type"], "lease");
    assert_eq!(lease["connection"]["last_event"], "data");
    let path = format!("/api/tap/{}", lease["tap"].as_str().expect("an id"));
    assert_eq!(api.post(&path, b"").0, 200);
    client.ask("two", "two");
    let event = tap.next().expect("an event");
    assert_eq!(
        (&event["event"], &event["in_bytes"]),
        (&"data".into(), &3.into())
    );
    drop(client);
    let last = std::iter::from_fn(|| tap.next()).last().expect("a record");
    assert_eq!(last["type"], "end");
    wait_for("the tap to be gone", || api.post(&path, b"").0 == 404);
    for (query, status) in [("", 400), ("?connection=x", 400), ("?connection=99", 404)] {
        let path = format!("/api/tap{query}");
        let answer = api.send("GET", &path, &bearer(TOKEN), b"");
        assert_eq!(answer.status, status, "{query}");
    }
}

#[test]
fn a_stream_that_is_not_read_is_closed() {
    let api = Api::start(&["--admin-lifetime", "100ms"]);
    let mut client = api.server.connect();
    client.ask("one", "one");
    let tap = api.stream("/api/tap?connection=1");
    let piece = "x".repeat(64 << 10);
    wait_for("it to be closed", || {
        client.ask(&piece, &piece);
        api.server.limit_reached("admin-lifetime") == 1
    });
    drop(tap);
}

#[test]
fn a_viewer_that_reads_nothing_loses_its_place_with_its_lease() {
    let api = Api::start(&[
        "--max-taps",
        "1",
        "--tap-lease",
        "3s",
        "--admin-lifetime",
        "1h",
    ]);
    let mut client = api.server.connect();
    client.ask("one", "one");
    let path = "/api/tap?connection=1";
    let mut tap = api.stream(path);
    let lease = tap.next().expect("a lease");
    let renewal = format!("/api/tap/{}", lease["tap"].as_str().expect("an id"));
    // More than buffers on the way have room for.
    let piece = "x".repeat(64 << 10);
    wait_for("more than it takes", || {
        assert_eq!(api.post(&renewal, b"").0, 200);
        client.ask(&piece, &piece);
        api.server.limit_reached("tap-buffer") > 0
    });
    let is_refused = || api.try_stream(path).1.starts_with("HTTP/1.1 429 ");
    assert!(is_refused(), "it has its place while it renews");
    wait_for("room for another", || !is_refused());
    assert_eq!(api.server.limit_reached("tap-lease"), 1);
    assert_eq!(api.server.limit_reached("admin-lifetime"), 0);
    drop(tap);
}

#[test]
fn a_log_that_was_begun_with_another_token_ends() {
    let api = Api::start(&[]);
    let mut log = api.stream("/api/log");
    let file = api.server.path("token");
    fs::write(&file, "fedcba9876543210").expect("writable");
    // The last record may be the one about the token.
    while log.next().is_some() {}
    assert_eq!(api.send("GET", "/api/log", &bearer(TOKEN), b"").status, 401);
}
