//! `swap` and `status`: which server they find, what they say, how they exit.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::guests::{guest, saying};
use crate::harness::files::wasm;
use crate::harness::{Serve, ask, hotsocket, prebuilt, run, serve};

fn prebuilt_path(name: &str) -> String {
    prebuilt(name).to_str().expect("UTF-8").to_owned()
}

#[test]
fn status_tells_everything() {
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
fn swap_says_what_happened() {
    let server = Serve::prebuilt("echo").start();
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ask("x", "x");
    }
    let told = server.ask(&["swap", &prebuilt_path("shout")]).success();
    assert!(
        told.starts_with("swapped: generation 2 is ") && told.contains("3 connections migrated"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1);
    for client in &mut clients {
        client.ask("x", "X");
    }
    server.stderr.wait("swapped: generation 2 is ");

    let told = server.ask(&["swap", &prebuilt_path("shout")]).success();
    assert!(told.starts_with("unchanged: generation 2 is "), "{told}");

    let told = server
        .ask(&["swap", &prebuilt_path("echo"), "--json"])
        .success();
    let told: Value = serde_json::from_str(&told).expect("JSON");
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
    let trial = guest()
        .change(
            "(func (export \"done\")",
            "(start $trap) (func (export \"done\")",
        )
        .build();
    for (content, why) in [
        (b"text".to_vec(), "is text"),
        (Vec::new(), "is empty"),
        (wasm("echo")[..5000].to_vec(), "ends in the middle"),
        (trial, "failed its trial"),
    ] {
        fs::write(server.path("bad.wasm"), content).expect("written");
        let path = server.path("bad.wasm");
        let told = server
            .ask(&["swap", path.to_str().expect("UTF-8")])
            .failure(1);
        assert!(
            told.starts_with("not swapped: ") && told.contains(why),
            "{told}"
        );
        assert!(told.contains("generation 1 goes on"), "{told}");
    }
    let told = server.ask(&["swap", "/nowhere/at.wasm"]).failure(1);
    assert!(told.starts_with("cannot read /nowhere/at.wasm: "), "{told}");
    assert_eq!(
        server
            .ask(&["swap", &prebuilt_path("shout"), "--policy", "maybe"])
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
    fs::write(server.path("new.wasm"), saying("new")).expect("written");
    let path = server.path("new.wasm");
    let told = server
        .ask(&[
            "swap",
            path.to_str().expect("UTF-8"),
            "--policy",
            "new-only",
        ])
        .success();
    assert!(told.contains("1 connection on other generations"), "{told}");
    client.ask("x", "old");
    server.connect().ask("x", "new");
    let told = server
        .ask(&["swap", &prebuilt_path("shout"), "--policy=close", "--json"])
        .success();
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert!(
        told["closed"].as_u64().is_some_and(|closed| closed >= 1),
        "{told}"
    );
    client.expect_rest("");
}

#[test]
fn a_server_is_found_only_if_it_is_the_only_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let told = ask(dir.path(), &["status"]).failure(1);
    assert!(
        told.contains("no hotsocket server of yours is running"),
        "{told}"
    );

    let server = Serve::prebuilt("echo").start();
    let socket = server.path(&format!("hotsocket/{}.sock", server.pid()));
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
        .ask(&["swap", "--control", at, &prebuilt_path("shout")])
        .success();
    server.connect().ask("x", "X");
    server.stop();
    let told = run(hotsocket().args(["status", "--control", at])).failure(1);
    assert!(told.contains("is it running?"), "{told}");

    let server = Serve::prebuilt("echo").args(&["--control", "none"]).start();
    server.connect().ask("x", "x");
    assert!(
        server
            .ask(&["status"])
            .failure(1)
            .contains("no hotsocket server")
    );
}
