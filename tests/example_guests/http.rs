//! `http`, the HTTP/1.1 server in `guest/examples/http`, with curl, and while code is
//! swapped.

use std::io::Read;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::guests::differing;
use crate::harness::{Client, Serve, Server, lacks_program, repo, run};

fn start() -> Server {
    Serve::prebuilt("http").start()
}

/// The same code in another component.
fn variant(number: usize) -> Vec<u8> {
    let path = repo("guest/prebuilt/http.wasm");
    let component = std::fs::read(path).expect("built");
    (0..number).fold(component, |component, _| differing(component))
}

fn response(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// What curl prints for these arguments and a path.
fn curl(server: &Server, args: &[&str], path: &str) -> String {
    let url = format!("http://{}{path}", server.addresses[0]);
    let ran = run(Command::new("curl")
        .args(["-sS", "--max-time", "60"])
        .args(args)
        .arg(url));
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.stdout
}

#[test]
fn curl_is_served() {
    if lacks_program("curl") {
        return;
    }
    let server = start();
    assert_eq!(curl(&server, &[], "/"), "hello, request 1\n");
    let twice = format!("http://{}/", server.addresses[0]);
    assert_eq!(
        curl(&server, &[&twice], "/"),
        "hello, request 1\nhello, request 2\n"
    );
    let status = ["-o", "/dev/null", "-w", "%{http_code} %{num_connects}"];
    assert_eq!(curl(&server, &status, "/nothing"), "404 1");
    let head = curl(&server, &["-I"], "/bytes/77");
    assert!(head.contains("Content-Length: 77\r\n"), "{head}");
    let body: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    let file = server.path("body");
    std::fs::write(&file, &body).expect("writable");
    let data = format!("@{}", file.display());
    let chunked = "Transfer-Encoding: chunked";
    for args in [
        &["--data-binary", &data][..],
        &["--data-binary", &data, "-H", chunked],
        &["--data-binary", &data, "-H", "Expect: 100-continue"],
        &["--data-binary", &data, "--http1.0"],
    ] {
        assert!(curl(&server, args, "/echo") == body, "{args:?}");
        let count = format!("{} bytes\n", body.len());
        assert_eq!(curl(&server, args, "/count"), count, "{args:?}");
    }
}

#[test]
fn requests_may_come_together_and_in_pieces() {
    let server = start();
    let mut client = server.connect();
    let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    client.send(request.repeat(3));
    for number in 1..=3 {
        client.expect(response(&format!("hello, request {number}\n")));
    }
    for byte in request.bytes() {
        client.send([byte]);
    }
    client.expect(response("hello, request 4\n"));
    // Behind a long response as well.
    client.send("GET /bytes/1000000 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned() + request);
    let head = response("").replace("Length: 0", "Length: 1000000");
    client.expect(head);
    client.read(1_000_000);
    client.expect(response("hello, request 6\n"));
    client.send(
        "POST /count HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    );
    client.expect("HTTP/1.1 100 Continue\r\n\r\n");
    client.ask("abc", response("3 bytes\n"));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let server = start();
    for bad in [
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        let mut client = server.connect();
        client.send(bad.to_owned() + "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = client.rest().expect("FIN");
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{answer}"
        );
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
}

/// Reads so many bytes of the pattern.
fn expect_pattern(client: &mut Client, size: usize) {
    let mut buffer = vec![0; 1 << 20];
    let pattern: Vec<u8> = (0..buffer.len() + 251).map(|at| (at % 251) as u8).collect();
    let mut at = 0;
    while at < size {
        let most = buffer.len().min(size - at);
        let count = client.stream.read(&mut buffer[..most]).expect("bytes");
        assert!(count > 0, "the server ended after {at} bytes");
        let from = at % 251;
        assert!(
            buffer[..count] == pattern[from..from + count],
            "other bytes after {at}"
        );
        at += count;
    }
}

#[test]
fn a_response_of_two_gigabytes_goes_on_through_swaps() {
    const SIZE: usize = 2_000_000_000;
    let server = start();
    let mut client = server.connect();
    client.send(format!("GET /bytes/{SIZE} HTTP/1.1\r\nHost: x\r\n\r\n"));
    client.expect(response("").replace("Length: 0", &format!("Length: {SIZE}")));
    let over = AtomicBool::new(false);
    let swaps = std::thread::scope(|scope| {
        let swapping = scope.spawn(|| {
            let mut migrated = 0;
            for number in 0.. {
                if over.load(Relaxed) {
                    break;
                }
                let answer = server.swap(variant(number % 4), &[]);
                migrated += answer["migrated"].as_u64().unwrap_or(0);
            }
            migrated
        });
        expect_pattern(&mut client, SIZE);
        over.store(true, Relaxed);
        swapping.join().expect("no panic")
    });
    assert!(swaps > 0, "not one swap meanwhile");
    client.ask(
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        response("hello, request 2\n"),
    );
}

/// Half a request, half a body: what has come is part of the state.
#[test]
fn halves_go_on_through_swaps() {
    let server = start();
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-En");
    let mut number = 0;
    let mut swap = || {
        number += 1;
        assert_eq!(server.swap(variant(number), &[])["migrated"], 1);
    };
    swap();
    client.send("coding: chunked\r\n\r\n5\r\nab");
    client.expect("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    swap();
    client.ask("cde\r", "3\r\ncde\r\n");
    swap();
    client.send("\n0\r\n");
    swap();
    client.ask("\r\n", "0\r\n\r\n");
    client.ask(
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        response("hello, request 2\n"),
    );
}

#[test]
fn a_response_to_head_has_no_body() {
    let server = start();
    let mut client = server.connect();
    client.send(
        "HEAD /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nxGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    let answer = client.rest().expect("FIN");
    let answer = String::from_utf8_lossy(&answer);
    let (head, rest) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(rest.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

/// Its client would take another response for the rest of the one that has begun.
#[test]
fn a_response_that_has_begun_ends_where_its_request_is_wrong() {
    let server = start();
    let mut client = server.connect();
    client.send(
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
    );
    let answer = client.rest().expect("FIN");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.ends_with("3\r\nabc\r\n"), "{answer}");
}
