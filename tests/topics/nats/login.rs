//! Who a node is for NATS, and how it knows that it is NATS.

use std::fs;
use std::process::Command;

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
