//! A header that comes byte by byte, and bytes that come together with it.

use crate::harness::{Serve, Server};

fn server() -> Server {
    let args = [
        "--proxy-protocol",
        "127.0.0.1=require",
        "--proxy-timeout",
        "1m",
    ];
    Serve::prebuilt("echo").args(&args).start()
}

/// A header of each version, and what follows.
fn headers() -> [Vec<u8>; 3] {
    let v1 = b"PROXY TCP6 2001:db8::1 ::1 50000 443\r\nhello".to_vec();
    let seed = |name: &str| {
        let path = format!("fuzz/seeds/proxy_header/{name}");
        std::fs::read(crate::harness::repo(&path)).expect("a seed")
    };
    [v1, seed("v2_tcp4"), seed("v2_checksum")]
}

#[test]
fn split_at_every_byte_it_is_read_whole() {
    let server = server();
    for bytes in headers() {
        for at in 1..bytes.len() {
            let mut client = server.connect();
            let (one, two) = bytes.split_at(at);
            client.send(one);
            client.send(two);
            client.expect("hello");
        }
    }
    assert_eq!(server.limit_reached("proxy-protocol"), 0);
}

#[test]
fn one_byte_at_a_time_it_is_read_whole() {
    let server = server();
    for bytes in headers() {
        let mut client = server.connect();
        bytes.iter().for_each(|byte| client.send([*byte]));
        client.expect("hello");
        client.end();
        client.expect_rest("");
    }
}

#[test]
fn much_that_comes_with_it_is_not_lost() {
    let server = server();
    let much: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    for bytes in headers() {
        let mut client = server.connect();
        let all = [bytes.as_slice(), &much].concat();
        let sent = client.send_meanwhile_and_end(all);
        client.expect("hello");
        client.expect_rest(&much);
        sent.join().expect("a thread").expect("taken");
    }
}
