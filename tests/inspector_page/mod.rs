//! The inspector's page in a real Chromium: `run.mjs` with the cases in `cases/`, all in one
//! browser process, as starting one takes a second. The cases talk to servers that are
//! started here.
//!
//! Needs Debian's `chromium`, Node, `nc`, and the packages of `package.json`, which `.ci/run`
//! installs into this directory. With `INSPECTOR_PICTURES=DIR` it also takes the pictures of
//! docs/inspector.md.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::guests::{ECHO, guest, messenger};
use crate::harness::{
    Server, hotsocket, lacks_program, prebuilt, prebuilt_path, repo, run_within, serve, skip,
    temp_dir,
};
use crate::operating::address;

const TOKEN: &str = "a-token-that-only-the-tests-know";
/// All cases together take less than a minute, on a machine with nothing else to do.
const TIME: Duration = Duration::from_secs(450);

/// A server with an admin address, and what the cases need to know of it.
fn start(guest: impl AsRef<[u8]>, path: Option<PathBuf>, args: &[&str]) -> (Server, Value) {
    let serve = serve(guest);
    let token = serve.path("token");
    fs::write(&token, TOKEN).expect("a token");
    let server = serve
        .args(&["--admin", "127.0.0.1:0", "--admin-token-file"])
        .arg(token)
        .args(args)
        .start();
    let known = json!({
        "admin": address(&server),
        "listen": server.addresses[0],
        "token": TOKEN,
        "guest": path.unwrap_or_else(|| server.path("guest.wasm")),
    });
    (server, known)
}

/// What begins with L becomes its label and its lines, what begins with P its panic; all
/// else it echoes.
fn hostile() -> Vec<u8> {
    let rest = "(i32.add (local.get $at) (i32.const 1)) (i32.sub (local.get $count) (i32.const 1))";
    let begins = |letter: char| {
        let letter = u32::from(letter);
        format!("(i32.eq (i32.load8_u (local.get $at)) (i32.const {letter}))")
    };
    let (label, panic) = (begins('L'), begins('P'));
    guest()
        .with_session()
        .data(&format!(
            "(if {label}
               (then (call $label {rest}) (call $print {rest}) (call $error {rest})
                     (call $say \"k\"))
               (else (if {panic} (then (call $panic {rest}) (unreachable)) (else {ECHO}))))"
        ))
        .build()
}

#[test]
fn cases_in_chromium() {
    if lacks_program("chromium") || lacks_program("node") || lacks_program("nc") {
        return;
    }
    let here = repo("tests/inspector_page");
    if !here.join("node_modules/playwright-core").is_dir() {
        skip("no playwright-core (npm ci --ignore-scripts --prefix tests/inspector_page)");
        return;
    }
    let path = |name: &str| Some(prebuilt_path(name));
    let many = ["--max-connections", "6000", "--tap-lease", "1s"];
    let echo = start(prebuilt("echo"), path("echo"), &many);
    let counter = start(prebuilt("counter"), path("counter"), &[]);
    let hostile = start(hostile(), None, &[]);
    let messenger = start(messenger(), None, &["--max-taps", "2"]);
    let dir = temp_dir();
    let known = json!({
        "echo": echo.1, "counter": counter.1, "hostile": hostile.1, "messenger": messenger.1,
        "dir": dir.path(),
        "hotsocket": hotsocket().get_program().to_str(),
        "chromium": "chromium",
        "tshark": (!lacks_program("tshark")).then_some("tshark"),
    });
    let ran = run_within(
        TIME,
        Command::new("node")
            .arg(here.join("run.mjs"))
            .env("INSPECTOR", known.to_string()),
    );
    println!("{}", ran.stdout);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
}
