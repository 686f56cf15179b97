//! A store in a bucket of NATS JetStream, which several servers share, with the real
//! server.

use std::thread;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{Orders, served};
use crate::harness::{NatsServer, Server, count_lines, temp_dir, wait_for};

/// A NATS server with JetStream, and where it keeps what it has.
fn nats() -> Option<(NatsServer, TempDir)> {
    let dir = temp_dir();
    let nats = NatsServer::start(&["-js", "-sd", &dir.path().display().to_string()])?;
    Some((nats, dir))
}

fn server(nats: &NatsServer) -> Server {
    let server = served(&["--store", &format!("{}/shared", nats.url())]).start();
    wait_state(&server, "connected");
    server
}

#[track_caller]
fn wait_state(server: &Server, state: &str) {
    wait_for(&format!("the store {state}"), || {
        let status = server.status();
        let shown = status["store"]["nats"].as_str().expect("a state");
        shown.starts_with(state)
    });
}

#[test]
fn servers_share_keys() {
    let Some((nats, _dir)) = nats() else {
        return;
    };
    let (one, two) = (server(&nats), server(&nats));
    let (mut a, mut b) = (one.connect(), two.connect());
    a.orders(&[("get k", "none"), ("set k v", "ok")]);
    b.orders(&[("get k", "v"), ("absent k w", "no"), ("see k", "ok")]);
    a.orders(&[("add n 5", "5"), ("set k other", "ok")]);
    b.orders(&[
        ("swap mine", "changed"),
        ("current", "other"),
        ("add n -1", "4"),
    ]);
    a.orders(&[
        ("add k 1", "error: the value is not a number"),
        ("present none x", "no"),
    ]);
    b.orders(&[
        ("see k", "ok"),
        ("swap mine", "ok"),
        ("delete n", "yes"),
        ("delete n", "no"),
    ]);
    a.orders(&[
        ("get k", "mine"),
        ("get n", "none"),
        ("absent n again", "yes"),
        ("set a.b/ü 1", "ok"),
        ("keys ", "a.b/ü k n"),
        ("keys a.", "a.b/ü"),
        ("set-many p1 1 p2 2 p3 3 p4 4", "ok"),
        ("page p", "3 p3"),
        ("page p p3", "1 "),
        ("get-many p1 x p4", "1 none 4"),
        ("get-values 2 p1 x p4 p2", "1 none 4"),
        ("delete-many p1 p2 p3 p4", "ok"),
        ("set large *1000000", "ok"),
        ("in other", "ok"),
        ("get k", "none"),
        ("keys ", ""),
    ]);
    b.orders(&[("get large", "1000000 bytes"), ("keys p", "")]);
}

#[test]
fn keys_live_as_long_as_they_are_told_to() {
    let Some((nats, _dir)) = nats() else {
        return;
    };
    let server = server(&nats);
    let mut a = server.connect();
    a.orders(&[
        ("life k", "none"),
        ("set k 1", "ok"),
        ("life k", "forever"),
        ("set-for k 2 60000", "ok"),
        ("life k", "60 s"),
        ("add k 1", "3"),
        ("life k", "60 s"),
        ("present k 5 unchanged", "yes"),
        ("life k", "60 s"),
        ("set-life k 3600000", "yes"),
        ("life k", "3600 s"),
        ("set-life k 0", "yes"),
        ("get k", "none"),
        ("keys ", ""),
        ("set-life k 1000", "no"),
        ("absent k 7", "yes"),
        ("set-for long 1 18446744073709551615", "ok"),
        ("exists long", "yes"),
        ("set-for short 1 300", "ok"),
    ]);
    wait_for("its end", || {
        a.send("exists short\n");
        let answer = a.read(3);
        if answer == b"yes" {
            a.expect("\n");
        }
        answer == b"no\n"
    });
}

#[test]
fn nothing_is_lost_between_connections_of_several_servers() {
    let Some((nats, _dir)) = nats() else {
        return;
    };
    let servers = [server(&nats), server(&nats)];
    let counting = servers.iter().cycle().take(4).map(|server| {
        let mut client = server.connect();
        thread::spawn(move || {
            for _ in 0..40 {
                client.send("add count 1\n");
                while client.read(1) != b"\n" {}
            }
        })
    });
    let counting: Vec<_> = counting.collect();
    for thread in counting {
        thread.join().expect("it counts");
    }
    servers[0].connect().orders(&[("get count", "160")]);
}

/// Connections that don't use the store are served, and those that do get an error.
#[test]
fn nats_may_be_away_and_come_back() {
    let Some((mut nats, _dir)) = nats() else {
        return;
    };
    nats.kill();
    let server = served(&["--store", &format!("{}/shared", nats.url())]).start();
    server.stderr.wait("store: NATS at ");
    let mut a = server.connect();
    let away = [
        ("get k", "error: NATS: cannot be reached"),
        ("what", "what?"),
    ];
    a.orders(&away);
    let shown = server.ask(&["status"]).success();
    assert!(
        shown.contains("away: Connection refused; calls of the store fail"),
        "{shown}"
    );
    nats.restart();
    wait_state(&server, "connected");
    a.orders(&[("set k v", "ok"), ("get k", "v")]);
    nats.kill();
    wait_state(&server, "away");
    a.orders(&away);
    nats.restart();
    wait_state(&server, "connected");
    a.orders(&[("get k", "v")]);
    // One that hangs is given up, long before the event is.
    nats.freeze();
    a.orders(&[
        ("get k", "error: NATS: it does not answer in time"),
        ("what", "what?"),
    ]);
    let mut b = server.connect();
    b.orders(&[("what", "what?")]);
    nats.signal(Signal::CONT);
    a.orders(&[("get k", "v")]);
    assert_eq!(server.connections("faults"), 0);
    let log = server.stop().stderr;
    assert_eq!(count_lines(&log, "calls of the store fail"), 2, "{log}");
}

#[test]
fn what_is_no_bucket_is_said() {
    for (url, code, words) in [
        ("nats://a", 2, "nats://[USER:PASSWORD@]HOST[:PORT]/BUCKET"),
        (
            "nats://a/b.c",
            2,
            "nats://[USER:PASSWORD@]HOST[:PORT]/BUCKET",
        ),
        ("redis://a/b", 2, "is no NATS server"),
    ] {
        let ran = served(&["--store", url]).fail();
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
    let credentials = [
        "--store",
        "nats://a/b",
        "--store-credentials",
        "/nowhere/file",
    ];
    let told = served(&credentials).fail().failure(1);
    assert!(
        told.contains("--store: cannot read /nowhere/file"),
        "{told}"
    );
}

#[test]
fn one_call_takes_only_so_many_bytes() {
    let Some((nats, _dir)) = nats() else {
        return;
    };
    let server = server(&nats);
    let mut a = server.connect();
    let too_many = "error: the values have more than 16 MiB together";
    a.orders(&[
        ("fill 16 big 900000", "ok"),
        ("get-filled 16 big", "16"),
        ("fill 19 big 900000", too_many),
        ("fill 3 more 900000", "ok"),
        ("get-filled 16 big", "16"),
    ]);
}
