//! The file is read again when it changes and on SIGHUP, under open connections.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Stdio;

use rustix::process::Signal;

use super::{replace, with_file};
use crate::guests::{counting, differing, with_spare_memories};
use crate::harness::files::rename_over;
use crate::harness::{Client, PATIENCE, Process, Reader, Server, hotsocket, prebuilt, wait_for};

pub(super) const FIRST: &str = r#"
[[service]]
name = "count"
guest = "counter.wasm"
listen = ["127.0.0.1:0"]
max-connections = 10
grace = "1s"
"#;

/// The address of a service.
pub(super) fn address(server: &Server, service: &str) -> SocketAddr {
    let status = server.ask_json(&["status", "--service", service]);
    let address = status["listeners"][0].as_str().expect("an address");
    address.parse().expect("an address")
}

#[test]
fn services_and_listeners_come_and_go_under_open_connections() {
    let server = with_file(FIRST, &["counter", "echo"]).start();
    let mut client = server.connect();
    client.ask("ab", "2 bytes so far\n");

    let more = FIRST.replace("127.0.0.1:0\"]", "127.0.0.1:0\", \"unix:more.sock\"]")
        + "[[service]]\nguest = \"echo.wasm\"\nlisten = \"127.0.0.1:0\"\n";
    replace(&server, &more);
    let line = server.stderr.wait("reloaded ");
    assert!(
        line.ends_with("service count: listen; service echo added"),
        "{line}"
    );
    let echo = address(&server, "echo");
    let mut other = Client::connect(echo);
    other.ask("x", "x");
    let _unix = UnixStream::connect(server.path("more.sock")).expect("it listens");
    assert_eq!(address(&server, "count"), server.addresses[0]);

    // A service of another name takes the address over.
    let renamed =
        format!("{FIRST}[[service]]\nname = \"new\"\nguest = \"echo.wasm\"\nlisten = \"{echo}\"\n");
    replace(&server, &renamed);
    server.stderr.wait_count("reloaded ", 2);
    let log = server.stderr.text();
    assert!(
        log.contains("service new added; service echo removed"),
        "{log}"
    );
    assert!(log.contains("no longer listening on unix:"), "{log}");
    wait_for("the file of the socket to be gone", || {
        !server.path("more.sock").exists()
    });
    other.expect_rest("");
    Client::connect(echo).ask("y", "y");
    client.ask("c", "3 bytes so far\n");

    replace(&server, FIRST);
    server.stderr.wait_count("reloaded ", 3);
    wait_for("the address to be free", || {
        Client::try_connect(echo).is_err()
    });
    client.ask("d", "4 bytes so far\n");
    assert_eq!(server.stop().code, 0);
}

/// A server with room for one connection, that one, and another that has been accepted and
/// waits, after a reload in which another accept loop has taken the socket over.
fn one_open_and_one_waiting() -> (Server, [Client; 2]) {
    let one = FIRST.replace("max-connections = 10", "max-connections = 1");
    let server = with_file(&one, &["counter"]).start();
    let mut first = server.connect();
    first.ask("a", "1 bytes so far\n");
    let mut waiting = server.connect();
    waiting.send("xyz");
    server
        .stderr
        .wait("1 connections are open (--max-connections)");
    replace(&server, &format!("{one}keepalive = \"31s\"\n"));
    server.stderr.wait("reloaded hotsocket.toml: ");
    (server, [first, waiting])
}

#[test]
fn whoever_waits_for_room_is_reset_by_no_reload() {
    let (_server, [mut first, mut waiting]) = one_open_and_one_waiting();
    first.ask("b", "2 bytes so far\n");
    drop(first);
    waiting.expect("3 bytes so far\n");
}

#[test]
fn whoever_waits_after_a_reload_is_reset_by_a_drain_and_with_the_service() {
    let (server, [mut first, mut waiting]) = one_open_and_one_waiting();
    let mut drain = hotsocket();
    drain.args(["drain", "--max", "1h"]);
    drain.env("XDG_RUNTIME_DIR", server.dir());
    drain.stdout(Stdio::piped()).stderr(Stdio::piped());
    let drain = Process::spawn("drain", &mut drain, Reader::Test, PATIENCE);
    server.stderr.wait("draining: ");
    first.ask("b", "2 bytes so far\n");
    drop(first);
    waiting.expect_reset();
    drop(drain);

    let (server, [mut first, mut waiting]) = one_open_and_one_waiting();
    replace(&server, "[[service]]\nname = \"other\"\nport = 0\n");
    server.stderr.wait("service count removed");
    let _ = first.rest();
    waiting.expect_reset();
}

