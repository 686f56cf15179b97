//! Files that change: new handshakes use the new pair, open connections are not touched,
//! and a pair that does not fit changes nothing.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::bad_peers::hello;
use super::{Authority, Secure, TlsClient, secured, start};
use crate::harness::files::{rename_over, turn_link};
use crate::harness::{Serve, prebuilt, wait_for};

/// Wait until a new handshake gets a certificate of that authority.
fn wait_served(secure: &Secure, authority: &Authority) -> TlsClient {
    let mut client = None;
    wait_for("the new certificate", || {
        client = authority
            .client()
            .try_connect(secure.server.addresses[0])
            .ok();
        client.is_some()
    });
    client.expect("a client")
}

#[test]
fn a_pair_is_taken_up_once_both_files_fit() {
    let secure = start(Serve::prebuilt("echo"));
    let mut open = secure.client();
    open.ask("before", "before");
    let next = Authority::new("the next");
    let new = next.issue(&["a.test"]);
    rename_over(&secure.server.path("a.pem"), new.certificate.as_bytes());
    secure
        .server
        .stderr
        .wait("the key in a.key is not that of the certificate in a.pem");
    // The old pair is still served.
    secure.client().ask("x", "x");
    rename_over(&secure.server.path("a.key"), new.key.as_bytes());
    secure
        .server
        .stderr
        .wait("the certificate a.pem was reloaded: it is valid until 2090-01-01");
    next.client().connect(&secure.server).ask("new", "new");
    assert!(
        secure
            .authority
            .client()
            .try_connect(secure.server.addresses[0])
            .is_err()
    );
    open.ask("after", "after");
    let log = secure.server.stop().stderr;
    assert_eq!(
        log.matches("is not that of the certificate").count(),
        1,
        "{log}"
    );
    assert_eq!(log.matches("was reloaded").count(), 1, "{log}");
}

#[test]
fn what_is_no_certificate_changes_nothing() {
    let secure = start(Serve::prebuilt("echo"));
    for (content, message) in [
        ("", "a.pem has no certificate in PEM"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "a.pem: no certificate for a server",
        ),
    ] {
        fs::write(secure.server.path("a.pem"), content).expect("written");
        secure.server.stderr.wait(message);
        secure.client().ask("x", "x");
    }
    fs::remove_file(secure.server.path("a.pem")).expect("removed");
    secure
        .server
        .stderr
        .wait("cannot read a.pem: No such file or directory");
    secure.client().ask("x", "x");
}

/// As Kubernetes mounts secrets: files are symlinks into `..data`, which is a symlink to
/// a directory, and only that is turned. certbot turns each file.
#[test]
fn symlinks_that_are_turned_are_noticed() {
    let [first, second, third] = ["first", "second", "third"].map(Authority::new);
    let serve = secured(Serve::prebuilt("echo"), &first);
    for (dir, authority) in [("one", &first), ("two", &second), ("three", &third)] {
        fs::create_dir(serve.path(dir)).expect("a directory");
        authority.issue(&["a.test"]).write_to(&serve.path(dir), "a");
    }
    symlink("one", serve.path("..data")).expect("a symlink");
    for file in ["a.pem", "a.key"] {
        fs::remove_file(serve.path(file)).expect("removed");
        symlink(format!("..data/{file}"), serve.path(file)).expect("a symlink");
    }
    let server = serve.start();
    let secure = Secure {
        server,
        authority: first,
    };
    secure.client().ask("x", "x");
    symlink("two", secure.server.path("..data_tmp")).expect("a symlink");
    let [next, data] = ["..data_tmp", "..data"].map(|name| secure.server.path(name));
    fs::rename(next, data).expect("renamed");
    wait_served(&secure, &second).ask("x", "x");
    for file in ["a.key", "a.pem"] {
        turn_link(&secure.server.path(file), &format!("three/{file}"));
    }
    wait_served(&secure, &third).ask("x", "x");
}

#[test]
fn a_hundred_reloads_under_many_connections_lose_none() {
    const MANY: usize = 1_000;
    let secure = start(Serve::prebuilt("echo"));
    let config = secure.authority.client();
    let mut clients: Vec<_> = (0..MANY).map(|_| config.connect(&secure.server)).collect();
    for round in 1..=100 {
        let new = secure.authority.issue(&["a.test"]);
        rename_over(&secure.server.path("a.key"), new.key.as_bytes());
        rename_over(&secure.server.path("a.pem"), new.certificate.as_bytes());
        secure.server.stderr.wait_count("was reloaded", round);
        let client = &mut clients[round * 7 % MANY];
        client.ask(round.to_string(), round.to_string());
        config.connect(&secure.server).ask("new", "new");
    }
    for client in &mut clients {
        client.ask("still", "still");
    }
}

