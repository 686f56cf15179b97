//! What a guest learns of its peer (`hotsocket:peer`), and an operator from the metrics.

use std::io::Write;

use rustls::version::TLS12;

use super::client::ClientConfig;
use super::{Authority, secured};
use crate::harness::{Client, Serve};
use crate::operating::metrics;

#[test]
fn a_guest_sees_what_was_agreed_on() {
    let [servers, own] = ["of servers", "of clients"].map(Authority::new);
    let serve = secured(Serve::prebuilt("whoami"), &servers);
    std::fs::write(serve.path("clients.pem"), &own.pem).expect("written");
    let server = serve
        .args(&["--tls-alpn", "one,two", "--tls-client-ca", "clients.pem"])
        .args(&["--tls-client-auth", "request"])
        .start();
    let mut client = servers.client().alpn(&["two"]).connect(&server);
    let you = |client: &super::TlsClient| {
        let address = client.tcp.stream.local_addr().expect("an address");
        format!("you are {address}\n")
    };
    let line = r#"TLSv1.3 for "a.test", protocol "two""#;
    client.expect(format!("{}{line}\n", you(&client)));
    let issued = own.issue(&["client"]);
    let config = ClientConfig::new(&servers.pem, Some(&issued), &[&TLS12]);
    let mut client = config.connect(&server);
    let line = r#"TLSv1.2 for "a.test", protocol """#;
    client.expect(format!("{}{line}\ncertificate of ", you(&client)));
}

#[test]
fn a_proxy_header_comes_before_the_handshake() {
    let authority = Authority::new("an authority");
    let serve = secured(Serve::prebuilt("whoami"), &authority);
    let server = serve
        .args(&["--proxy-protocol", "127.0.0.0/8=require"])
        .start();
    let mut tcp = Client::connect(server.addresses[0]);
    let header = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n";
    tcp.stream.write_all(header).expect("taken");
    let mut client = authority.client().handshake(tcp).expect("a handshake");
    client.expect("you are 192.0.2.7:4711\n");

    // A second one is neither a header nor TLS.
    let mut twice = Client::connect(server.addresses[0]);
    twice
        .stream
        .write_all(&[&header[..], header].concat())
        .expect("taken");
    let _ = twice.rest();
    server
        .stderr
        .wait("it may send none (--proxy-protocol), or it sends a second one");
}

#[test]
fn metrics_count_handshakes_and_show_when_certificates_expire() {
    let authority = Authority::new("an authority");
    let serve = secured(Serve::prebuilt("echo"), &authority);
    let server = serve.args(&["--admin", "127.0.0.1:0"]).start();
    let shows = |parts: &[&str]| {
        let text = metrics(&server);
        let shown = text
            .lines()
            .any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(shown, "{parts:?} in {text}");
    };
    let expiry = "hotsocket_certificate_expiry_timestamp_seconds";
    // The first days of 2090 and of 2080.
    shows(&[expiry, "} 3786912000"]);
    let config = authority.client();
    for _ in 0..2 {
        let mut client = config.connect(&server);
        client.ask("x", "x");
        client.end();
        client.expect_rest("");
    }
    let mut plain = server.connect();
    plain.send("GET / HTTP/1.0\r\n\r\n");
    let _ = plain.rest();
    let handshakes = "hotsocket_tls_handshakes_total";
    for outcome in ["full", "resumed", "not-tls"] {
        shows(&[handshakes, &format!("outcome=\"{outcome}\""), "} 1"]);
    }
    let new = authority.issue_until(&["a.test"], 2080);
    new.write_to(server.dir(), "a");
    server
        .stderr
        .wait("was reloaded: it is valid until 2080-01-01");
    shows(&[expiry, "} 3471292800"]);
}