#[test]
fn limits_change_for_new_connections_and_another_guest_is_swapped_to() {
    let server = with_file(FIRST, &["counter", "echo"]).start();
    let mut client = server.connect();
    client.ask("ab", "2 bytes so far\n");
    let changed = FIRST.replace(
        "max-connections = 10",
        "max-connections = 2\nmax-queue = \"64K\"",
    );
    replace(&server, &changed);
    let line = server.stderr.wait("reloaded ");
    assert!(
        line.contains("service count: max-connections, max-queue"),
        "{line}"
    );
    let mut second = server.connect();
    second.ask("x", "1 bytes so far\n");
    let mut third = server.connect();
    third.send("y");
    server
        .stderr
        .wait("2 connections are open (--max-connections)");
    replace(&server, &changed.replace("= 2\n", "= 3\n"));
    third.expect("1 bytes so far\n");

    fs::write(server.path("other.wasm"), counter_in_all()).expect("writable");
    replace(&server, &FIRST.replace("counter.wasm", "other.wasm"));
    server.stderr.wait("swapped: generation 2 is ");
    client.ask("c", "3 bytes in all\n");
    // The other file is watched by now.
    fs::write(
        server.path("other.wasm"),
        crate::harness::prebuilt("counter"),
    )
    .expect("writable");
    server.stderr.wait("swapped: generation 3 is ");
    client.ask("d", "4 bytes so far\n");
}

/// The counter with another text, as the README makes it.
pub(super) fn counter_in_all() -> Vec<u8> {
    let mut guest = crate::harness::prebuilt("counter");
    let at = guest.windows(6).position(|bytes| bytes == b"so far");
    let at = at.expect("its text");
    guest[at..at + 6].copy_from_slice(b"in all");
    guest
}

#[test]
fn a_bad_file_changes_nothing_and_says_why_in_one_line() {
    let server = with_file(FIRST, &["counter", "echo"]).start();
    let taken = server.addresses[0];
    let echo = format!("[[service]]\nguest = \"echo.wasm\"\nlisten = \"{taken}\"\n");
    let more = FIRST.replace("max-connections = 10", "max-connections = 11");
    for (number, (text, why)) in [
        (more.clone() + "nonsense", "hotsocket.toml:8:9: "),
        (
            more.replace("11", "0"),
            "max-connections: 0 is out of range",
        ),
        (
            more.replace("counter.wasm", "none.wasm"),
            "none.wasm: No such file",
        ),
        // Two of the same port, though only the second service can't have it.
        (more + &echo, "another program uses that port"),
    ]
    .into_iter()
    .enumerate()
    {
        replace(&server, &text);
        server.stderr.wait_count("not reloaded: ", number + 1);
        let log = server.stderr.text();
        let line = log.lines().rfind(|line| line.contains("not reloaded: "));
        let line = line.expect("a line");
        assert!(
            line.contains(why) && line.contains("; the configuration stays as it is until "),
            "{line}"
        );
        assert_eq!(server.status()["connections"]["limit"], 10);
        server.connect().ask("x", "1 bytes so far\n");
    }
    fs::remove_file(server.path("hotsocket.toml")).expect("ours");
    server
        .stderr
        .wait("hotsocket.toml is gone; the configuration stays as it is");
    replace(&server, FIRST);
    server
        .stderr
        .wait("reloaded hotsocket.toml: nothing changes");
}

/// What a shell makes of a file before the program that writes it begins, and a full disk.
#[test]
fn an_empty_file_does_not_end_all_services() {
    let server = with_file(FIRST, &["counter", "echo"]).start();
    let mut client = server.connect();
    client.ask("ab", "2 bytes so far\n");
    for (number, text) in ["", "# Not yet.\n[node]\n"].into_iter().enumerate() {
        replace(&server, text);
        server
            .stderr
            .wait_count("hotsocket.toml has no [[service]]", number + 1);
    }
    client.ask("c", "3 bytes so far\n");
    let echo = "[[service]]\nguest = \"echo.wasm\"\nlisten = \"127.0.0.1:0\"\n";
    replace(&server, &format!("{FIRST}{echo}"));
    server.stderr.wait("service echo added");
    client.ask("d", "4 bytes so far\n");
}

#[test]
fn what_needs_a_restart_is_named() {
    let server = with_file(FIRST, &["counter"]).start();
    let changed = format!("[node]\nmax-stack = \"1M\"\n{FIRST}max-store-keys = 5\nkeep = 3\n");
    replace(&server, &changed);
    server
        .stderr
        .wait("[node] max-stack has changed; that needs a restart");
    server
        .stderr
        .wait("service count: max-store-keys has changed; that needs a restart");
    assert!(
        server
            .stderr
            .has("reloaded hotsocket.toml: service count: keep")
    );
}

