//! The admin address: health, status, who is answered, and what clients may not do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use super::{Answer, address, connect, get, get_with, request};
use crate::guests::{blocks, guest};
use crate::harness::{PATIENCE, Serve, Server, prebuilt, serve, wait_for};

const ADMIN: [&str; 2] = ["--admin", "127.0.0.1:0"];

fn start(args: &[&str]) -> Server {
    serve(prebuilt("echo")).args(&ADMIN).args(args).start()
}

#[test]
fn it_shows_health_status_and_what_there_is() {
    let server = start(&[]);
    let admin = address(&server);
    for (path, body) in [("/live", "live\n"), ("/ready", "ready\n")] {
        let answer = get(admin, path);
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
        assert!(answer.headers.contains("cache-control: no-store"));
        assert!(!answer.headers.contains("access-control"), "no CORS");
    }
    let status: Value = serde_json::from_str(&get(admin, "/status").body).expect("JSON");
    let mut known = server.status();
    // They may have been asked in two different seconds.
    known["uptime_s"] = status["uptime_s"].clone();
    assert_eq!(status, known);
    let index = get(admin, "/").body;
    for path in ["/metrics", "/live", "/ready", "/status"] {
        assert!(index.contains(path), "{index}");
    }
    assert_eq!(get(admin, "/etc/passwd").status, 404);
}

#[test]
fn it_is_not_ready_while_the_guest_starts() {
    // The guest waits in `listening`, which comes before the server is ready.
    let slow = guest().body("listening", "(loop (br 0))").build();
    let mut server = serve(slow)
        .args(&ADMIN)
        .args(&["--cpu-budget", "1h", "--event-timeout", "1h"])
        .spawn();
    let admin = address(&server);
    let answer = get(admin, "/ready");
    assert_eq!((answer.status, answer.body.as_str()), (503, "starting\n"));
    assert_eq!(get(admin, "/live").status, 200);
    assert_eq!(get(admin, "/status").status, 503);
    assert!(get(admin, "/metrics").body.contains("process_threads "));
    server.signal(Signal::KILL);
    server.end();
}

#[test]
fn it_is_not_ready_while_the_server_stops() {
    let mut server = serve(guest().data(&blocks(250)).build())
        .args(&ADMIN)
        .args(&["--grace", "1h"])
        .start();
    let admin = address(&server);
    let mut client = server.connect();
    // It is sent more than the kernel takes for a client that does not read.
    client.send("x");
    wait_for("bytes that wait", || {
        server.status()["traffic"]["queued"].as_u64() > Some(0)
    });
    server.signal(Signal::TERM);
    wait_for("it to stop", || get(admin, "/ready").status == 503);
    assert_eq!(get(admin, "/live").status, 200);
    drop(client);
    assert_eq!(server.end().code, 0);
}

#[test]
fn a_unix_socket_answers_any_host_and_is_removed() {
    let server = Serve::prebuilt("echo");
    let path = server.path("admin.sock");
    let listen = format!("unix:{}", path.display());
    let server = server.args(&["--admin", &listen]).start();
    let mut stream = UnixStream::connect(&path).expect("it accepts");
    let request = b"GET /ready HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("it is taken");
    assert_eq!(Answer::read(stream).body, "ready\n");
    server.stop();
    assert!(!path.exists());
}

#[test]
fn foreign_hosts_are_refused() {
    let server = start(&["--admin-host", "metrics.example"]);
    let admin = address(&server);
    for host in ["example.com", "localhost.example.com", "10.0.0.1", "[::2]"] {
        let answer = get_with(admin, "/status", &format!("Host: {host}\r\n"));
        assert_eq!(answer.status, 403, "{host}");
        assert!(!answer.body.contains("generation"));
    }
    let own = admin.to_string();
    for host in [
        "localhost",
        "127.0.0.1:1",
        "[::1]",
        "metrics.example:9",
        &own,
    ] {
        let answer = get_with(admin, "/ready", &format!("Host: {host}\r\n"));
        assert_eq!(answer.status, 200, "{host}");
    }
    let two = "Host: localhost\r\nHost: example.com\r\n";
    assert_ne!(get_with(admin, "/ready", two).status, 200);
    let line =
        "GET http://example.com/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(request(admin, line).status, 403);
}

#[test]
fn only_get_and_head_are_answered() {
    let server = start(&[]);
    let admin = address(&server);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        let line =
            format!("{method} /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc");
        let answer = request(admin, &line);
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.headers.contains("allow: get, head"));
    }
    let head = request(
        admin,
        "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let with_body = "GET /ready HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(request(admin, with_body).status, 400);
}

#[test]
fn an_address_that_others_reach_is_warned_about() {
    let server = serve(prebuilt("echo"))
        .args(&["--admin", "0.0.0.0:0"])
        .start();
    server.stderr.wait("can be reached from other machines");
    server.stop();
}

