//! PROXY headers by hand: which are read, which are refused, and what the log says.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use crate::guests::obeying;
use crate::harness::{
    Client, PATIENCE, Scene, Serve, Server, assert_logged_once, count_lines, serve,
};

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A server that takes headers from this machine.
fn server(policy: &str, args: &[&str]) -> Server {
    let policies = ["--proxy-protocol", policy, "--access-log"];
    Serve::prebuilt("echo").args(&policies).args(args).start()
}

fn v1(peer: &str) -> String {
    let (ip, port) = peer.rsplit_once(':').expect("an address");
    format!("PROXY TCP4 {ip} 192.0.2.80 {port} 80\r\n")
}

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a length");
    [V2, &[0x20 | command, family], &length.to_be_bytes(), body].concat()
}

#[test]
fn the_log_has_the_peer_that_the_header_names() {
    let server = server("127.0.0.0/8=require", &[]);
    let mut client = server.connect();
    client.ask(v1("192.0.2.7:4000") + "hello", "hello");
    client.end();
    client.expect_rest("");
    let log = server.stderr.wait("from 192.0.2.7:4000");
    assert!(log.contains("closed: ended; 5 bytes in"), "{log}");
    let mut client = server.connect();
    let body = [
        &[192, 0, 2, 8, 192, 0, 2, 80, 0x10, 0, 0, 80][..],
        b"\xe0\0\x01x",
    ]
    .concat();
    client.ask([v2(1, 0x11, &body), b"hi".to_vec()].concat(), "hi");
    drop(client);
    server.stderr.wait("from 192.0.2.8:4096");
}

#[test]
fn what_is_no_header_is_reset_and_the_line_says_why() {
    let all: [(&[u8], &str); 5] = [
        (
            b"GET / HTTP/1.1\r\n\r\n",
            "no PROXY header but with \"GET / HTTP/1",
        ),
        (
            b"PROXY TCP4 1.2.3.4\r\n",
            "has an address that is none of its family",
        ),
        (&[b'P'; 4096], "no PROXY header but with \"PPPPPPPPPPPP\""),
        (
            &v2(1, 0x11, &[0; 4097]),
            "has 4113 bytes, and 4112 are allowed",
        ),
        (
            &v2(1, 0x11, b"aaaabbbbccdd\x03\0\x04abcd"),
            "the checksum of the PROXY header is wrong",
        ),
    ];
    for (bytes, why) in all {
        let began = Instant::now();
        let server = server("127.0.0.1=require", &[]);
        for _ in 0..5 {
            let mut client = server.connect();
            // The server may have reset the connection before it has taken all.
            let _ = client.stream.write_all(bytes);
            client.expect_reset();
        }
        assert_eq!(server.limit_reached("proxy-protocol"), 5);
        let log = server.stop().stderr;
        assert_logged_once(&log, why, began);
        assert_logged_once(&log, "(--proxy-protocol)", began);
    }
}

#[test]
fn a_header_that_does_not_come_in_time_is_waited_for_no_longer() {
    let server = server("127.0.0.1=require", &["--proxy-timeout", "200ms"]);
    let mut silent = server.connect();
    let mut slow = server.connect();
    slow.send("PROXY TCP4 192.0.2.7 192.0.2.80 1");
    silent.expect_reset();
    slow.expect_reset();
    server
        .stderr
        .wait("no PROXY header came in 200ms (--proxy-timeout)");
    assert_eq!(server.limit_reached("proxy-timeout"), 2);
    // Its end within the header is said to be that.
    let mut ended = server.connect();
    ended.send("PROXY TCP4 192.0.2.7");
    ended.end();
    ended.expect_reset();
    server.stderr.wait("it ended before its PROXY header did");
}

#[test]
fn a_port_check_is_no_fault() {
    let server = server("127.0.0.1=require", &["--log-level", "debug"]);
    let mut check = server.connect();
    check.end();
    check.expect_over();
    server.stderr.wait("ended without a PROXY header");
    let ran = server.stop();
    assert!(!ran.stderr.contains("WARN"), "{}", ran.stderr);
}

