//! Peers that do not speak TLS, or speak it badly: each gets an alert or a FIN, one line
//! of the log says what it has done, and nobody else notices.

use std::io::Read;
use std::sync::Arc;
use std::thread;

use rustls::ClientConnection;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;

use super::{Authority, Secure, secured, start};
use crate::guests::obeying;
use crate::harness::{Client, PATIENCE, Serve, serve, wait_for};

/// Alerts (RFC 8446, section 6), fatal and in plain text.
const DECODE_ERROR: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 50];
const HANDSHAKE_FAILURE: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 40];
const PROTOCOL_VERSION: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 70];

/// What a good client sends first.
pub fn hello(authority: &Authority) -> Vec<u8> {
    let mut roots = rustls::RootCertStore::empty();
    let pem = authority.pem.as_bytes();
    let root = rustls::pki_types::pem::PemObject::from_pem_slice(pem).expect("PEM");
    roots.add(root).expect("a certificate");
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("a.test").expect("a name");
    let mut tls = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).expect("a vector");
    hello
}

/// A hello of an older version, TLS 1.1, 1.0 or SSLv3, with one suite and these extensions.
fn old_hello(version: u8, extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, version];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    body.extend(extensions);
    let mut message = vec![1, 0, 0, body.len() as u8];
    message.extend(body);
    let mut record = vec![0x16, 3, version, 0, message.len() as u8];
    record.extend(message);
    record
}

/// Send this, and get that before the server's FIN.
fn refused(secure: &Secure, bytes: &[u8], alert: &[u8]) {
    let mut client = secure.server.connect();
    client.send(bytes);
    client.expect_rest(alert);
}

#[test]
fn each_is_told_and_one_line_says_what_it_did() {
    let garbage: Vec<u8> = (0..200_u8).map(|at| at.wrapping_mul(31) | 0x80).collect();
    let long = [&[0x16, 3, 1, 0x48, 1][..], &[0; 100]].concat();
    let cases: [(&[u8], &[u8], &str); 8] = [
        (
            b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            &DECODE_ERROR,
            "speaks HTTP without TLS",
        ),
        (
            b"SSH-2.0-OpenSSH_9.2\r\n",
            &DECODE_ERROR,
            "speaks SSH, not TLS",
        ),
        (
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
            &DECODE_ERROR,
            "sends a PROXY header",
        ),
        (&garbage, &DECODE_ERROR, "does not speak TLS"),
        (
            &[0x80, 0x2e, 1, 0, 2, 0, 21, 0, 0, 0, 16, 1, 0],
            &DECODE_ERROR,
            "speaks SSLv2",
        ),
        (
            &old_hello(0, &[]),
            &HANDSHAKE_FAILURE,
            "no version of TLS that is allowed",
        ),
        (
            &old_hello(2, &[0, 8, 0, 13, 0, 4, 0, 2, 4, 3]),
            &PROTOCOL_VERSION,
            "no version of TLS that is allowed",
        ),
        (&long, &DECODE_ERROR, "a record longer than TLS allows"),
    ];
    for (bytes, alert, line) in cases {
        // Of the same warning there is one in ten seconds.
        let secure = start(Serve::prebuilt("echo"));
        refused(&secure, bytes, alert);
        secure.server.stderr.wait(line);
        refused(&secure, bytes, alert);
        secure.client().ask("x", "x");
        let log = secure.server.stop().stderr;
        assert_eq!(log.matches("in its TLS handshake").count(), 1, "{log}");
    }
}

#[test]
fn a_handshake_that_stops_in_the_middle_is_over_in_time() {
    let secure = start(Serve::prebuilt("echo").args(&["--handshake-timeout", "500ms"]));
    let hello = hello(&secure.authority);
    // Silent from the start, after a byte, in the middle, and after its hello.
    let lengths = [0, 1, 5, hello.len() / 2, hello.len()];
    let mut stuck: Vec<_> = lengths
        .iter()
        .map(|length| {
            let mut client = secure.server.connect();
            client.send(&hello[..*length]);
            client
        })
        .collect();
    secure.client().ask("x", "x");
    for client in &mut stuck {
        let _ = client.rest();
    }
    assert_eq!(
        secure.server.limit_reached("handshake-timeout"),
        lengths.len() as u64
    );
    secure
        .server
        .stderr
        .wait("its handshake timed out (--handshake-timeout)");
    // Those that end are no case for the time-out.
    for length in lengths {
        let mut client = secure.server.connect();
        client.send(&hello[..length]);
        client.end();
        let _ = client.rest();
    }
    assert_eq!(
        secure.server.limit_reached("handshake-timeout"),
        lengths.len() as u64
    );
}

#[test]
fn a_hello_byte_by_byte_is_one() {
    let secure = start(Serve::prebuilt("echo"));
    let hello = hello(&secure.authority);
    let mut client = secure.server.connect();
    for byte in hello {
        client.send([byte]);
    }
    // The server's hello.
    assert_eq!(client.read(2), [0x16, 3]);
}