/// In a configuration file, not in the files that it names: another listener takes the
/// socket over.
#[test]
fn other_options_are_for_new_handshakes() {
    let authority = Authority::new("an authority");
    let serve = Serve::nothing().listen(&[]);
    authority.issue(&["a.test"]).write(&serve, "a");
    authority.issue(&["a.test"]).write(&serve, "b");
    let file = |name: &str, more: &str| {
        format!(
            "[[service]]\nguest = \"echo.wasm\"\nlisten = \"127.0.0.1:0\"\n\
             tls-cert = \"{name}.pem\"\ntls-key = \"{name}.key\"\n{more}"
        )
    };
    fs::write(serve.path("echo.wasm"), prebuilt("echo")).expect("written");
    fs::write(serve.path("hotsocket.toml"), file("a", "")).expect("written");
    let server = serve.args(&["--config", "hotsocket.toml"]).start();
    let config = || authority.client();
    let mut open = config().connect(&server);
    open.ask("before", "before");
    let config_file = server.path("hotsocket.toml");
    rename_over(&config_file, file("b", "tls-alpn = [\"x\"]\n").as_bytes());
    server.stderr.wait("tls-cert, tls-key, tls-alpn");
    let mut client = None;
    wait_for("the new options", || {
        let connected = config().alpn(&["x"]).connect(&server);
        let has = connected.tls.alpn_protocol() == Some(b"x");
        client = has.then_some(connected);
        has
    });
    client.expect("a client").ask("x", "x");
    assert_eq!(
        server.status()["certificates"][0]["file"]
            .as_str()
            .map(|file| file.ends_with("b.pem")),
        Some(true)
    );
    // Such a file changes nothing.
    rename_over(&config_file, file("none", "").as_bytes());
    server.stderr.wait("none.pem: No such file");
    config().connect(&server).ask("y", "y");
    open.ask("after", "after");
}

/// As for want of descriptors, when a new pair comes.
#[test]
fn what_cannot_be_read_now_is_read_later() {
    let secure = start(Serve::prebuilt("echo"));
    let pid = Pid::from_raw(secure.server.pid() as i32);
    let limit = |files: Option<u64>| {
        let all = Rlimit {
            current: files.or(Some(1000)),
            maximum: Some(20_000),
        };
        prlimit(pid, Resource::Nofile, all).expect("a limit of the same user");
    };
    let next = Authority::new("the next");
    let new = next.issue(&["a.test"]);
    limit(Some(3));
    rename_over(&secure.server.path("a.pem"), new.certificate.as_bytes());
    rename_over(&secure.server.path("a.key"), new.key.as_bytes());
    secure.server.stderr.wait("cannot read a.");
    limit(None);
    wait_served(&secure, &next).ask("x", "x");
}

/// Each reload that touches a listener makes another one, which goes with it.
#[test]
fn listeners_before_are_not_kept_by_connections() {
    let authority = Authority::new("an authority");
    let serve = Serve::nothing().listen(&[]);
    authority.issue(&["a.test"]).write(&serve, "a");
    let file = |keepalive: u32| {
        format!(
            "[[service]]\nguest = \"echo.wasm\"\nlisten = \"127.0.0.1:0\"\n\
             tls-cert = \"a.pem\"\ntls-key = \"a.key\"\nkeepalive = \"{keepalive}s\"\n"
        )
    };
    fs::write(serve.path("echo.wasm"), prebuilt("echo")).expect("written");
    fs::write(serve.path("hotsocket.toml"), file(30)).expect("written");
    let server = serve.args(&["--config", "hotsocket.toml"]).start();
    let watches = || {
        let all = fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("a process");
        let links = all.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        links
            .filter(|link| link.ends_with("anon_inode:inotify"))
            .count()
    };
    let mut open = Vec::new();
    let at_first = watches();
    for round in 1..=4 {
        let mut client = authority.client().connect(&server);
        client.ask("x", "x");
        open.push(client);
        rename_over(&server.path("hotsocket.toml"), file(30 + round).as_bytes());
        server
            .stderr
            .wait_count("reloaded hotsocket.toml: ", round as usize);
    }
    wait_for("the watches to be gone", || watches() <= at_first);
    for client in &mut open {
        client.ask("y", "y");
    }
}

#[test]
fn the_number_of_handshakes_follows() {
    let authority = Authority::new("an authority");
    let serve = Serve::nothing().listen(&[]);
    authority.issue(&["a.test"]).write(&serve, "a");
    let file = |handshakes: u32| {
        format!(
            "[[service]]\nguest = \"echo.wasm\"\nlisten = \"127.0.0.1:0\"\n\
             tls-cert = \"a.pem\"\ntls-key = \"a.key\"\n\
             handshake-timeout = \"1h\"\nmax-handshakes = {handshakes}\n"
        )
    };
    fs::write(serve.path("echo.wasm"), prebuilt("echo")).expect("written");
    fs::write(serve.path("hotsocket.toml"), file(1)).expect("written");
    let server = serve.args(&["--config", "hotsocket.toml"]).start();
    let mut stuck = server.connect();
    stuck.send(hello(&authority));
    // It has been answered.
    stuck.read(1);
    rename_over(&server.path("hotsocket.toml"), file(2).as_bytes());
    server.stderr.wait("reloaded hotsocket.toml: ");
    authority.client().connect(&server).ask("x", "x");
}
