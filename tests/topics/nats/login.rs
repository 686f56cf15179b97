//! Who a node is for NATS, and how it knows that it is NATS.

use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::{Orders, connect, served};
use crate::harness::{NatsServer, Server, lacks_program, run, temp_dir};

/// A node that has reached NATS.
fn reaches(url: &str, args: &[&str]) -> Server {
    let server = served(&["--topics", url]).args(args).start();
    server.wait_nats("connected");
    server
}

/// It does not reach it, and says why, and no secret.
fn is_refused(url: &str, args: &[&str], why: &str) {
    let server = served(&["--topics", url]).args(args).start();
    server.stderr.wait("cannot be reached");
    let shown = server.ask(&["status"]).success();
    assert!(shown.contains(why), "{shown}");
    let log = server.stop().stderr;
    assert!(log.contains(why), "{log}");
    assert!(
        !log.contains("wrong") && !shown.contains("wrong"),
        "{log}{shown}"
    );
}

fn meet(one: &Server, two: &Server, nats: &NatsServer) {
    let [mut a] = connect(one);
    let [mut b] = connect(two);
    b.order("event t");
    nats.wait_subscribed("hotsocket.t", 1);
    a.order("publish t hello");
    b.expect_line("1 t 0 hello");
}

const REFUSED: &str = "it does not accept user, password, token or credentials";

#[test]
fn with_user_and_password() {
    let Some(nats) = NatsServer::start(&["--user", "node", "--pass", "s3cr@t"]) else {
        return;
    };
    let address = nats.address;
    let dir = temp_dir();
    let file = dir.path().join("login");
    fs::write(&file, "node:s3cr@t\n").expect("written");
    let one = reaches(&format!("nats://node:s3cr%40t@{address}"), &[]);
    let file = file.display().to_string();
    let two = reaches(&nats.url(), &["--topics-credentials", &file]);
    meet(&one, &two, &nats);
    assert!(!one.ask(&["status"]).success().contains("s3cr"));
    is_refused(&format!("nats://node:wrong@{address}"), &[], REFUSED);
    is_refused(&nats.url(), &[], REFUSED);
}

#[test]
fn with_a_token() {
    let Some(nats) = NatsServer::start(&["--auth", "t0ken"]) else {
        return;
    };
    let address = nats.address;
    let dir = temp_dir();
    let file = dir.path().join("token");
    fs::write(&file, "t0ken").expect("written");
    let one = reaches(&format!("t0ken@{address}"), &[]);
    let file = file.display().to_string();
    let two = reaches(&nats.url(), &["--topics-credentials", &file]);
    meet(&one, &two, &nats);
    is_refused(&format!("wrong@{address}"), &[], REFUSED);
}

/// An authority, and what it has signed for 127.0.0.1.
#[test]
fn over_tls_with_a_ca_of_ones_own() {
    if lacks_program("openssl") {
        return;
    }
    let dir = temp_dir();
    let openssl = |args: &str| {
        let mut command = Command::new("openssl");
        command.current_dir(dir.path()).args(args.split(' '));
        let ran = run(&mut command);
        assert_eq!(ran.code, 0, "{ran:?}");
    };
    fs::write(dir.path().join("san"), "subjectAltName=IP:127.0.0.1\n").expect("written");
    openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem");
    openssl("req -newkey rsa:2048 -nodes -subj /CN=nats -keyout key.pem -out nats.csr");
    openssl(
        "x509 -req -in nats.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out cert.pem",
    );
    let path = |name: &str| dir.path().join(name).display().to_string();
    let args = [
        "--tls",
        "--tlscert",
        &path("cert.pem"),
        "--tlskey",
        &path("key.pem"),
    ];
    let Some(nats) = NatsServer::start(&args) else {
        return;
    };
    let ca = path("ca.pem");
    let one = reaches(&format!("tls://{}", nats.address), &["--topics-ca", &ca]);
    // A server that wants TLS gets it.
    let two = reaches(&nats.url(), &["--topics-ca", &ca]);
    meet(&one, &two, &nats);
    is_refused(&format!("tls://{}", nats.address), &[], "--topics-ca names");
}

/// What an operator's tools would sign (<https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt>).
fn sign(issuer: &KeyPair, subject: &KeyPair, nats: Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let claims = part(json!({
        "jti": subject.public_key(),
        "iat": 1_700_000_000,
        "iss": issuer.public_key(),
        "sub": subject.public_key(),
        "name": "test",
        "nats": nats,
    }));
    let text = format!("{header}.{claims}");
    let signature = issuer.sign(text.as_bytes()).expect("a key");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn credentials(jwt: &str, key: &KeyPair) -> String {
    let seed = key.seed().expect("a key");
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

#[test]
fn with_a_file_of_credentials() {
    let operator = KeyPair::new_operator();
    let account = KeyPair::new_account();
    let (user, stranger) = (KeyPair::new_user(), KeyPair::new_account());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
        "wildcards": true, "conn": -1, "leaf": -1,
    });
    let config = format!(
        "operator: \"{}\"\nresolver: MEMORY\nresolver_preload: {{ {}: \"{}\" }}\n",
        sign(
            &operator,
            &operator,
            json!({ "type": "operator", "version": 2 })
        ),
        account.public_key(),
        sign(
            &operator,
            &account,
            json!({ "type": "account", "version": 2, "limits": limits })
        ),
    );
    let dir = temp_dir();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let claims = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    let signed = sign(&account, &user, claims.clone());
    let good = write("good.creds", &credentials(&signed, &user));
    let signed = sign(&stranger, &user, claims);
    let bad = write("bad.creds", &credentials(&signed, &user));
    let Some(nats) = NatsServer::start(&["-c", &write("nats.conf", &config)]) else {
        return;
    };
    let one = reaches(&nats.url(), &["--topics-credentials", &good]);
    let two = reaches(&nats.url(), &["--topics-credentials", &good]);
    meet(&one, &two, &nats);
    is_refused(&nats.url(), &["--topics-credentials", &bad], REFUSED);
}
