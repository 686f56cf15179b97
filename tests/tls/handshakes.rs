//! Handshakes that succeed: versions, certificates by name, protocols, resumption; and
//! that no instance exists before.

use std::io::Write;
use std::process::{Command, Stdio};

use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion};

use super::client::ClientConfig;
use super::{Authority, lines, secured, start};
use crate::harness::{PATIENCE, Process, Reader, Serve, lacks_program, run};

#[test]
fn both_versions_are_spoken_and_sessions_are_resumed() {
    let secure = start(Serve::prebuilt("echo"));
    for (version, name) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let config = ClientConfig::new(&secure.authority.pem, None, &[version]);
        let mut first = config.connect(&secure.server);
        first.ask("hello", "hello");
        assert_eq!(first.tls.protocol_version(), Some(name));
        assert_eq!(first.tls.handshake_kind(), Some(HandshakeKind::Full));
        first.end();
        first.expect_rest("");
        let mut second = config.connect(&secure.server);
        second.ask("hello", "hello");
        assert_eq!(
            second.tls.handshake_kind(),
            Some(HandshakeKind::Resumed),
            "{name:?}"
        );
    }
}

#[test]
fn an_older_version_than_the_oldest_is_refused() {
    let authority = Authority::new("an authority");
    let serve = secured(Serve::prebuilt("echo"), &authority);
    let server = serve.args(&["--tls-min-version", "1.3"]).start();
    authority.client().connect(&server).ask("x", "x");
    let old = ClientConfig::new(&authority.pem, None, &[&TLS12]);
    let error = old.try_connect(server.addresses[0]).err().expect("refused");
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    server
        .stderr
        .wait("speaks no version of TLS that is allowed");
}

#[test]
fn clients_get_the_certificate_of_the_name_that_they_ask_for() {
    let [one, two, three] = ["one", "two", "three"].map(Authority::new);
    let serve = secured(Serve::prebuilt("echo"), &one);
    two.issue(&["*.wild.test"]).write(&serve, "b");
    three
        .issue(&["exact.wild.test", "other.test"])
        .write(&serve, "c");
    let server = serve
        .args(&["--tls-cert", "b.pem", "--tls-key", "b.key"])
        .args(&["--tls-cert", "c.pem", "--tls-key", "c.key"])
        .start();
    for (authority, name) in [
        (&one, "a.test"),
        (&one, "localhost"),
        (&two, "x.wild.test"),
        (&two, "X.Wild.Test"),
        (&three, "exact.wild.test"),
        (&three, "other.test"),
    ] {
        let config = authority.client().name(name);
        config.connect(&server).ask("x", "x");
    }
    // Whoever asks for none of them gets the first, and refuses it.
    for name in ["unknown.test", "a.b.wild.test", "wild.test"] {
        let error = one.client().name(name).try_connect(server.addresses[0]);
        let error = error.err().expect("refused").to_string();
        assert!(error.contains("not valid for name"), "{error}");
    }
}

#[test]
fn a_protocol_is_chosen() {
    let authority = Authority::new("an authority");
    let serve = secured(Serve::prebuilt("echo"), &authority);
    let server = serve.args(&["--tls-alpn", "b,a"]).start();
    let offering = |names: &[&str]| authority.client().alpn(names);
    let mut both = offering(&["a", "b"]).connect(&server);
    both.ask("x", "x");
    assert_eq!(both.tls.alpn_protocol(), Some(b"b".as_slice()));
    let mut none = offering(&[]).connect(&server);
    none.ask("x", "x");
    assert_eq!(none.tls.alpn_protocol(), None);
    let error = offering(&["z"]).try_connect(server.addresses[0]).err();
    let error = error.expect("refused").to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    server
        .stderr
        .wait("offers none of the protocols of --tls-alpn");
}

#[test]
fn no_instance_is_made_before_the_handshake_is_over() {
    let secure = start(Serve::prebuilt("echo"));
    let mut silent = secure.server.connect();
    silent.send([0x16, 3, 1]);
    let mut client = secure.client();
    client.ask("x", "x");
    let status = secure.server.status();
    assert_eq!(status["connections"]["open"], 1, "{status}");
    assert_eq!(status["connections"]["accepted"], 2, "{status}");
}

#[test]
fn a_unix_socket_stays_plain_beside_it() {
    use std::io::Read;
    let authority = Authority::new("an authority");
    let serve = Serve::prebuilt("echo").listen(&["127.0.0.1:0", "unix:it.sock"]);
    let server = secured(serve, &authority).start();
    server.stderr.wait("listening on unix:it.sock");
    let mut plain = std::os::unix::net::UnixStream::connect(server.path("it.sock")).expect("it");
    plain.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    plain.write_all(b"plain").expect("taken");
    let mut answer = [0; 5];
    plain.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"plain");
    authority.client().connect(&server).ask("x", "x");
}

#[test]
fn openssl_speaks_with_it_and_resumes_sessions() {
    if lacks_program("openssl") {
        return;
    }
    let secure = start(lines());
    std::fs::write(secure.server.path("ca.pem"), &secure.authority.pem).expect("written");
    let address = secure.server.addresses[0].to_string();
    for version in ["-tls1_2", "-tls1_3"] {
        let mut openssl = Command::new("openssl");
        openssl
            .args(["s_client", "-connect", &address, "-servername", "a.test"])
            .args(["-CAfile", "ca.pem", "-verify_return_error", version])
            .current_dir(secure.server.dir())
            .stdin(Stdio::piped());
        let mut openssl = Process::start_with("openssl", &mut openssl, Reader::Test, PATIENCE);
        let mut stdin = openssl.child.stdin.take().expect("a pipe");
        stdin.write_all(b"hi\n").expect("taken");
        openssl.stdout.wait("1: hi");
        drop(stdin);
        assert!(openssl.stdout.text().contains("Verification: OK"));
    }
    let ran = run(Command::new("openssl")
        .args(["s_client", "-connect", &address, "-tls1_2", "-reconnect"])
        .stdin(Stdio::null()));
    assert_eq!(
        ran.stdout.matches("Reused, TLSv1.2").count(),
        5,
        "{}",
        ran.stdout
    );
}

#[test]
fn curl_speaks_http_over_it() {
    if lacks_program("curl") {
        return;
    }
    let authority = Authority::new("an authority");
    let serve = secured(Serve::prebuilt("http"), &authority);
    let server = serve.args(&["--tls-alpn", "http/1.1"]).start();
    std::fs::write(server.path("ca.pem"), &authority.pem).expect("written");
    let ran = run(Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--cacert",
            "ca.pem",
            "--include",
        ])
        .arg(format!("https://localhost:{}/", server.port()))
        .current_dir(server.dir()));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("HTTP/1.1 200"), "{ran:?}");
}