#[test]
fn sighup_reads_it_again_and_a_supervisor_hears_of_it() {
    let serve = with_file(FIRST, &["counter"]);
    let path = serve.path("notify");
    let notified = UnixDatagram::bind(&path).expect("a socket");
    notified.set_read_timeout(Some(PATIENCE)).expect("a time");
    let server = serve
        .args(&["--max-queue", "1M"])
        .env("NOTIFY_SOCKET", &path)
        .start();
    let next = || {
        let mut buffer = [0; 4096];
        let count = notified.recv(&mut buffer).expect("a datagram in time");
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    assert!(next().contains("READY=1"));
    server.signal(Signal::HUP);
    let reloading = next();
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="));
    assert!(next().contains("READY=1"));
    server
        .stderr
        .wait("reloaded hotsocket.toml: nothing changes");
}

/// As a ConfigMap of Kubernetes is changed: `..data` is a symlink to a directory, and
/// another takes its place.
#[test]
fn a_symlink_on_the_way_to_it_is_turned() {
    let serve = with_file(FIRST, &["counter"]);
    let at = |name: &str| serve.path(name);
    for (dir, keep) in [("v1", 3), ("v2", 4)] {
        fs::create_dir(at(dir)).expect("writable");
        let text = format!("{FIRST}keep = {keep}\n");
        fs::write(at(dir).join("hotsocket.toml"), text).expect("writable");
    }
    fs::create_dir(at("etc")).expect("writable");
    symlink("../v1", at("etc/..data")).expect("writable");
    fs::remove_file(at("hotsocket.toml")).expect("ours");
    symlink("etc/..data/hotsocket.toml", at("hotsocket.toml")).expect("writable");
    let server = serve.start();
    symlink("../v2", server.path("etc/..new")).expect("writable");
    fs::rename(server.path("etc/..new"), server.path("etc/..data")).expect("writable");
    let line = server.stderr.wait("reloaded ");
    assert!(line.ends_with("service count: keep"), "{line}");
}

#[test]
fn a_refused_file_is_read_again_when_a_file_that_it_names_appears() {
    let server = with_file(FIRST, &["counter"]).start();
    let late = "[[service]]\nguest = \"late.wasm\"\nlisten = \"127.0.0.1:0\"\n";
    replace(&server, &format!("{FIRST}{late}"));
    server.stderr.wait("late.wasm: No such file");
    fs::write(server.path("late.wasm"), "no component").expect("writable");
    server.stderr.wait("late.wasm is text");
    rename_over(&server.path("late.wasm"), &prebuilt("echo"));
    server.stderr.wait("service late added");
    Client::connect(address(&server, "late")).ask("x", "x");
}

#[test]
fn a_service_with_a_store_is_not_renamed_without_a_restart() {
    let first = format!("{FIRST}store = \"it.store\"\n");
    let server = with_file(&first, &["counter"]).start();
    let mut client = server.connect();
    client.ask("ab", "2 bytes so far\n");
    replace(
        &server,
        &first.replace("name = \"count\"", "name = \"other\""),
    );
    let line = server
        .stderr
        .wait("not reloaded: service count has the store ");
    assert!(line.contains("so service other cannot have it"), "{line}");
    assert!(line.contains("restart the server"), "{line}");
    client.ask("c", "3 bytes so far\n");
}

#[test]
fn the_size_of_components_that_are_sent_follows() {
    let counter = prebuilt("counter");
    let first = format!("{FIRST}max-component = {}\n", counter.len());
    let server = with_file(&first, &["counter"]).start();
    let larger = differing(counter);
    let error = server.try_swap(larger.clone(), &[]).failure(1);
    assert!(error.contains("too large"), "{error}");
    replace(&server, FIRST);
    server.stderr.wait("service count: max-component");
    assert_eq!(server.swap(larger, &[])["generation"], 2);
}

#[test]
fn a_guest_for_which_there_is_no_room_is_not_reloaded_to() {
    let serve = with_file(&FIRST.replace("= 10", "= 200"), &["counter"]);
    let many = with_spare_memories(counting("B"), "(memory 1)");
    fs::write(serve.path("many.wasm"), many.build()).expect("writable");
    let server = serve.start();
    let mut clients: Vec<_> = (0..33).map(|_| server.connect()).collect();
    let ask = |client: &mut Client| client.ask("x", "1 bytes so far\n");
    clients.iter_mut().for_each(ask);
    let with_many = FIRST
        .replace("= 10", "= 200")
        .replace("counter.wasm", "many.wasm");
    replace(&server, &with_many);
    let line = server.stderr.wait("not reloaded: ");
    assert!(line.contains("there is room for 32 connections"), "{line}");
    clients[0].ask("x", "2 bytes so far\n");
}

#[test]
fn a_refused_file_is_read_again_when_a_secret_that_it_names_appears() {
    let server = with_file(FIRST, &["counter"]).start();
    replace(
        &server,
        &format!("{FIRST}set = {{ K = {{ file = \"k\" }} }}\n"),
    );
    server.stderr.wait("not reloaded: ");
    fs::write(server.path("k"), "x").expect("writable");
    server.stderr.wait("reloaded ");
}