#[test]
fn a_hello_with_any_byte_changed_harms_nobody() {
    let mut secure = start(Serve::prebuilt("echo").args(&["--handshake-timeout", "10s"]));
    let hello = hello(&secure.authority);
    for at in (0..hello.len()).step_by(3) {
        let mut damaged = hello.clone();
        damaged[at] ^= 0x55;
        let mut client = secure.server.connect();
        client.send(&damaged);
        client.end();
        let _ = client.rest();
    }
    secure.client().ask("x", "x");
    assert!(secure.server.is_well());
}

#[test]
fn damaged_records_after_the_handshake_end_the_connection() {
    let guest = obeying(&[]).prints_closed();
    let secure = start(serve(guest.build()));
    for damage in [
        vec![0x17, 3, 3, 0, 64],
        vec![0x17, 3, 3, 0x48, 1],
        vec![0x16, 3, 3, 0, 4],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        let mut client = secure.client();
        client.ask("x", "x");
        client.tcp.send([damage, vec![9; 64]].concat());
        assert!(client.rest().is_err(), "no close_notify, but an alert");
    }
    secure.server.stdout.wait_count("closed 1", 4);
    secure.client().ask("x", "x");
}

#[test]
fn handshakes_beyond_the_limit_wait_for_their_turn() {
    let args = ["--max-handshakes", "2", "--handshake-timeout", "30s"];
    let secure = start(Serve::prebuilt("echo").args(&args));
    let hello = hello(&secure.authority);
    // These have not begun: they are in nobody's way.
    let _silent: Vec<_> = [&[][..], &[0x16], &hello[..20]]
        .into_iter()
        .map(|part| {
            let mut client = secure.server.connect();
            client.send(part);
            client
        })
        .collect();
    secure.client().ask("x", "x");
    let stuck: Vec<_> = (0..2)
        .map(|_| {
            let mut client = secure.server.connect();
            client.send(&hello);
            // It has been answered.
            client.read(1);
            client
        })
        .collect();
    let address = secure.server.addresses[0];
    let config = secure.authority.client();
    let waiting = thread::spawn(move || config.try_connect(address));
    secure
        .server
        .stderr
        .wait("2 are going on (--max-handshakes)");
    assert_eq!(secure.server.limit_reached("max-handshakes"), 1);
    drop(stuck);
    let served = waiting.join().expect("no panic");
    served.expect("its turn has come").ask("x", "x");
}

#[test]
fn those_that_wait_too_long_are_closed() {
    let args = ["--max-handshakes", "1", "--handshake-timeout", "300ms"];
    let secure = start(Serve::prebuilt("echo").args(&args));
    let mut clients: Vec<_> = (0..5).map(|_| secure.server.connect()).collect();
    for client in &mut clients {
        client.expect_rest("");
    }
    wait_for("five time-outs", || {
        secure.server.limit_reached("handshake-timeout") == 5
    });
    secure.client().ask("x", "x");
}

#[test]
fn a_flood_of_handshakes_delays_nobody_for_long() {
    let authority = Authority::new("an authority");
    let server = secured(Serve::prebuilt("echo"), &authority).start();
    let config = authority.client();
    let mut neighbour = config.connect(&server);
    let address = server.addresses[0];
    let hello = hello(&authority);
    let flood: Vec<_> = (0..4)
        .map(|_| {
            let hello = hello.clone();
            thread::spawn(move || {
                for _ in 0..100 {
                    let mut client = Client::connect(address);
                    client.send(&hello);
                    let mut answer = [0; 100];
                    client
                        .stream
                        .set_read_timeout(Some(PATIENCE))
                        .expect("a time-out");
                    client.stream.read_exact(&mut answer).expect("a hello");
                }
            })
        })
        .collect();
    let mut rounds = 0;
    while flood.iter().any(|thread| !thread.is_finished()) {
        neighbour.ask("x", "x");
        rounds += 1;
    }
    for thread in flood {
        thread.join().expect("no panic");
    }
    assert!(rounds > 10, "only {rounds} answers during 400 handshakes");
}

#[test]
fn openssl_cannot_renegotiate() {
    use crate::harness::{Process, Reader, lacks_program};
    use std::io::Write;
    use std::process::{Command, Stdio};
    if lacks_program("openssl") {
        return;
    }
    let secure = start(Serve::prebuilt("lines"));
    let mut openssl = Command::new("openssl");
    openssl
        .args(["s_client", "-tls1_2", "-legacy_renegotiation", "-connect"])
        .arg(secure.server.addresses[0].to_string())
        .stdin(Stdio::piped());
    let mut openssl = Process::start_with("openssl", &mut openssl, Reader::Test, PATIENCE);
    let mut stdin = openssl.child.stdin.take().expect("a pipe");
    stdin.write_all(b"one\n").expect("taken");
    openssl.stdout.wait("1: one");
    // A line of its own that begins with R asks s_client for it.
    stdin.write_all(b"R\n").expect("taken");
    openssl.stderr.wait("no renegotiation");
    secure.client().ask("x\n", "1: x\n");
}
