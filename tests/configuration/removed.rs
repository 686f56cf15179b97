//! Services that a reload has removed, until their connections are closed.

use std::fs;

use super::reload::{FIRST, address};
use super::{replace, with_file};
use crate::guests::{blocks, guest};
use crate::harness::{Client, Server};

/// A server, what its file has said of a service that was removed, and a client of that
/// which reads nothing, for the ten minutes that its service has.
fn with_one_removed() -> (Server, String, Client) {
    let slow = FIRST
        .replace("\"count\"", "\"slow\"")
        .replace("counter", "flood")
        .replace("\"1s\"", "\"10m\"\nstore = \"slow.store\"");
    let serve = with_file(&format!("{FIRST}{slow}"), &["counter"]);
    fs::write(serve.path("flood.wasm"), flooding()).expect("written");
    let server = serve.start();
    let mut client = Client::connect(address(&server, "slow"));
    client.send("x");
    client.read(1);
    replace(&server, FIRST);
    server.stderr.wait("service slow removed");
    (server, slow, client)
}

#[test]
fn a_service_that_was_removed_delays_no_end() {
    let (server, _slow, _client) = with_one_removed();
    // Far less than its ten minutes.
    let ran = server.stop();
    let said = "stopped with 1 connections cut off";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
}

/// Its peer reads nothing of all this.
fn flooding() -> Vec<u8> {
    guest()
        .data(&format!(
            "(global.set $state (i32.const 0)) {}",
            blocks(100)
        ))
        .build()
}

#[test]
fn a_service_that_comes_back_has_its_store_when_the_one_before_has_ended() {
    let (server, slow, client) = with_one_removed();
    replace(&server, &format!("{FIRST}{slow}"));
    let line = server
        .stderr
        .wait("not reloaded: service slow, which was removed");
    assert!(
        line.contains("slow.store until its connections are closed"),
        "{line}"
    );
    drop(client);
    server.stderr.wait("service slow added");
    Client::connect(address(&server, "slow"));
}
