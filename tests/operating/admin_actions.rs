//! Swap and rollback through the inspector's API.

use std::io::{BufRead, BufReader, Write};

use serde_json::Value;

use super::admin_api::{Api, TOKEN, bearer, json};
use super::{connect, get, request};
use crate::guests::guest;
use crate::harness::{prebuilt, wait_for};

#[test]
fn the_name_of_a_file_does_not_turn_the_line_around() {
    let api = Api::start(&[]);
    let (status, answer) = api.post(
        "/api/swap?name=%E2%80%AEgpj%C2%9B.wasm",
        &prebuilt("counter"),
    );
    assert_eq!(status, 200, "{answer}");
    let shown = "generation 2 is \\u{202e}gpj\\x9b.wasm (";
    let text = answer["text"].as_str().expect("a text");
    assert!(text.contains(shown), "{text}");
    api.server.stderr.wait(shown);
    for args in [["history"].as_slice(), &["status"]] {
        let said = api.server.ask(args).success();
        assert!(said.contains("\\u{202e}gpj\\x9b.wasm"), "{said}");
    }
    // Programs get what it is, in JSON that a terminal can show.
    let history = get(api.admin, "/api/history").body;
    assert!(history.contains("\\u202egpj\\u009b.wasm"), "{history}");
    let printed = api.server.ask(&["history", "--json"]).success();
    assert!(printed.contains("\\u202egpj\\u009b.wasm"), "{printed}");
    let log = api.server.stop().stderr;
    assert!(!log.contains(['\u{202e}', '\u{9b}']), "{log}");
}

#[test]
fn a_swap_and_a_rollback_answer_as_the_commands_do() {
    let api = Api::start(&[]);
    let mut client = api.server.connect();
    client.ask("one", "one");
    let (status, answer) = api.post("/api/swap?name=%3Ccounter%3E.wasm", &prebuilt("counter"));
    assert_eq!(
        (status, &answer["ok"]),
        (200, &Value::Bool(true)),
        "{answer}"
    );
    assert_eq!(answer["report"]["migrated"], 1);
    let text = answer["text"].as_str().expect("a text");
    let is = "swapped: generation 2 is <counter>.wasm (";
    assert!(text.starts_with(is), "{text}");
    assert!(api.server.stderr.wait(is).ends_with(text), "as in the log");
    client.ask("two", "3 bytes so far\n");

    let junk = b"this is no component";
    let name = api.server.path("next.wasm").display().to_string();
    let (status, answer) = api.post(&format!("/api/swap?name={name}"), junk);
    let command = api.server.try_swap(junk, &[]);
    assert_eq!((status, command.code), (409, 1));
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["text"].as_str(), Some(command.stderr.trim_end()));
    assert_eq!(answer["report"], Value::Null);

    let (status, answer) = api.post("/api/rollback?policy=never", b"");
    let command = api.server.ask(&["rollback", "--policy", "never"]);
    assert_eq!(
        (status, &answer["ok"]),
        (409, &Value::Bool(false)),
        "{answer}"
    );
    assert!(command.code > 0);
    let (status, answer) = api.post("/api/rollback?policy=migrate", b"");
    assert_eq!(status, 200, "{answer}");
    let text = answer["text"].as_str().expect("a text");
    let is = "rolled back: generation 1 is ";
    assert!(text.starts_with(is), "{text}");
    assert!(api.server.stderr.wait(is).ends_with(text), "as in the log");
    client.ask("three", "three");
    let (status, answer) = api.post("/api/rollback", b"");
    let command = api.server.ask(&["rollback"]);
    assert_eq!((status, command.code), (409, 1));
    assert_eq!(answer["text"].as_str(), Some(command.stderr.trim_end()));
    for wrong in ["?service=none", "?policy=x"] {
        assert_eq!(api.post(&format!("/api/rollback{wrong}"), b"").0, 409);
    }
    assert_eq!(api.post("/api/rollback?token=x", b"").0, 400);
    assert_eq!(api.post("/api/rollback", b"a body").0, 400);
}

