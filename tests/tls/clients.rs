//! Certificates of clients.

use rustls::ALL_VERSIONS;

use super::client::ClientConfig;
use super::{Authority, TlsClient, secured};
use crate::harness::{Serve, Server};

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

    /// In TLS 1.3 the client is done before the server has looked at its certificate.
    fn refused(&self, config: &ClientConfig) -> String {
        match config.try_connect(self.server.addresses[0]) {
            Ok(mut client) => TlsClient::alert(&mut client),
            Err(error) => error.to_string(),
        }
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

#[test]
fn one_that_is_revoked_later_is_refused_although_it_has_a_session() {
    let flags = ["--tls-client-crl", "clients.crl"];
    let clients = start("require", &flags, |own| Some(own.revoke(&[])));
    let [one, other] = ["one", "other"].map(|name| clients.own.issue(&[name]));
    let [mine, others] = [&one, &other].map(|own| clients.with(Some(own)));
    // Each has a session that it may resume.
    for config in [&mine, &others, &mine, &others] {
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
fn a_damaged_list_keeps_no_new_certificate_out() {
    let flags = ["--tls-client-crl", "clients.crl"];
    let clients = start("require", &flags, |own| Some(own.revoke(&[])));
    let own = clients.own.issue(&["client"]);
    let damaged = "-----BEGIN X509 CRL-----\nMAMCAQE=\n-----END X509 CRL-----\n";
    let replace = |file: &str, content: &str| {
        crate::harness::files::rename_over(&clients.server.path(file), content.as_bytes());
    };
    replace("clients.crl", damaged);
    clients
        .server
        .stderr
        .wait("clients.crl: one of its lists of revoked certificates cannot be read (");
    let new = clients.servers.issue(&["a.test"]);
    replace("a.pem", &new.certificate);
    replace("a.key", &new.key);
    clients.server.stderr.wait("a.pem was reloaded");
    clients
        .with(Some(&own))
        .connect(&clients.server)
        .ask("x", "x");
    // What was read before still holds, until the file is mended.
    let log = clients.server.stderr.text();
    assert!(log.contains("still use what was read before"), "{log}");
    replace("clients.crl", &clients.own.revoke(&[&own]));
    clients.server.stderr.wait("clients.pem was reloaded");
    let error = clients.refused(&clients.with(Some(&own)));
    assert!(error.contains("CertificateRevoked"), "{error}");
}
