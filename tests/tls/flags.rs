//! What is wrong with flags and files is found before anything listens.

use std::fs;

use super::{Authority, secured};
use crate::harness::Serve;

#[test]
fn files_that_do_not_fit_are_named() {
    let authority = Authority::new("an authority");
    let cases: [(&[&str], &str); 10] = [
        (
            &["--tls-cert", "a.pem", "--tls-key", "b.key"],
            "the key in b.key is not that of the certificate in a.pem",
        ),
        (
            &["--tls-cert", "no.pem", "--tls-key", "a.key"],
            "cannot read no.pem: No such file",
        ),
        (
            &["--tls-cert", "text", "--tls-key", "a.key"],
            "text has no certificate in PEM",
        ),
        (
            &["--tls-cert", "a.pem", "--tls-key", "a.pem"],
            "a.pem has no private key in PEM",
        ),
        (
            &["--tls-cert", "cut.pem", "--tls-key", "a.key"],
            "cut.pem: it is cut off: the end of a section",
        ),
        (
            &[
                "--tls-cert",
                "a.pem",
                "--tls-key",
                "a.key",
                "--tls-client-auth",
                "require",
            ],
            "--tls-client-auth needs --tls-client-ca",
        ),
        (
            &[
                "--tls-cert",
                "a.pem",
                "--tls-key",
                "a.key",
                "--tls-client-ca",
                "a.pem",
            ],
            "--tls-client-ca needs --tls-client-auth",
        ),
        (
            &[
                "--tls-cert",
                "a.pem",
                "--tls-key",
                "a.key",
                "--tls-alpn",
                "a,,b",
            ],
            "a protocol's name has 1 to 255 bytes",
        ),
        (
            &[
                "--tls-cert",
                "a.pem",
                "--tls-key",
                "a.key",
                "--tls-client-auth",
                "require",
                "--tls-client-ca",
                "text",
            ],
            "text has no certificate in PEM",
        ),
        (
            &[
                "--tls-cert",
                "a.pem",
                "--tls-key",
                "a.key",
                "--tls-client-auth",
                "require",
                "--tls-client-ca",
                "a.pem",
                "--tls-client-crl",
                "bad.crl",
            ],
            "bad.crl: one of its lists of revoked certificates cannot be read",
        ),
    ];
    let crl = "-----BEGIN X509 CRL-----\nMAMCAQE=\n-----END X509 CRL-----\n";
    for (flags, message) in cases {
        let serve = Serve::prebuilt("echo");
        fs::write(serve.path("bad.crl"), crl).expect("written");
        authority.issue(&["a.test"]).write(&serve, "a");
        authority.issue(&["b.test"]).write(&serve, "b");
        fs::write(serve.path("text"), "no PEM").expect("written");
        let half = fs::read_to_string(serve.path("a.pem"))
            .expect("PEM")
            .replace("-----END", "");
        fs::write(serve.path("cut.pem"), half).expect("written");
        let error = serve.args(flags).fail().failure(1);
        assert!(error.contains(message), "{flags:?}: {error}");
    }
}

#[test]
fn flags_that_belong_together_are_wrong_usage_alone() {
    for (flags, message) in [
        (["--tls-cert", "a.pem"], "there are 1 and 0"),
        (["--tls-key", "a.key"], "there are 0 and 1"),
        (["--tls-alpn", "h2"], "--tls-cert"),
        (["--tls-min-version", "1.3"], "--tls-cert"),
    ] {
        let ran = Serve::prebuilt("echo").args(&flags).fail();
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains(message), "{flags:?}: {}", ran.stderr);
    }
}

#[test]
fn a_certificate_that_expires_is_named() {
    let authority = Authority::new("an authority");
    let serve = secured(Serve::prebuilt("echo"), &authority);
    authority.issue_until(&["a.test"], 2021).write(&serve, "a");
    let server = serve.start();
    server
        .stderr
        .wait("the certificate a.pem has expired: it was valid until 2021-01-01");
}

#[test]
fn status_names_each_certificate_and_when_it_expires() {
    let authority = Authority::new("an authority");
    let serve = secured(Serve::prebuilt("echo"), &authority);
    let old = authority.issue_until(&["*.b.test"], 2021);
    old.write(&serve, "b");
    let server = serve
        .args(&["--tls-cert", "b.pem", "--tls-key", "b.key"])
        .start();
    let address = server.addresses[0].to_string();
    let status = server.status();
    let all = status["certificates"].as_array().expect("a list");
    let [a, b] = &all[..] else {
        panic!("two: {status}")
    };
    assert_eq!(a["listener"], address);
    assert_eq!((&a["file"], &b["file"]), (&"a.pem".into(), &"b.pem".into()));
    assert_eq!(a["names"], serde_json::json!(["a.test", "localhost"]));
    assert_eq!(a["expires"], "2090-01-01");
    assert_eq!(a["expires_s"], 3_786_912_000_u64);
    assert!(a["days_left"].as_i64() > Some(20_000), "{a}");
    assert!(b["days_left"].as_i64() < Some(0), "{b}");
    let text = server.ask(&["status"]).success();
    let line = format!("certificate  a.pem on {address}: a.test, localhost; expires on 2090-01-01");
    assert!(text.contains(&line), "{text}");
    let line = format!("certificate  b.pem on {address}: *.b.test; EXPIRED on 2021-01-01");
    assert!(text.contains(&line), "{text}");
}
