//! `hotsocket drain`: no more connections, those that are open end by themselves or when
//! the time is over, and systemd hears how many are left.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;

use super::{address, get};
use crate::guests::{guest, messenger, wayward};
use crate::harness::{
    Client, PATIENCE, Process, Reader, Server, count_lines, hotsocket, prebuilt, serve, temp_dir,
    wait_for,
};

/// `hotsocket drain` next to the test.
fn drain(runtime_dir: &Path, args: &[&str]) -> Process {
    let mut command = hotsocket();
    command
        .arg("drain")
        .args(args)
        .env("XDG_RUNTIME_DIR", runtime_dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Process::spawn("drain", &mut command, Reader::Test, PATIENCE)
}

fn polite() -> Vec<u8> {
    guest().data(r#"(call $say "x")"#).says_bye().build()
}

fn client_of(server: &Server) -> Client {
    let mut client = server.connect();
    client.ask("x", "x");
    client
}

#[test]
fn connections_go_on_and_the_server_ends_when_they_have() {
    let mut server = serve(polite()).args(&["--admin", "127.0.0.1:0"]).start();
    let admin = address(&server);
    let mut clients = [client_of(&server), client_of(&server)];
    let mut draining = drain(server.dir(), &["--until-empty", "--max", "1h"]);
    draining.stderr.wait("draining: 2 connections left");
    wait_for("clients to be refused", || {
        // Not that nobody accepts them any more.
        let connected = Client::try_connect(server.addresses[0]);
        connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    let answer = get(admin, "/ready");
    assert_eq!((answer.status, answer.body.as_str()), (503, "draining\n"));
    assert_eq!(get(admin, "/live").status, 200);
    assert_eq!(server.status()["draining"]["left"], 2);
    let text = server.ask(&["status"]).success().to_owned();
    let row = text.lines().find(|line| line.starts_with("draining "));
    let row = row.expect("a line for people");
    assert!(row.contains("2 connections left, for "), "{row}");
    assert!(row.ends_with("; then the server ends"), "{row}");
    for client in &mut clients {
        client.ask("x", "x");
    }
    let [mut one, mut other] = clients;
    one.end();
    one.expect_rest("");
    draining.stderr.wait("draining: 1 connection left");
    other.ask("x", "x");
    other.end();
    other.expect_rest("");
    let ran = draining.end();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.stdout, "drained: the server has ended\n");
    let ran = server.end();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(count_lines(&ran.stderr, "drained"), 1);
}

#[test]
fn what_is_left_when_the_time_is_over_may_say_farewell() {
    let mut server = serve(polite()).start();
    let mut client = client_of(&server);
    let mut draining = drain(server.dir(), &["--until-empty", "--max", "500ms"]);
    draining.stderr.wait("draining: 1 connection left");
    client.ask("x", "x");
    // The reason is `shutdown`.
    client.expect_rest("bye 5");
    let ran = draining.end();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.starts_with("drained: the server has ended"),
        "{}",
        ran.stdout
    );
    let ran = server.end();
    assert_eq!(ran.code, 0);
    assert!(
        ran.stderr.contains("the time is over for 1 connection"),
        "{}",
        ran.stderr
    );
}

#[test]
fn without_until_empty_the_server_stays() {
    let mut server = serve(polite()).start();
    let mut client = client_of(&server);
    let mut draining = drain(server.dir(), &["--max", "1h"]);
    draining.stderr.wait("1 connection left");
    client.end();
    client.expect_rest("");
    let ran = draining.end();
    assert_eq!(
        ran.stdout,
        "drained: no connection is left; the server accepts none any more\n"
    );
    let text = server.ask(&["status"]).success().to_owned();
    let row = "\ndraining     0 connections left; the server accepts none any more\n";
    assert!(text.contains(row), "{text}");
    assert!(server.is_well());
    wait_for("clients to be refused", || {
        // Not that nobody accepts them any more.
        let connected = Client::try_connect(server.addresses[0]);
        connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    // Once more, with nothing left: it ends.
    let ran = server.ask(&["drain", "--until-empty", "--json"]);
    assert_eq!(
        ran.success(),
        "{\"answer\":\"drain\",\"closed\":0,\"ended\":true}\n"
    );
    assert_eq!(server.end().code, 0);
}

#[test]
fn a_second_order_shortens_the_time_and_a_signal_ends_it() {
    let mut server = serve(polite()).start();
    let mut client = client_of(&server);
    let mut long = drain(server.dir(), &["--until-empty", "--max", "1h"]);
    long.stderr.wait("1 connection left");
    let ran = server.ask(&["drain", "--max", "100ms"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    client.expect_rest("bye 5");
    assert_eq!(long.end().code, 0);
    assert_eq!(server.end().code, 0);

    let mut server = serve(polite()).args(&["--grace", "300ms"]).start();
    let mut client = client_of(&server);
    let mut draining = drain(server.dir(), &["--until-empty", "--max", "1h"]);
    draining.stderr.wait("1 connection left");
    server.signal(Signal::TERM);
    server.stderr.wait("at most; Ctrl-C again closes them now");
    client.expect_rest("bye 5");
    assert_eq!(server.end().code, 0);
    assert_eq!(draining.end().code, 0);
}

#[test]
fn wills_are_published_and_last_replies_arrive() {
    let mut server = serve(messenger()).start();
    let mut hears = server.connect();
    hears.ask("event gone\n", "ok\n");
    let mut leaves = server.connect();
    leaves.ask("will gone last words\n", "ok\n");
    let mut draining = drain(server.dir(), &["--until-empty", "--max", "1h"]);
    draining.stderr.wait("draining: 2 connections left");
    leaves.end();
    leaves.expect_rest("");
    hears.expect("1 gone 2 last words\n");
    hears.end();
    hears.expect_rest("");
    assert_eq!(draining.end().code, 0);
    assert_eq!(server.end().code, 0);
}

#[test]
fn replies_to_a_slow_reader_are_not_lost() {
    let mut server = serve(prebuilt("echo")).start();
    let mut client = server.connect();
    let bytes: Vec<u8> = (0..32_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let sender = client.send_meanwhile_and_end(bytes.clone());
    wait_for("bytes to be queued", || {
        server.status()["traffic"]["queued"].as_u64() > Some(0)
    });
    let mut draining = drain(server.dir(), &["--until-empty", "--max", "1h"]);
    draining.stderr.wait("1 connection left");
    let received = client.rest().expect("no reset");
    assert!(received == bytes, "{} bytes", received.len());
    sender.join().expect("it ends").expect("all is sent");
    assert_eq!(draining.end().code, 0);
    assert_eq!(server.end().code, 0);
}

#[test]
fn a_server_that_does_not_run_is_an_error() {
    let dir = temp_dir();
    let ran = crate::harness::ask(dir.path(), &["drain"]);
    let error = ran.failure(1);
    assert!(error.contains("no hotsocket server is running"), "{error}");
}

#[test]
fn systemd_hears_how_many_are_left() {
    let dir = temp_dir();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    let notified = |part: &str| {
        let mut buffer = [0; 4096];
        loop {
            let count = socket.recv(&mut buffer).expect("a datagram in time");
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            if text.contains(part) {
                return text;
            }
        }
    };
    let mut command = hotsocket();
    std::fs::write(dir.path().join("guest.wasm"), wayward()).expect("written");
    command
        .args(["--listen", "127.0.0.1:0"])
        .arg(dir.path().join("guest.wasm"))
        .env("XDG_RUNTIME_DIR", dir.path())
        .env("NOTIFY_SOCKET", &path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let server = Process::spawn("the server", &mut command, Reader::Test, PATIENCE);
    notified("READY=1");
    server.stderr.wait("ready in ");
    let addresses = crate::harness::listening_on(&server.stderr.text());
    let mut client = Client::connect(addresses[0]);
    client.ask("x", "x");
    let mut draining = drain(dir.path(), &["--until-empty", "--max", "1h"]);
    let text = notified("STATUS=draining: 1");
    // From STOPPING on, systemd counts TimeoutStopSec=.
    assert!(!text.contains("STOPPING"), "{text}");
    client.end();
    client.expect_rest("");
    notified("STOPPING=1");
    assert_eq!(draining.end().code, 0);
}
