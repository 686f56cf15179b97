//! What `hotsocket:peer` gives: to a guest that asks, for as long as the connection lives.

use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixStream};
use std::process::{Command, Stdio};

use crate::guests::differing;
use crate::harness::{
    Client, PATIENCE, Process, Reader, Serve, Server, hotsocket, lacks_program, prebuilt,
    prebuilt_path, run, temp_dir, wait_for,
};

/// Of version 2, from 192.0.2.7:4096, with a host name.
fn header() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x18".to_vec();
    header.extend([192, 0, 2, 7, 192, 0, 2, 80, 0x10, 0, 0, 80]);
    header.extend(b"\x02\0\x09a.example");
    header
}

fn server(args: &[&str]) -> Server {
    Serve::prebuilt("whoami")
        .args(&["--proxy-protocol", "127.0.0.1=require"])
        .args(args)
        .start()
}

/// What the guest says of a client that came with that header.
fn said(client: &Client, server: &Server) -> String {
    let (via, to) = (client.stream.local_addr(), server.addresses[0]);
    let via = via.expect("an address");
    format!("you are 192.0.2.7:4096\nvia {via} to {to}, PROXY v2\nextension 0x02: \"a.example\"\n")
}

#[test]
fn it_is_the_same_after_swap_and_rollback() {
    let server = server(&[]);
    let mut client = server.connect();
    client.send(header());
    let said = said(&client, &server);
    client.expect(&said);
    let report = server.swap(differing(prebuilt("whoami")), &[]);
    assert_eq!(report["migrated"], 1);
    // The successor's `open` has said nothing: its default restores.
    client.ask("?", &said);
    server.ask(&["rollback"]);
    client.ask("?", &said);
}

#[test]
fn it_is_the_same_after_sleep() {
    let server = server(&["--hibernate-after", "20ms"]);
    let mut client = server.connect();
    client.send(header());
    let said = said(&client, &server);
    client.expect(&said);
    for _ in 0..3 {
        wait_for("its sleep", || {
            server.status()["connections"]["asleep"] == 1
        });
        client.ask("?", &said);
    }
    assert!(server.status()["connections"]["woken"].as_u64() >= Some(3));
}

#[test]
fn the_kernel_says_which_process_it_is() {
    let name = format!("hotsocket-whoami-{}", std::process::id());
    let named = format!("unix:@{name}");
    let serve = Serve::prebuilt("whoami").listen(&["unix:it.sock", &named, "127.0.0.1:0"]);
    let path = serve.path("it.sock");
    let server = serve.start();
    let mut stream = UnixStream::connect(path).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let expected = format!(
        "you are a process of this machine\nuid {} gid {} pid {}\n",
        uid.as_raw(),
        gid.as_raw(),
        std::process::id()
    );
    let mut got = vec![0; expected.len()];
    stream.read_exact(&mut got).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&got), expected);
    let address = UnixAddr::from_abstract_name(&name).expect("a name");
    let mut without_file = UnixStream::connect_addr(&address).expect("the server accepts");
    without_file
        .set_read_timeout(Some(PATIENCE))
        .expect("a time-out");
    without_file.read_exact(&mut got).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&got), expected);
    server.swap(differing(prebuilt("whoami")), &[]);
    stream.write_all(b"?").expect("taken");
    stream.read_exact(&mut got).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&got), expected);
    let mut tcp = server.connect();
    let local = tcp.stream.local_addr().expect("an address");
    tcp.expect(format!("you are {local}\n"));
}

#[test]
fn a_listener_of_systemd_has_the_name_of_its_unit() {
    if lacks_program("systemd-socket-activate") {
        return;
    }
    let dir = temp_dir();
    let path = dir.path().join("it.sock");
    let mut command = Command::new("systemd-socket-activate");
    command
        .arg("-l")
        .arg(&path)
        .arg("--fdname=inside")
        .arg(hotsocket().get_program())
        .arg(prebuilt_path("whoami"))
        .args(["--control", "none", "--no-watch"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let _server = Process::spawn("systemd", &mut command, Reader::Test, PATIENCE);
    wait_for("systemd to listen", || UnixStream::connect(&path).is_ok());
    let mut stream = UnixStream::connect(&path).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let expected = format!(
        "you are a process of this machine\nlistener inside\nuid {} ",
        rustix::process::geteuid().as_raw()
    );
    let mut got = vec![0; expected.len()];
    stream.read_exact(&mut got).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&got), expected);
}

#[test]
fn inspect_shows_that_a_guest_asks() {
    let inspected = run(hotsocket().arg("inspect").arg(prebuilt_path("whoami"))).stdout;
    assert!(
        inspected.contains("hotsocket:peer/peer@0.1.0"),
        "{inspected}"
    );
    let echo = run(hotsocket().arg("inspect").arg(prebuilt_path("echo"))).stdout;
    assert!(!echo.contains("hotsocket:peer"), "{echo}");
}