#[test]
fn a_rollback_leaves_the_generation_that_was_asked_about_or_none() {
    let api = Api::start(&[]);
    for guest in ["counter", "echo"] {
        assert_eq!(api.post("/api/swap", &prebuilt(guest)).0, 200);
    }
    let active = || api.server.status()["generation"].clone();
    let (status, answer) = api.post("/api/rollback?from=2", b"");
    assert_eq!((status, &answer["ok"]), (409, &Value::Bool(false)));
    let text = answer["text"].as_str().expect("a text");
    let why = "not rolled back: generation 2 is not active any more";
    assert!(text.contains(why), "{text}");
    assert_eq!(active(), 3);
    assert_eq!(api.post("/api/rollback?from=first", b"").0, 400);
    let (status, answer) = api.post("/api/rollback?from=3&service=guest", b"");
    assert_eq!(status, 200, "{answer}");
    assert_eq!(active(), 2);
}

#[test]
fn a_swap_that_connections_undo_is_a_failure_with_a_report() {
    let api = Api::start(&["--rollback-after", "1/1"]);
    let mut client = api.server.connect();
    client.ask("one", "one");
    let bad = guest().body("open", "unreachable");
    let (status, answer) = api.post("/api/swap?name=bad.wasm", &bad.build());
    assert_eq!(
        (status, &answer["ok"]),
        (409, &Value::Bool(false)),
        "{answer}"
    );
    assert_eq!(answer["report"]["outcome"], "undone");
    client.ask("two", "two");
}

#[test]
fn a_component_that_is_too_large_is_refused_before_it_arrives() {
    let api = Api::start(&["--max-component", "64K"]);
    let head = |length: &str| {
        let host = "Host: localhost\r\n";
        format!(
            "POST /api/swap HTTP/1.1\r\n{host}{}{length}\r\n",
            bearer(TOKEN)
        )
    };
    // Nothing of it is sent.
    let announced = request(api.admin, &head("Content-Length: 65537\r\n"));
    assert_eq!(announced.status, 413);
    let error = json(&announced)["error"].to_string();
    assert!(error.contains("--max-component"), "{error}");
    let chunks = format!("1000\r\n{}\r\n", "x".repeat(0x1000)).repeat(17);
    let endless = head("Transfer-Encoding: chunked\r\n") + &chunks;
    assert_eq!(request(api.admin, &endless).status, 413);
    wait_for("both to be counted", || {
        api.server.limit_reached("max-component") == 2
    });
    // Without the token not even its length matters.
    let without = "POST /api/swap HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65537\r\n\r\n";
    assert_eq!(request(api.admin, without).status, 401);
}

#[test]
fn a_component_that_does_not_arrive_is_given_up() {
    let api = Api::start(&["--admin-lifetime", "100ms"]);
    let head = format!(
        "POST /api/swap HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: 100\r\n\r\nhalf",
        bearer(TOKEN)
    );
    let answer = request(api.admin, &head);
    assert_eq!(answer.status, 408);
    assert!(answer.body.contains("--admin-lifetime"), "{answer:?}");
    assert_eq!(api.server.limit_reached("admin-lifetime"), 1);
    // One that breaks off swaps nothing either.
    let mut stream = connect(api.admin);
    stream.write_all(head.as_bytes()).expect("it is taken");
    drop(stream);
    assert_eq!(api.post("/api/rollback", b"").0, 409);
    assert_eq!(api.server.history().len(), 1);
}

#[test]
fn a_few_swaps_at_once_leave_room_for_all_else() {
    let api = Api::start(&["--admin-clients", "1"]);
    let head = format!(
        "POST /api/swap HTTP/1.1\r\nHost: localhost\r\n{}Expect: 100-continue\r\n\
         Content-Length: 100\r\n\r\n",
        bearer(TOKEN)
    );
    let arriving: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = connect(api.admin);
            stream.write_all(head.as_bytes()).expect("it is taken");
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            stream.read_line(&mut line).expect("a line");
            assert!(line.starts_with("HTTP/1.1 100"), "{line}");
            stream
        })
        .collect();
    let (status, answer) = api.post("/api/rollback", b"");
    assert_eq!(status, 429, "{answer}");
    assert_eq!(get(api.admin, "/ready").status, 200);
    drop(arriving);
    wait_for("one to be given up", || {
        api.post("/api/rollback", b"").0 == 409
    });
}
