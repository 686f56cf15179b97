//! Certificates of clients.

use std::io;

use rustls::version::{TLS12, TLS13};
use rustls::{ALL_VERSIONS, HandshakeKind};

use super::client::ClientConfig;
use super::{Authority, TlsClient, secured};
use crate::harness::{Serve, Server, wait_for};

/// A server and who signs for its clients, with a list on which one is revoked.
struct Clients {
    server: Server,
    servers: Authority,
    own: Authority,
}

fn start(when: &str, flags: &[&str], list: impl FnOnce(&Authority) -> Option<String>) -> Clients {
    let [servers, own] = ["of servers", "of clients"].map(Authority::new);
    let serve = secured(Serve::prebuilt("echo"), &servers);
    std::fs::write(serve.path("clients.pem"), &own.pem).expect("written");
    if let Some(list) = list(&own) {
        std::fs::write(serve.path("clients.crl"), list).expect("written");
    }
    let serve = serve.args(&["--tls-client-auth", when, "--tls-client-ca", "clients.pem"]);
    Clients {
        server: serve.args(flags).start(),
        servers,
        own,
    }
}

impl Clients {
    fn with(&self, own: Option<&super::authority::Issued>) -> ClientConfig {
        ClientConfig::new(&self.servers.pem, own, ALL_VERSIONS)
    }

    fn refused(&self, config: &ClientConfig) -> String {
        refusal(config.try_connect(self.server.addresses[0]))
    }
}

/// In TLS 1.3 the client is done before the server has looked at its certificate.
fn refusal(connected: io::Result<TlsClient>) -> String {
    match connected {
        Ok(mut client) => TlsClient::alert(&mut client),
        Err(error) => error.to_string(),
    }
}

#[test]
fn one_that_is_required_is_verified() {
    let clients = start("require", &[], |_| None);
    let good = clients.own.issue(&["client"]);
    clients
        .with(Some(&good))
        .connect(&clients.server)
        .ask("x", "x");
    let error = clients.refused(&clients.with(None));
    assert!(error.contains("CertificateRequired"), "{error}");
    clients
        .server
        .stderr
        .wait("has sent no certificate (--tls-client-auth require)");
    let foreign = Authority::new("of strangers").issue(&["client"]);
    let error = clients.refused(&clients.with(Some(&foreign)));
    assert!(error.contains("UnknownCA"), "{error}");
    let expired = clients.own.issue_until(&["client"], 2021);
    let error = clients.refused(&clients.with(Some(&expired)));
    assert!(error.contains("CertificateExpired"), "{error}");
}

#[test]
fn one_that_is_requested_may_be_missing_but_not_bad() {
    let clients = start("request", &[], |_| None);
    clients.with(None).connect(&clients.server).ask("x", "x");
    let good = clients.own.issue(&["client"]);
    clients
        .with(Some(&good))
        .connect(&clients.server)
        .ask("x", "x");
    let foreign = Authority::new("of strangers").issue(&["client"]);
    let error = clients.refused(&clients.with(Some(&foreign)));
    assert!(error.contains("UnknownCA"), "{error}");
    clients
        .server
        .stderr
        .wait("not signed by one of --tls-client-ca");
}

/// Else one that has expired since would be good for ever.
#[test]
fn one_is_verified_each_time_as_no_session_is_resumed() {
    for when in ["request", "require"] {
        let clients = start(when, &[], |_| None);
        let own = clients.own.issue(&["client"]);
        for version in [&TLS12, &TLS13] {
            let config = ClientConfig::new(&clients.servers.pem, Some(&own), &[version]);
            for _ in 0..2 {
                let mut client = config.connect(&clients.server);
                client.ask("x", "x");
                assert_eq!(client.tls.handshake_kind(), Some(HandshakeKind::Full));
                client.end();
                client.expect_rest("");
            }
        }
    }
}

#[test]
fn one_that_is_revoked_later_is_refused() {
    let flags = ["--tls-client-crl", "clients.crl"];
    let clients = start("require", &flags, |own| Some(own.revoke(&[])));
    let [one, other] = ["one", "other"].map(|name| clients.own.issue(&[name]));
    let [mine, others] = [&one, &other].map(|own| clients.with(Some(own)));
    for config in [&mine, &others] {
        config.connect(&clients.server).ask("x", "x");
    }
    let list = clients.own.revoke(&[&one]);
    crate::harness::files::rename_over(&clients.server.path("clients.crl"), list.as_bytes());
    clients.server.stderr.wait("clients.pem was reloaded");
    let error = clients.refused(&mine);
    assert!(error.contains("CertificateRevoked"), "{error}");
    clients.server.stderr.wait("is revoked (--tls-client-crl)");
    others.connect(&clients.server).ask("x", "x");
}

#[test]
fn one_that_is_revoked_while_its_client_is_silent_is_refused() {
    let flags = [
        "--tls-client-crl",
        "clients.crl",
        "--handshake-timeout",
        "1h",
    ];
    let clients = start("require", &flags, |own| Some(own.revoke(&[])));
    let own = clients.own.issue(&["client"]);
    let silent = clients.server.connect();
    wait_for("the silent one to be accepted", || {
        clients.server.connections("accepted") == 1
    });
    let list = clients.own.revoke(&[&own]);
    crate::harness::files::rename_over(&clients.server.path("clients.crl"), list.as_bytes());
    clients.server.stderr.wait("clients.pem was reloaded");
    let error = refusal(clients.with(Some(&own)).handshake(silent));
    assert!(error.contains("CertificateRevoked"), "{error}");
}

#[test]
fn a_damaged_list_keeps_no_new_certificate_out() {
    let flags = ["--tls-client-crl", "clients.crl"];
    let clients = start("require", &flags, |own| Some(own.revoke(&[])));
    let own = clients.own.issue(&["client"]);
    let damaged = "-----BEGIN X509 CRL-----\nMAMCAQE=\n-----END X509 CRL-----\n".to_owned();
    let bad_entry = clients.own.revoke_wrongly(&own);
    let replace = |file: &str, content: &str| {
        crate::harness::files::rename_over(&clients.server.path(file), content.as_bytes());
    };
    for (round, list) in [damaged, bad_entry].iter().enumerate() {
        replace("clients.crl", list);
        let line = "clients.crl: one of its lists of revoked certificates cannot be read (";
        clients.server.stderr.wait_count(line, round + 1);
        let new = clients.servers.issue(&["a.test"]);
        replace("a.pem", &new.certificate);
        replace("a.key", &new.key);
        clients
            .server
            .stderr
            .wait_count("a.pem was reloaded", round + 1);
        clients
            .with(Some(&own))
            .connect(&clients.server)
            .ask("x", "x");
    }
    // What was read before still holds, until the file is mended.
    let log = clients.server.stderr.text();
    assert!(log.contains("still use what was read before"), "{log}");
    replace("clients.crl", &clients.own.revoke(&[&own]));
    clients.server.stderr.wait("clients.pem was reloaded");
    let error = clients.refused(&clients.with(Some(&own)));
    assert!(error.contains("CertificateRevoked"), "{error}");
}
