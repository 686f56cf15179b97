//! Unix sockets as listeners, and `*:PORT`.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::guests::{differing, guest};
use crate::harness::{Client, PATIENCE, Process, Reader, Serve, lacks_program, prebuilt, serve};

fn connect(path: &Path) -> UnixStream {
    bounded(UnixStream::connect(path).expect("the server accepts"))
}

fn bounded(stream: UnixStream) -> UnixStream {
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

fn ask(stream: &mut UnixStream, question: &str, answer: &str) {
    stream.write_all(question.as_bytes()).expect("taken");
    let mut got = vec![0; answer.len()];
    stream.read_exact(&mut got).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&got), answer);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a socket").permissions().mode() & 0o777
}

#[test]
fn a_unix_socket_is_served_beside_tcp_and_through_swaps() {
    let serve = Serve::prebuilt("lines").listen(&["unix:it.sock,mode=660", "127.0.0.1:0"]);
    let path = serve.path("it.sock");
    let server = serve.args(&["--access-log", "--max-per-peer", "1"]).start();
    server.stderr.wait("listening on unix:it.sock");
    assert_eq!(mode(&path), 0o660);
    let mut one = connect(&path);
    ask(&mut one, "one\nha", "1: one\n");
    // The limit for each address is none for processes of this machine.
    let mut other = connect(&path);
    ask(&mut other, "a\n", "1: a\n");
    let mut tcp = server.connect();
    tcp.ask("b\n", "1: b\n");
    let report = server.swap(differing(prebuilt("lines")), &[]);
    assert_eq!(report["migrated"], 3);
    ask(&mut one, "lf\n", "2: half\n");
    // One side may end before the other.
    one.write_all(b"rest").expect("taken");
    one.shutdown(Shutdown::Write).expect("open");
    let mut rest = String::new();
    one.read_to_string(&mut rest).expect("its end");
    assert_eq!(rest, "3: rest");
    let uid = rustix::process::geteuid().as_raw();
    let pid = std::process::id();
    server
        .stderr
        .wait(&format!("from unix uid {uid} pid {pid}"));
    assert_eq!(server.status()["listeners"][0], "unix:it.sock");
    server.stop();
    assert!(!path.exists(), "it is removed in the end");
}

#[test]
fn a_large_reply_is_not_cut_off_by_the_end() {
    let text = "(call $say (i32.const 0) (i32.const 65536))".repeat(40);
    let much = guest().data(&format!("{text} (call $end)"));
    let serve = serve(much.build()).listen(&["unix:it.sock"]);
    let path = serve.path("it.sock");
    let _server = serve.start();
    let mut stream = connect(&path);
    stream.write_all(b"x").expect("taken");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect("its end");
    assert_eq!(reply.len(), 40 * 65_536);
}

#[test]
fn a_stale_socket_is_replaced_and_one_in_use_is_not() {
    let first = Serve::prebuilt("echo").listen(&["unix:it.sock", "127.0.0.1:0"]);
    let path = first.path("it.sock");
    // What a server that was killed leaves behind.
    drop(UnixListener::bind(&path).expect("a socket"));
    let server = first.start();
    ask(&mut connect(&path), "x", "x");
    let address = format!("unix:{}", path.display());
    let error = Serve::prebuilt("echo").listen(&[&address]).fail();
    let error = error.failure(1);
    assert!(
        error.contains("cannot listen on unix:") && error.contains("a running server uses it"),
        "{error}"
    );
    ask(&mut connect(&path), "x", "x");
    drop(server);
    let second = Serve::prebuilt("echo").listen(&["unix:file", "127.0.0.1:0"]);
    fs::write(second.path("file"), "precious").expect("written");
    let error = second.fail();
    assert!(error.failure(1).contains("there is a file of that name"));
    let error = Serve::prebuilt("echo")
        .listen(&["unix:nowhere/x.sock"])
        .fail();
    assert!(error.failure(1).contains("there is no such directory"));
}

#[test]
fn an_abstract_socket_has_no_file() {
    let name = format!("hotsocket-test-{}", std::process::id());
    let serve = Serve::prebuilt("echo").listen(&[&format!("unix:@{name}"), "127.0.0.1:0"]);
    let server = serve.start();
    server.stderr.wait(&format!("listening on unix:@{name}"));
    let address = UnixAddr::from_abstract_name(&name).expect("a name");
    let stream = UnixStream::connect_addr(&address).expect("the server accepts");
    ask(&mut bounded(stream), "x", "x");
    let error = Serve::prebuilt("echo")
        .listen(&[&format!("unix:@{name}")])
        .fail();
    let error = error.failure(1);
    assert!(error.contains("a running server uses that name"), "{error}");
}

#[test]
fn nc_talks_through_a_unix_socket() {
    if lacks_program("nc") {
        return;
    }
    let serve = Serve::prebuilt("lines").listen(&["unix:it.sock", "127.0.0.1:0"]);
    let path = serve.path("it.sock");
    let _server = serve.start();
    let mut nc = Command::new("nc");
    nc.arg("-U").arg(path).stdin(Stdio::piped());
    let mut nc = Process::start_with("nc", &mut nc, Reader::Test, PATIENCE);
    let mut stdin = nc.child.stdin.take().expect("a pipe");
    stdin.write_all(b"hi\n").expect("taken");
    nc.stdout.wait("1: hi");
}

#[test]
fn a_star_is_every_address_of_both_families() {
    let server = Serve::prebuilt("echo").listen(&["*:0"]).spawn();
    server.stderr.wait("ready in ");
    let log = server.stderr.text();
    let port = log.split_once("listening on *:").expect("the line").1;
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let port: u16 = port.parse().expect("a port");
    Client::connect(SocketAddr::from(([127, 0, 0, 1], port))).ask("x", "x");
    let six = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
    match Client::try_connect(six) {
        Ok(mut client) => client.ask("x", "x"),
        Err(error) => println!("no IPv6 here: {error}"),
    }
}
