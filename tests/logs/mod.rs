//! The log's two formats. With `--log-format json` each line, those of guests
//! too, is a record of the shape that `docs/logs.md` shows for its kind.

mod access;

use std::fs;
use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::Value;

use crate::guests::guest;
use crate::harness::{Lines, Serve, Server, repo, serve, wait_for};

/// What a record of some kinds has only at times.
const OPTIONAL: [&str; 5] = ["event", "function", "lost_events", "peer", "suppressed"];

/// Start a server that logs in JSON.
fn start(serve: Serve) -> Server {
    let mut server = serve.args(&["--log-format", "json"]).start();
    server.addresses = records(&server.stderr)
        .iter()
        .filter(|record| record["kind"] == "listening")
        .map(|record| record["address"].as_str().expect("text"))
        .map(|address| address.parse().expect("an address"))
        .collect();
    server
}

/// Every line of a stream. Each must have the shape that is documented.
fn records(lines: &Lines) -> Vec<Value> {
    let text = lines.text();
    // The last line may be half of one.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |line: &str| {
        let record = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        check(&record);
        record
    };
    whole.lines().map(parse).collect()
}

/// Wait for a record of this kind, and give the first one.
fn wait_record(lines: &Lines, kind: &str) -> Value {
    let mut found = None;
    wait_for(&format!("a record of the kind {kind}"), || {
        let mut records = records(lines).into_iter();
        found = records.find(|record| record["kind"] == kind);
        found.is_some()
    });
    found.expect("it is there")
}

