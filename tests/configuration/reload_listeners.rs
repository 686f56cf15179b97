//! What a reload changes of a listener whose connections, and whose queue, stay.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use super::reload::FIRST;
use super::{replace, with_file};
use crate::harness::{Client, Server};

/// A reload with this file.
fn reload(server: &Server, text: &str, count: usize) {
    replace(server, text);
    server.stderr.wait_count("reloaded hotsocket.toml: ", count);
}

#[test]
fn a_reload_that_fails_leaves_the_options_of_sockets_as_they_are() {
    let server = with_file(&format!("{FIRST}keepalive = \"600s\"\n"), &["counter"]).start();
    let changed = format!("{FIRST}keepalive = \"6000s\"\n");
    replace(
        &server,
        &format!("{changed}[[service]]\nguest = \"no.wasm\"\n"),
    );
    server.stderr.wait("not reloaded: cannot read ");
    let in_seconds = keepalive(&server.connect());
    assert!((500..=600).contains(&in_seconds), "{in_seconds}");
    reload(&server, &changed, 1);
    let in_seconds = keepalive(&server.connect());
    assert!((5000..=6000).contains(&in_seconds), "{in_seconds}");
}

fn refuses(server: &Server) {
    Client::expect_refusal(Client::try_connect(server.addresses[0]));
}

/// In how many seconds the server's side of a connection probes its peer, as the kernel says
/// (`tm->when` of /proc/net/tcp, in hundredths of a second: proc_net_tcp in the kernel's
/// documentation).
fn keepalive(client: &Client) -> u64 {
    // Another connection may have either of its ports.
    let [server, peer] = [client.stream.peer_addr(), client.stream.local_addr()]
        .map(|address| format!(":{:04X}", address.expect("an address").port()));
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
    let of_server = table.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_it = fields.get(1)?.ends_with(&server) && fields.get(2)?.ends_with(&peer);
        is_it.then(|| fields.get(5).map(|field| (*field).to_owned()))?
    });
    let timer = of_server.expect("the server's side");
    let when = timer.strip_prefix("02:").expect("keepalive is next");
    u64::from_str_radix(when, 16).expect("hexadecimal") / 100
}

#[test]
fn the_mode_of_a_unix_socket_follows() {
    let with = |mode: u32| FIRST.replace("127.0.0.1:0", &format!("unix:it.sock,mode={mode}"));
    let server = with_file(&with(600), &["counter"]).start();
    let path = server.path("it.sock");
    let mode = || fs::metadata(&path).expect("a socket").permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    // It fails when everything that can be found out before has been.
    let wrong = "[[service]]\nguest = \"no.wasm\"\n";
    replace(&server, &format!("{}{wrong}", with(666)));
    server.stderr.wait("not reloaded: cannot read ");
    assert_eq!(mode(), 0o600);
    let _open = UnixStream::connect(&path).expect("it listens");
    reload(&server, &with(666), 1);
    assert_eq!(mode(), 0o666);
    UnixStream::connect(&path).expect("it listens");
    let log = server.stderr.text();
    assert!(!log.contains("no longer listening"), "{log}");
    reload(&server, &with(600), 2);
    assert_eq!(mode(), 0o600);
    assert_eq!(server.stop().code, 0);
    assert!(!path.exists());
}

#[test]
fn connections_count_for_the_listener_that_takes_the_socket_over() {
    let with = |max: &str| format!("{FIRST}{max}when-full = \"refuse\"\n");
    let one = with("max-per-listener = 1\n");
    let server = with_file(&one, &["counter"]).start();
    let mut first = server.connect();
    first.ask("a", "1 bytes so far\n");
    reload(&server, &format!("{one}keepalive = \"31s\"\n"), 1);
    refuses(&server);
    reload(&server, &with("max-per-listener = 2\n"), 2);
    let mut second = server.connect();
    second.ask("a", "1 bytes so far\n");
    refuses(&server);
    reload(&server, &one, 3);
    drop(second);
    server.wait_open(1);
    refuses(&server);
    reload(&server, &with(""), 4);
    server.connect().ask("a", "1 bytes so far\n");
    first.ask("b", "2 bytes so far\n");
}

#[test]
fn whoever_waits_for_room_on_a_listener_has_it_when_there_is_no_such_limit_any_more() {
    let one = format!("{FIRST}max-per-listener = 1\n");
    let server = with_file(&one, &["counter"]).start();
    let mut first = server.connect();
    first.ask("a", "1 bytes so far\n");
    let mut waiting = [server.connect(), server.connect()];
    waiting.iter_mut().for_each(|client| client.send("xy"));
    server.stderr.wait("1 connections of a listener are open");
    reload(&server, FIRST, 1);
    for client in &mut waiting {
        client.expect("2 bytes so far\n");
    }
    first.ask("b", "2 bytes so far\n");
}