#[test]
fn an_optional_header_is_read_if_it_comes() {
    let server = server("127.0.0.1=optional", &["--proxy-timeout", "200ms"]);
    let mut with = server.connect();
    with.ask(v1("192.0.2.7:4000") + "a", "a");
    drop(with);
    server.stderr.wait("from 192.0.2.7:4000");
    // What begins as a header would, and is none.
    for other in ["hello", "PROX", "PROXIMITY", "\r\n\r\nhello", "P", "\r\n"] {
        let mut client = server.connect();
        client.ask(other, other);
        client.ask("more", "more");
        client.end();
        client.expect_rest("");
    }
    // Its end is not lost either.
    let mut short = server.connect();
    short.send("PR");
    short.end();
    short.expect_rest("PR");
    // What begins with a whole signature is a header.
    let mut begun = server.connect();
    begun.send("PROXY nonsense\r\n");
    begun.expect_reset();
    server.stderr.wait("none of TCP4, TCP6 and UNKNOWN");
    assert_eq!(server.limit_reached("proxy-protocol"), 1);
}

#[test]
fn a_server_that_speaks_first_waits_for_an_optional_header_until_the_timeout() {
    let speaks = crate::guests::guest().body("open", r#"(call $say "220 ready") (call $ok)"#);
    let start = |policy: &str| {
        let args = ["--proxy-protocol", policy, "--proxy-timeout", "300ms"];
        serve(speaks.build()).args(&args).start()
    };
    let server = start("127.0.0.1=optional");
    server.connect().expect("220 ready");
    // Nothing is waited for where no header may come.
    let server = start("10.0.0.0/8=require");
    let mut client = server.connect();
    client.expect("220 ready");
    assert_eq!(server.limit_reached("proxy-timeout"), 0);
}

#[test]
fn an_optional_header_is_waited_for_less_long_than_a_handshake() {
    let args = |policy: &str| {
        let policy = format!("127.0.0.1={policy}");
        Serve::prebuilt("echo").args(&["--proxy-protocol", &policy, "--handshake-timeout", "3s"])
    };
    // Else a client that is silent at first would be closed before it was over.
    let ran = args("optional").fail();
    let error =
        "--handshake-timeout: 3s is out of range: it must be longer than --proxy-timeout (3s)";
    assert!(ran.failure(2).contains(error), "{}", ran.stderr);
    args("optional").args(&["--proxy-timeout", "2s"]).start();
    args("require").start();
}

#[test]
fn a_header_from_elsewhere_closes_the_connection() {
    let server = server("10.0.0.0/8=require,127.0.0.2=require", &[]);
    for header in [v1("192.0.2.7:4000").into_bytes(), v2(0, 0, b"")] {
        for split in [1, 5, header.len()] {
            let mut client = server.connect();
            let (one, two) = header.split_at(split);
            client.send(one);
            if split < header.len() {
                // What may still become something else is the guest's.
                client.expect(one);
                client.send(two);
            }
            client.expect_over();
        }
    }
    let line = server
        .stderr
        .wait("a PROXY header came, and none may come from there");
    assert!(line.contains("connection from 127.0.0.1:"), "{line}");
    assert_eq!(server.limit_reached("proxy-protocol"), 6);
    for other in ["hello", "PROXIMITY", "\r\n\r\n"] {
        server.connect().ask(other, other);
    }
    // The longest prefix counts.
    let two = [127, 0, 0, 2].into();
    let mut proxy = Client::connect_from(two, server.addresses[0]);
    proxy.ask(v1("192.0.2.9:1") + "x", "x");
}

#[test]
fn without_the_flag_nothing_is_looked_at() {
    let server = Serve::prebuilt("echo").start();
    let header = v1("192.0.2.7:4000");
    server.connect().ask(&header, &header);
}

#[test]
fn a_proxys_probe_keeps_its_address_and_is_not_in_the_access_log() {
    let server = server("127.0.0.1=require", &[]);
    let mut probe = server.connect();
    probe.ask([v2(0, 0, b""), b"ping".to_vec()].concat(), "ping");
    probe.end();
    probe.expect_rest("");
    let mut unknown = server.connect();
    unknown.ask("PROXY UNKNOWN\r\nping", "ping");
    let port = unknown.stream.local_addr().expect("an address").port();
    drop(unknown);
    server.stderr.wait(&format!("from 127.0.0.1:{port} closed"));
    let log = server.stop().stderr;
    assert_eq!(count_lines(&log, " closed: "), 1, "{log}");
}

#[test]
fn limits_by_peer_hold_for_the_peer_behind_the_proxy() {
    let args = [
        "--max-per-peer",
        "1",
        "--deny",
        "198.51.100.0/24",
        "--max-connections",
        "5",
        "--proxy-timeout",
        "500ms",
    ];
    let server = server("127.0.0.1=require", &args);
    let mut one = server.connect();
    one.ask(v1("192.0.2.7:1") + "x", "x");
    let mut other = server.connect();
    other.ask(v1("192.0.2.8:1") + "x", "x");
    let mut second = server.connect();
    second.send(v1("192.0.2.7:2"));
    second.expect_reset();
    server
        .stderr
        .wait("a connection from 192.0.2.7 refused: it has 1 open (--max-per-peer)");
    let mut denied = server.connect();
    denied.send(v1("198.51.100.9:1"));
    denied.expect_reset();
    server
        .stderr
        .wait("198.51.100.9:1 refused: its address is denied (--deny)");
    assert_eq!(server.limit_reached("deny"), 1);
    // Whoever sends no header has a place among all only, and not for long.
    let mut silent: Vec<_> = (0..6).map(|_| server.connect()).collect();
    server
        .stderr
        .wait("5 connections are open (--max-connections)");
    silent.iter_mut().for_each(Client::expect_over);
    drop(one);
    server.wait_open(1);
    let mut again = server.connect();
    again.ask(v1("192.0.2.7:3") + "x", "x");
}

#[test]
fn a_proxy_on_a_unix_socket_names_the_peer() {
    let serve = Serve::prebuilt("echo")
        .listen(&["unix:it.sock", "127.0.0.1:0"])
        .args(&["--proxy-protocol", "unix=require", "--access-log"]);
    let path = serve.path("it.sock");
    let server = serve.start();
    let mut proxy = UnixStream::connect(path).expect("the server accepts");
    proxy.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    proxy
        .write_all((v1("192.0.2.7:4000") + "x").as_bytes())
        .expect("taken");
    proxy.read_exact(&mut [0]).expect("an answer");
    drop(proxy);
    server.stderr.wait("from 192.0.2.7:4000");
    server.connect().ask("x", "x");
}

#[test]
fn bad_headers_do_not_disturb_others() {
    let args = ["--proxy-protocol", "127.0.0.3=require"];
    let mut scene = Scene::start(&obeying(&[]), &args);
    let address: SocketAddr = scene.server.addresses[0];
    let clients: Vec<_> = (0..50)
        .map(|number| {
            let mut client = Client::connect_from([127, 0, 0, 3].into(), address);
            let garbage = [number as u8; 512];
            let _ = client.stream.write_all(&garbage);
            client
        })
        .collect();
    clients
        .into_iter()
        .for_each(|mut client| client.expect_reset());
    scene.reached("proxy-protocol", 50, "--proxy-protocol");
    scene.undisturbed();
}

#[test]
fn what_is_no_policy_is_wrong_usage() {
    for (given, error) in [
        ("10.0.0.0/8", "RANGE=require"),
        ("10.0.0.0/8=maybe", "none of require, optional and reject"),
        (
            "10.0.0.1/8=require",
            "bits beyond its prefix; the range is 10.0.0.0/8",
        ),
        ("example.org=require", "is no range of addresses"),
    ] {
        let ran = Serve::prebuilt("echo")
            .args(&["--proxy-protocol", given])
            .fail();
        assert!(ran.code == 2 && ran.stderr.contains(error), "{ran:?}");
    }
    let many = (0..1025).map(|n| format!("10.0.{}.{}=require", n / 256, n % 256));
    let many = many.collect::<Vec<_>>().join(",");
    let ran = Serve::prebuilt("echo")
        .args(&["--proxy-protocol", &many])
        .fail();
    assert!(
        ran.failure(2).contains("at most 1024 ranges"),
        "{}",
        ran.stderr
    );
}
