//! Servers made of packages from npm answer as under Node: four of those that
//! docs/javascript-packages.md lists. CI installs them; elsewhere they are skipped until
//! somebody has run the tests with `CI=true`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::same_as_node::Step::{self, End, Send, Taken};
use super::same_as_node::same_with;
use crate::harness::{is_ci, kept, lacks_program, repo, run_within, skip_even_in_ci};

/// A script next to the packages, or `None` where they are not installed.
fn script(name: &str) -> Option<PathBuf> {
    static INSTALLING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let dir = kept("packages");
    if lacks_program("node") {
        return None;
    }
    let turn = INSTALLING.lock().expect("no test has failed here");
    if !dir.join("node_modules").exists() {
        if !is_ci() {
            skip_even_in_ci("no packages from npm: `CI=true` installs them");
            return None;
        }
        fs::create_dir_all(&dir).expect("a directory");
        let list = repo("tests/scripts/packages/package.json");
        fs::copy(list, dir.join("package.json")).expect("copied");
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund"]);
        let ran = run_within(std::time::Duration::from_secs(300), npm.current_dir(&dir));
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    drop(turn);
    let to = dir.join(name);
    let text = fs::read(repo("tests/scripts/packages").join(name)).expect("a script");
    // Written again it would be built again.
    if !fs::read(&to).is_ok_and(|found| found == text) {
        fs::write(&to, text).expect("written");
    }
    Some(to)
}

/// Packages take their time to load.
fn same(name: &str, last: &str, conversations: &[&[Step]]) {
    if let Some(script) = script(name) {
        same_with(&script, last, conversations, &[], |serve| {
            serve.args(&["--cpu-budget", "5s"])
        });
    }
}

#[test]
fn redis_parser_is_the_same() {
    same(
        "redis.js",
        "closed",
        &[&[
            Send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nvv\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"),
            Taken,
            Send(b"*2\r\n$3\r\nGET\r\n$1\r\nz\r\n*1\r\n$4\r\nNOPE\r\n"),
            Taken,
            Send(b"?"),
        ]],
    );
}

#[test]
fn smpp_is_the_same() {
    same(
        "smpp.js",
        "closed",
        &[&[
            Send(b"\0\0\0\x1b\0\0\0\x09\0\0\0\0\0\0\0\x01me\0pw\0\0P\0\0\0"),
            Taken,
            Send(b"\0\0\0,\0\0\0\x04\0\0\0\0\0\0\0\x02\0\0\0\0\0\x00123\0\0\0\0\0\0\0\0\x01\0\x08hi there"),
            Taken,
            Send(b"\0\0\0\x10\0\0\0\x15\0\0\0\0\0\0\0\x03"),
            End,
        ]],
    );
}

#[test]
fn smtp_server_is_the_same() {
    same(
        "smtp.js",
        "closed",
        &[&[
            Send(b"EHLO me\r\n"),
            Taken,
            Send(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"),
            Taken,
            Send(b"Subject: x\r\n\r\nhello\r\n..\r\n.\r\n"),
            Taken,
            Send(b"QUIT\r\n"),
        ]],
    );
}

#[test]
fn ws_is_the_same() {
    same(
        "websocket.js",
        "closed ",
        &[&[
            Send(b"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"),
            // "hi", masked with zeros, and a close with 1000.
            Send(b"\x81\x82\0\0\0\0hi"),
            Taken,
            Send(b"\x88\x82\0\0\0\0\x03\xe8"),
        ]],
    );
}
