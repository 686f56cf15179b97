//! `hotsocket swap` and `status`: which server they find, what they print, how they
//! exit.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::guests::{failing_its_trial, saying};
use crate::harness::{Serve, ask, hotsocket, prebuilt, prebuilt_path, run, serve, temp_dir};

#[test]
fn status_shows_addresses_guest_generation_and_connections() {
    let server = Serve::prebuilt("echo").start();
    let (mut one, _silent) = (server.connect(), server.connect());
    one.ask("x", "x");
    server.wait_open(2);
    let status = server.status();
    let path = server.path("guest.wasm").display().to_string();
    let sum = run(std::process::Command::new("sha256sum").arg(&path)).success();
    let sha256 = sum.split(' ').next().expect("a sum");
    assert_eq!(
        status["listeners"],
        serde_json::json!([server.addresses[0].to_string()])
    );
    assert_eq!(status["guest"], path.as_str());
    assert_eq!(status["watching"], path.as_str());
    assert_eq!(status["generation"], 1);
    assert_eq!(status["sha256"], sha256);
    assert_eq!(status["pid"], server.pid());
    assert_eq!(status["connections"]["accepted"], 2);
    assert!(
        status["uptime_s"]
            .as_u64()
            .is_some_and(|seconds| seconds < 3600)
    );

    let text = server.ask(&["status"]).success();
    for part in [
        "generation   1",
        "2 open",
        "uptime",
        sha256,
        &path,
        &server.addresses[0].to_string(),
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn swap_reports_what_became_of_connections() {
    let server = Serve::prebuilt("echo").start();
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ask("x", "x");
    }
    let told = server.try_swap_file(&prebuilt_path("shout"), &[]).success();
    assert!(
        told.starts_with("swapped: generation 2 is ") && told.contains("3 connections migrated"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1);
    for client in &mut clients {
        client.ask("x", "X");
    }
    server.stderr.wait("swapped: generation 2 is ");

    let told = server.try_swap_file(&prebuilt_path("shout"), &[]).success();
    assert!(told.starts_with("unchanged: generation 2 is "), "{told}");

    let told = server.swap(prebuilt("echo"), &[]);
    assert_eq!(told["outcome"], "swapped");
    assert_eq!(told["generation"], 3);
    assert_eq!(told["previous"], 2);
    assert_eq!(told["migrated"], 3);
    assert_eq!(told["failed"], 0);
    server.connect().ask("x", "x");
    assert_eq!(
        server.status()["generations"].as_array().map(Vec::len),
        Some(3)
    );
}

#[test]
fn a_refused_swap_exits_with_1_and_changes_nothing() {
    let server = Serve::prebuilt("echo").start();
    let mut client = server.connect();
    client.ask("x", "x");
    for (content, why) in [
        (b"text".to_vec(), "is text"),
        (Vec::new(), "is empty"),
        (prebuilt("echo")[..5000].to_vec(), "is truncated"),
        (failing_its_trial(), "failed its trial"),
    ] {
        let told = server.try_swap(content, &[]).failure(1);
        assert!(
            told.starts_with("not swapped: ") && told.contains(why),
            "{told}"
        );
        assert!(told.contains("still serving generation 1"), "{told}");
    }
    let told = server
        .try_swap_file("/nowhere/at.wasm".as_ref(), &[])
        .failure(1);
    assert!(told.starts_with("cannot read /nowhere/at.wasm: "), "{told}");
    assert_eq!(
        server
            .try_swap(prebuilt("shout"), &["--policy", "maybe"])
            .code,
        2
    );
    client.ask("x", "x");
    server.connect().ask("x", "x");
    assert_eq!(server.status()["generation"], 1);
}

#[test]
fn a_swap_may_have_a_policy_of_its_own() {
    let server = serve(saying("old")).start();
    let mut client = server.connect();
    client.ask("x", "old");
    let told = server
        .try_swap(saying("new"), &["--policy", "new-only"])
        .success();
    assert!(told.contains("1 connection on other generations"), "{told}");
    client.ask("x", "old");
    server.connect().ask("x", "new");
    let told = server.swap(prebuilt("shout"), &["--policy=close"]);
    assert!(
        told["closed"].as_u64().is_some_and(|closed| closed >= 1),
        "{told}"
    );
    client.expect_rest("");
}

#[test]
fn a_server_is_found_only_if_it_is_the_only_one() {
    let dir = temp_dir();
    let told = ask(dir.path(), &["status"]).failure(1);
    assert!(told.contains("no hotsocket server is running"), "{told}");

    let server = Serve::prebuilt("echo").start();
    let socket = server.control_socket();
    let mode = |path: &std::path::Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().expect("a directory")), 0o700);

    // Another server in the same runtime directory.
    let other = Serve::prebuilt("shout").runtime_dir(server.dir()).start();
    let told = server.ask(&["status"]).failure(1);
    assert!(
        told.contains("several hotsocket servers are running"),
        "{told}"
    );
    for pid in [server.pid(), other.pid()] {
        assert!(told.contains(&format!("hotsocket/{pid}.sock")), "{told}");
    }
    let named = server
        .ask(&[
            "status",
            "--json",
            "--control",
            socket.to_str().expect("UTF-8"),
        ])
        .success();
    assert_eq!(
        serde_json::from_str::<Value>(&named).expect("JSON")["pid"],
        server.pid()
    );
    // One killed leaves its socket behind, which counts no more.
    drop(other);
    assert_eq!(server.status()["pid"], server.pid());
    server.stop();
    assert!(
        !socket.exists(),
        "a server that stops takes its socket away"
    );
}

#[test]
fn a_control_socket_may_be_elsewhere_or_nowhere() {
    let server = Serve::prebuilt("echo");
    let socket = server.path("my.sock");
    let server = server.arg("--control").arg(&socket).start();
    assert!(
        server
            .ask(&["status"])
            .failure(1)
            .contains("no hotsocket server")
    );
    let at = socket.to_str().expect("UTF-8");
    server.ask(&["status", "--control", at]).success();
    server
        .try_swap(prebuilt("shout"), &["--control", at])
        .success();
    server.connect().ask("x", "X");
    server.stop();
    let told = run(hotsocket().args(["status", "--control", at])).failure(1);
    assert!(told.contains("is the server running?"), "{told}");

    let server = Serve::prebuilt("echo").args(&["--control", "none"]).start();
    server.connect().ask("x", "x");
    assert!(
        server
            .ask(&["status"])
            .failure(1)
            .contains("no hotsocket server")
    );
}

#[test]
fn a_server_that_can_create_no_control_socket_serves_without() {
    // Nothing can be created there, not even by root.
    let server = Serve::prebuilt("echo")
        .runtime_dir(Path::new("/proc"))
        .start();
    server
        .stderr
        .wait("no control socket: cannot create /proc/hotsocket");
    server.connect().ask("x", "x");
    server.overwrite(prebuilt("shout"), 2);
    server.connect().ask("x", "X");
}