/// The examples in the documentation.
fn documented() -> Vec<Value> {
    let page = fs::read_to_string(repo("docs/logs.md")).expect("a page");
    let examples = page.lines().filter(|line| line.starts_with('{'));
    examples
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// What every record has, and for its kind the same fields with the same types
/// as an example in the documentation.
fn check(record: &Value) {
    let time = record["timestamp"].as_str().expect("a time");
    assert_eq!(time.len(), "2026-01-02T03:04:05.678901Z".len(), "{record}");
    let level = record["level"].as_str().expect("a level");
    assert!(
        ["error", "warn", "info", "debug"].contains(&level),
        "{record}"
    );
    assert!(record["message"].is_string(), "{record}");
    if let Some(connection) = record["connection"].as_object() {
        assert!(connection["id"].is_u64(), "{record}");
        if record["kind"] != "guest" {
            let peer = connection["peer"].as_str().expect("a peer");
            assert!(peer.parse::<SocketAddr>().is_ok(), "{record}");
            assert!(connection["generation"].is_u64(), "{record}");
        }
    } else {
        assert!(record["connection"].is_null(), "{record}");
    }
    if record["kind"].is_null() {
        assert_eq!(
            record.as_object().map(serde_json::Map::len),
            Some(4),
            "{record}"
        );
        return;
    }
    let examples = documented();
    let mut examples = examples.iter();
    assert!(
        examples.any(|example| is_like(record, example)),
        "not as in docs/logs.md: {record}"
    );
}

fn is_like(record: &Value, example: &Value) -> bool {
    let (record, example) = (record.as_object(), example.as_object());
    let (record, example) = (record.expect("an object"), example.expect("an object"));
    let is_known = |(name, value): (&String, &Value)| {
        name == "connection"
            || example
                .get(name)
                .is_some_and(|example| same_type(value, example))
    };
    let is_there = |name: &String| OPTIONAL.contains(&name.as_str()) || record.contains_key(name);
    record["kind"] == example["kind"] && record.iter().all(is_known) && example.keys().all(is_there)
}

fn same_type(one: &Value, other: &Value) -> bool {
    one.is_u64() && other.is_u64()
        || one.is_string() && other.is_string()
        || one.is_boolean() && other.is_boolean()
        || one.is_object() && other.is_object()
}

#[test]
fn the_documented_examples_are_records() {
    let examples = documented();
    for example in &examples {
        check(example);
    }
    let kinds = first_column("| kind |");
    for kind in &kinds {
        let mut examples = examples.iter().map(|example| &example["kind"]);
        assert!(examples.any(|known| known == kind), "no example of {kind}");
    }
    for example in &examples {
        let kind = example["kind"].as_str().unwrap_or_default();
        assert!(
            kinds.iter().any(|known| known == kind),
            "{kind} is not listed"
        );
    }
    let causes = [
        &access::CAUSES[..],
        &access::TOPIC_CAUSES,
        &access::TLS_CAUSES,
    ]
    .concat();
    assert_eq!(first_column("| cause |"), causes);
}

/// The names in the first column of the table that begins so.
fn first_column(header: &str) -> Vec<String> {
    let page = fs::read_to_string(repo("docs/logs.md")).expect("a page");
    let table = page.lines().skip_while(|line| !line.starts_with(header));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

#[test]
fn start_and_stop_are_records() {
    let mut server = start(Serve::prebuilt("echo"));
    let serving = wait_record(&server.stderr, "serving");
    assert_eq!(serving["generation"], 1);
    assert_eq!(serving["sha256"].as_str().map(str::len), Some(64));
    server.connect().ask("x", "x");
    let _open = server.connect();
    server.wait_open(1);
    server.signal(Signal::TERM);
    assert_eq!(wait_record(&server.stderr, "draining")["connections"], 1);
    server.close_all();
    server.end();
    assert_eq!(wait_record(&server.stderr, "stopping")["connections"], 1);
    assert_eq!(wait_record(&server.stderr, "stopped")["cut_off"], 0);
    let quiet = records(&server.stderr);
    assert!(quiet.iter().all(|record| record["connection"].is_null()));
}

#[test]
fn a_server_that_cannot_start_says_so_in_a_record() {
    let ran = serve("no component").args(&["--log-format", "json"]).fail();
    assert_eq!(ran.code, 1);
    let record: Value = serde_json::from_str(&ran.stderr).expect("one record");
    check(&record);
    assert_eq!(
        (&record["kind"], &record["level"]),
        (&"failed".into(), &"error".into())
    );
}

#[test]
fn a_fault_is_a_record_of_its_connection() {
    let server = start(serve(guest().data("(call $trap)").build()));
    let mut client = server.connect();
    let peer = client.stream.local_addr().expect("an address").to_string();
    client.send("x");
    client.expect_over();
    let fault = wait_record(&server.stderr, "fault");
    assert_eq!(fault["level"], "error");
    assert_eq!(fault["connection"]["id"], 1);
    assert_eq!(fault["connection"]["peer"], peer);
    assert_eq!(fault["connection"]["generation"], 1);
    assert_eq!(fault["event"], "data");
    assert_eq!(fault["cause"], "trap");
    assert_eq!(fault["function"], "trap");
    assert_eq!(fault["outcome"], "closed");
    let message = fault["message"].as_str().expect("text");
    assert!(
        message.starts_with("guest trapped in `data`: "),
        "{message}"
    );
}

#[test]
fn a_restart_and_a_refusal_are_records() {
    let args = ["--on-trap", "restart"];
    let server = start(serve(guest().data("(call $trap)").build()).args(&args));
    let mut client = server.connect();
    client.send("x");
    assert_eq!(wait_record(&server.stderr, "fault")["outcome"], "restarted");

    let refusing = guest().body("open", r#"(call $refuse "house full")"#);
    let server = start(serve(refusing.build()));
    server.connect().expect_over();
    let refused = wait_record(&server.stderr, "refused");
    assert_eq!(refused["reason"], "house full");
    assert_eq!(refused["level"], "info");
}

#[test]
fn swaps_are_records_and_connections_are_logged_with_their_new_generation() {
    let server = start(serve(guest().build()).args(&["--max-line", "5"]));
    let mut client = server.connect();
    server.wait_open(1);
    fs::write(server.path("guest.wasm"), "no component").expect("writable");
    let failed = wait_record(&server.stderr, "swap");
    assert_eq!(failed["outcome"], "failed");
    assert_eq!(failed["generation"], 1);

    let wordy = guest().data(r#"(call $print "too long a line") (call $say "ok")"#);
    server.overwrite(wordy.build(), 2);
    let mut swaps = records(&server.stderr).into_iter();
    let swap = swaps
        .find(|record| record["outcome"] == "swapped")
        .expect("a swap");
    assert_eq!(
        (&swap["generation"], &swap["previous"]),
        (&2.into(), &1.into())
    );
    assert_eq!((&swap["migrated"], &swap["failed"]), (&1.into(), &0.into()));

    client.ask("x", "ok");
    let limit = wait_record(&server.stderr, "limit");
    assert_eq!(limit["limit"], "max-line");
    assert_eq!(limit["connection"]["id"], 1);
    assert_eq!(limit["connection"]["generation"], 2);
}

#[test]
fn what_fails_in_a_swap_is_a_record() {
    let old = guest().body("save", "(call $trap) (call $none)");
    let server = start(serve(old.build()));
    let _client = server.connect();
    server.wait_open(1);
    let refusing = guest().body("open", r#"(call $refuse "not me")"#);
    fs::write(server.path("guest.wasm"), refusing.build()).expect("writable");
    let no_snapshot = wait_record(&server.stderr, "no-snapshot");
    assert_eq!(no_snapshot["event"], "save");
    let failed = wait_record(&server.stderr, "migration-failed");
    assert_eq!(failed["outcome"], "stayed");
    assert_eq!(failed["cause"], "refused");
    assert_eq!(failed["connection"]["generation"], 1);
    assert_eq!(failed["target_generation"], 2);
}

#[test]
fn a_guests_lines_are_records_on_the_streams_that_it_chose() {
    let wild = "two\nlines and \u{1b}[2J";
    let talking = guest()
        .body("listening", r#"(call $print "ready")"#)
        .data(&format!(
            r#"(call $print "{wild}") (call $error "bad") (call $say "ok")"#
        ));
    let server = start(serve(talking.build()));
    server.connect().ask("x", "ok");
    server.stdout.wait("lines and");
    let [ready, out] = &records(&server.stdout)[..] else {
        panic!("two lines")
    };
    assert_eq!(
        (&ready["message"], &ready["connection"]),
        (&"ready".into(), &Value::Null)
    );
    assert_eq!(
        (&out["message"], &out["level"]),
        (&wild.into(), &"info".into())
    );
    assert_eq!(
        (&out["stream"], &out["connection"]["id"]),
        (&"stdout".into(), &1.into())
    );
    let error = wait_record(&server.stderr, "guest");
    assert_eq!(
        (&error["message"], &error["level"]),
        (&"bad".into(), &"error".into())
    );
    assert_eq!(
        (&error["stream"], &error["connection"]["id"]),
        (&"stderr".into(), &1.into())
    );
}

#[test]
fn text_is_a_sentence_after_time_level_and_connection() {
    let server = serve(guest().data("(call $trap)").build())
        .args(&["--access-log"])
        .start();
    let mut client = server.connect();
    let peer = client.stream.local_addr().expect("an address");
    client.send("hello");
    client.expect_over();
    drop(client);
    let after_time = |line: &str| line.split_once("Z ").expect("a time").1.to_owned();
    let fault = after_time(&server.stderr.wait("trapped"));
    let expected = format!("ERROR connection 1 from {peer}: guest trapped in `data`: ");
    assert!(fault.starts_with(&expected), "{fault}");
    let closed = after_time(&server.stderr.wait("closed: "));
    let start = format!(" INFO connection 1 from {peer} closed: fault; 5 bytes in, 0 bytes out, ");
    assert!(closed.starts_with(&start), "{closed}");
    assert!(closed.ends_with("s, generation 1"), "{closed}");
}

/// Whatever is named so: a file, a guest's reason.
#[test]
fn a_line_break_in_a_name_begins_no_line() {
    let refuses = guest().body("open", r#"(call $refuse "full\nINFO forged")"#);
    let serve = Serve::nothing();
    let path = serve.path("x\nINFO forged.wasm");
    fs::write(&path, refuses.build()).expect("writable");
    let server = serve.arg(&path).start();
    server.connect().expect_over();
    server.stderr.wait("refused the connection: full");
    fs::write(&path, "no component").expect("writable");
    server.stderr.wait("not swapped");
    let log = server.stop().stderr;
    assert!(
        log.contains("x\\x0aINFO forged.wasm, generation 1"),
        "{log}"
    );
    let begins = |line: &str| line.starts_with("20");
    assert!(log.lines().all(begins), "{log}");

    let serve = Serve::nothing();
    let path = serve.path("none\nINFO forged.wasm");
    let ran = serve.arg(path).fail();
    assert_eq!(ran.failure(1).lines().count(), 1);
}
