//! `hotsocket top` without a terminal: what is in its text, sorting and filtering by the
//! server, hostile labels. On a terminal it is tried with `tests/operating/top.py`.

use std::process::Command;

use serde_json::Value;

use crate::guests::guest;
use crate::harness::{
    Client, Serve, Server, lacks_program, prebuilt, repo, run, serve, skip, wait_for,
};

/// The rows of the table of connections: the cells of the named column.
fn column<'t>(text: &'t str, title: &str) -> Vec<&'t str> {
    let lines: Vec<_> = text.lines().collect();
    let head = lines
        .iter()
        .position(|line| line.contains(" PEER "))
        .expect("a head");
    let at = lines[head]
        .split_whitespace()
        .position(|name| name == title);
    let at = at.expect("a column");
    let rows = lines[head + 1..].iter();
    rows.filter_map(|row| row.split_whitespace().nth(at))
        .collect()
}

#[test]
fn text_has_connections_rates_and_generations() {
    let server = serve(prebuilt("echo")).start();
    let mut clients = [server.connect(), server.connect()];
    clients[0].ask("x", "x");
    clients[1].ask("12345", "12345");
    let text = server.ask(&["top", "--interval", "100ms"]).success();
    assert!(text.contains("connections 2 open of 10000"), "{text}");
    assert_eq!(column(&text, "IN"), ["5", "1"], "{text}");
    // Connections get their ids in tasks of their own.
    let mut ids = column(&text, "ID");
    ids.sort_unstable();
    assert_eq!(ids, ["1", "2"]);
    assert_eq!(column(&text, "STATE"), ["awake", "awake"]);
    let local = clients[1].stream.local_addr().expect("an address");
    assert_eq!(column(&text, "PEER")[0], local.to_string());
    assert!(text.contains(" active "), "{text}");
    let twice = server.ask(&["top", "--interval", "100ms", "--count", "2"]);
    let twice = twice.success();
    assert_eq!(twice.matches("connections 2 open").count(), 2, "{twice}");
}

fn rows(server: &Server, args: &[&str]) -> Vec<Value> {
    let ran = server.ask(&[&["top", "--json"], args].concat());
    let answer: Value = serde_json::from_str(&ran.success()).expect("JSON");
    let rows = answer["connections"]["connections"].as_array();
    rows.expect("rows").clone()
}

#[test]
fn the_server_sorts_filters_and_bounds() {
    let server = serve(prebuilt("echo")).start();
    let clients = [3, 1, 5, 2, 4].map(|count| {
        let mut client = server.connect();
        let bytes = "x".repeat(count);
        client.ask(&bytes, &bytes);
        client
    });
    let received = |args: &[&str]| {
        let rows = rows(&server, args);
        let received = rows
            .iter()
            .map(|row| row["received"].as_u64().expect("a number"));
        received.collect::<Vec<_>>()
    };
    // A session says how far it is when it comes to rest.
    wait_for("the rows to be those of the last answers", || {
        received(&["--sort", "received"]) == [5, 4, 3, 2, 1]
    });
    assert_eq!(received(&["--sort", "received", "--rows", "2"]), [5, 4]);
    assert_eq!(
        received(&["--sort", "received", "--reverse", "--rows", "1"]),
        [1]
    );
    assert_eq!(received(&["--sort", "id"]), [3, 1, 5, 2, 4]);
    let port = clients[3].stream.local_addr().expect("an address").port();
    assert_eq!(received(&["--filter", &format!(":{port}")]), [2]);
    assert_eq!(received(&["--filter", "nothing like it"]), [0; 0]);
}

#[test]
fn a_connection_that_sleeps_is_seen_asleep() {
    let server = serve(prebuilt("counter"))
        .args(&["--hibernate-after", "10ms"])
        .start();
    let mut client = server.connect();
    client.ask("x", "1 bytes so far\n");
    wait_for("it to sleep", || rows(&server, &[])[0]["state"] == "asleep");
    client.ask("x", "2 bytes so far\n");
    wait_for("the second byte to be counted", || {
        rows(&server, &[])[0]["received"] == 2
    });
}

#[test]
fn hostile_labels_do_not_steer_the_terminal() {
    let hostile = guest()
        .with_session()
        .data("(call $label \"\u{1b}[2J\u{7}evil\") (call $say \"ok\")");
    let server = serve(hostile.build()).start();
    let mut client = server.connect();
    client.ask("x", "ok");
    let ran = server.ask(&["top", "--interval", "100ms"]);
    let text = ran.success();
    assert!(text.contains("evil"), "{text}");
    assert!(
        !text.contains('\u{1b}') && !text.contains('\u{7}'),
        "{text:?}"
    );
}

#[test]
fn a_server_that_does_not_run_is_an_error() {
    let dir = crate::harness::temp_dir();
    crate::harness::ask(dir.path(), &["top"]).failure(1);
}

#[test]
fn on_a_terminal_it_survives_sizes_and_a_server_that_goes() {
    if lacks_program("python3") {
        return;
    }
    let has_pyte = Command::new("python3").args(["-c", "import pyte"]).output();
    if !has_pyte.is_ok_and(|ran| ran.status.success()) {
        return skip("pyte");
    }
    let mut script = Command::new("python3");
    script
        .arg(repo("tests/operating/top.py"))
        .arg(crate::harness::hotsocket().get_program())
        .arg(repo("guest/prebuilt/echo.wasm"));
    run(&mut script).success();
}

#[test]
fn the_head_is_about_all_services() {
    let serve = Serve::nothing().listen(&[]);
    let file = "[[service]]\nname = \"one\"\nguest = \"echo.wasm\"\nlisten = \"127.0.0.1:0\"\n\
                max-connections = 5\n\
                [[service]]\nname = \"two\"\nguest = \"echo.wasm\"\nlisten = \"127.0.0.1:0\"\n\
                max-connections = 7\n";
    std::fs::write(serve.path("echo.wasm"), prebuilt("echo")).expect("written");
    std::fs::write(serve.path("hotsocket.toml"), file).expect("written");
    let server = serve.args(&["--config", "hotsocket.toml"]).start();
    let mut clients = [0, 1, 1].map(|at| Client::connect(server.addresses[at]));
    clients.iter_mut().for_each(|client| client.ask("x", "x"));
    let text = server.ask(&["top", "--interval", "100ms"]).success();
    let [one, two] = &server.addresses[..] else {
        panic!("two addresses")
    };
    assert!(text.contains(&format!("{one}, {two}\n")), "{text}");
    assert!(
        text.contains("connections 3 open of 12, 0 asleep, 3 accepted"),
        "{text}"
    );
    assert!(text.contains("one: generation 1 "), "{text}");
    assert!(text.contains("two: generation 1 "), "{text}");
    let generations = text.lines().filter(|line| line.contains(" active "));
    assert_eq!(generations.count(), 2, "{text}");
    let text = server
        .ask(&["top", "--interval", "100ms", "--service", "two"])
        .success();
    assert!(text.contains("connections 2 open of 7"), "{text}");
}