#[test]
fn an_address_in_use_is_found_at_the_start() {
    let server = start(&[]);
    let admin = address(&server).to_string();
    let ran = serve(prebuilt("echo")).args(&["--admin", &admin]).fail();
    let error = ran.failure(1);
    assert!(error.contains("--admin: cannot listen on"), "{error}");
}

#[test]
fn who_is_slow_is_closed() {
    let server = start(&["--admin-timeout", "50ms"]);
    let admin = address(&server);
    for begun in ["", "GET /ready HTTP/1.1\r\nHost: loc"] {
        let answer = request(admin, begun);
        assert!(matches!(answer.status, 0 | 408), "{answer:?}");
    }
    wait_for("both to be counted", || {
        server.limit_reached("admin-timeout") == 2
    });
    assert_eq!(get(admin, "/ready").status, 200);
    // A browser keeps a connection that it has no other request for.
    let kept = request(admin, "GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(kept.status, 200);
    // It is no limit of a service, and stays where it is when services come and go.
    let metrics = get(admin, "/metrics").body;
    let counted = |labels: &str| format!("hotsocket_limit_reached_total{{{labels}}} ");
    let of_process = counted("limit=\"admin-timeout\"") + "2\n";
    assert!(metrics.contains(&of_process), "{metrics}");
    let of_service = counted("service=\"guest\",limit=\"admin-timeout\"") + "0\n";
    assert!(metrics.contains(&of_service), "{metrics}");
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let server = start(&[]);
    let admin = address(&server);
    let long = format!("Host: localhost\r\nX: {}\r\n", "x".repeat(20 << 10));
    assert_eq!(get_with(admin, "/ready", &long).status, 431);
    let many = format!("Host: localhost\r\n{}", "X: y\r\n".repeat(100));
    assert_eq!(get_with(admin, "/ready", &many).status, 431);
    wait_for("both to be counted", || {
        server.limit_reached("admin-header") == 2
    });
}

const ASK: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn a_connection_does_not_last_for_ever() {
    let server = start(&["--admin-lifetime", "2s", "--admin-timeout", "1s"]);
    let mut stream = connect(address(&server));
    // More answers than buffers on the way have room for, of which it reads nothing.
    let _ = stream.write_all(&ASK.repeat(4000));
    wait_for("it to be counted", || {
        server.limit_reached("admin-lifetime") == 1
    });
    // Ends, though the client is still there.
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.starts_with(b"HTTP/1.1 200"));
}

/// Ask on a connection that goes on, and read the answer. False if the connection has ended.
fn ask_again(stream: &mut BufReader<TcpStream>) -> bool {
    if stream.get_mut().write_all(ASK).is_err() {
        return false;
    }
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match stream.read_line(&mut head) {
            Ok(0) => {}
            Ok(_) => continue,
            // It has asked when the connection was just closed.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        assert_eq!(head, "", "a part of an answer");
        return false;
    }
    let head = head.to_lowercase();
    let (_, length) = head.split_once("content-length: ").expect("a length");
    let length = length.lines().next().and_then(|length| length.parse().ok());
    let mut body = vec![0; length.expect("a number")];
    stream.read_exact(&mut body).expect("the whole answer");
    true
}

#[test]
fn who_asks_again_and_again_is_closed_between_two_answers() {
    let server = start(&["--admin-lifetime", "1s"]);
    let mut stream = BufReader::new(connect(address(&server)));
    let (began, mut answers) = (Instant::now(), 0);
    while ask_again(&mut stream) {
        answers += 1;
        assert!(began.elapsed() < PATIENCE, "it goes on");
    }
    assert!(answers > 0);
    assert_eq!(server.limit_reached("admin-lifetime"), 0);
}

#[test]
fn a_newcomer_evicts_the_client_that_has_waited_longest() {
    let server = start(&["--admin-clients", "2"]);
    let admin = address(&server);
    let mut idle: Vec<_> = (0..2).map(|_| connect(admin)).collect();
    assert_eq!(get(admin, "/ready").status, 200);
    wait_for("one to be evicted", || {
        server.limit_reached("admin-clients") == 1
    });
    assert_eq!(idle[0].read(&mut [0; 100]).unwrap_or(0), 0, "it is closed");
}

#[test]
fn it_answers_while_all_serving_threads_compute() {
    let endless = guest().data("(loop (br 0))").build();
    let server = serve(endless)
        .args(&ADMIN)
        .args(&["--cpu-budget", "1h", "--event-timeout", "1h"])
        .start();
    let admin = address(&server);
    let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("x");
    }
    let metrics = || get(admin, "/metrics").body;
    wait_for("all events to have begun", || {
        metrics().contains("hotsocket_events_total{service=\"guest\",event=\"data\"} 8")
    });
    // The others of a thread still have their turns.
    assert_eq!(get(admin, "/live").status, 200);
}
