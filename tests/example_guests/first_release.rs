//! Guests built for an earlier host, kept as they are: a change of the contract
//! that they would not survive is found here.

use std::fs;

use crate::guests::differing;
use crate::harness::{repo, serve};

/// `hello` of the first release. Never build it again.
fn first() -> Vec<u8> {
    fs::read(repo("tests/guests/hello-0.1.0.wasm")).expect("it is there")
}

#[test]
fn hello_of_0_1_0_is_served_and_swapped() {
    let server = serve(first()).start();
    let port = server.port();
    let mut client = server.connect();
    client.ask("hi", "Hello World from the server!");
    server.stdout.wait("Received data: hi");
    server.overwrite(differing(first()), 2);
    client.ask("ho", "Hello World from the server!");
    client.end();
    client.expect_rest("");
    let printed = server.stop().stdout;
    for line in [
        &format!("Server listening on port {port}"),
        "Client connected",
        "Client disconnected",
    ] {
        assert!(
            printed.lines().any(|printed| printed == line),
            "{line}\n{printed}"
        );
    }
}
