//! What a guest sees of the machine through WASI, with a grant and without.

use crate::guests::{Guest, obeying, wayward};
use crate::harness::{Scene, serve, temp_dir, wait_for};

#[test]
fn files_are_refused_without_a_grant() {
    let mut scene = Scene::start(wayward(), &[]);
    scene.client().ask("files", "[false, false, false, false]");
    scene.undisturbed();
    scene.total("faults", 0);
}

#[test]
fn a_granted_directory_is_all_that_is_seen() {
    let dir = temp_dir();
    let grant = format!("{}::.", dir.path().display());
    let server = serve(wayward()).args(&["--dir", &grant]).start();
    server.connect().ask("files", "[false, false, true, false]");
    assert!(dir.path().join("wayward").is_dir());
}

/// A guest that makes TCP sockets for ever, until one is refused, and says how
/// many it got in ones (0, 1, more).
fn hoarder() -> Guest {
    obeying(&[(
        'h',
        r#"(block $refused (loop $more
             (call $create (i32.const 0) (i32.const 32))
             (br_if $refused (i32.load8_u (i32.const 32)))
             (local.set $n (i32.add (local.get $n) (i32.const 1)))
             (br $more)))
           (if (local.get $n) (then (call $say "some")) (else (call $say "none")))"#,
    )])
    .change(
        ";; further imports",
        r#"(import "wasi:sockets/network@0.2.0" (instance $network
             (type $error' (enum "unknown" "access-denied" "not-supported" "invalid-argument"
               "out-of-memory" "timeout" "concurrency-conflict" "not-in-progress" "would-block"
               "invalid-state" "new-socket-limit" "address-not-bindable" "address-in-use"
               "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted"
               "datagram-too-large" "name-unresolvable" "temporary-resolver-failure"
               "permanent-resolver-failure"))
             (export "error-code" (type (eq $error')))
             (type $family' (enum "ipv4" "ipv6"))
             (export "ip-address-family" (type (eq $family')))))
           (alias export $network "error-code" (type $network-error))
           (alias export $network "ip-address-family" (type $family))
           (import "wasi:sockets/tcp@0.2.0" (instance $tcp
             (export "tcp-socket" (type (sub resource)))))
           (alias export $tcp "tcp-socket" (type $socket))
           (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $maker
             (alias outer 1 $network-error (type $error'))
             (export "error-code" (type $error (eq $error')))
             (alias outer 1 $family (type $family'))
             (export "ip-address-family" (type $family (eq $family')))
             (alias outer 1 $socket (type $socket'))
             (export "tcp-socket" (type $socket (eq $socket')))
             (export "create-tcp-socket" (func (param "address-family" $family)
               (result (result (own $socket) (error $error)))))))"#,
    )
    .change(
        "(core func $finish (canon",
        r#"(core func $create (canon lower (func $maker "create-tcp-socket") (memory $memory)))
           (core func $finish (canon"#,
    )
    .change(
        r#"(import "host" "end" (func $end))"#,
        r#"(import "host" "end" (func $end))
           (import "host" "create" (func $create (param i32 i32)))"#,
    )
    .change(
        r#"(export "end" (func $finish))"#,
        r#"(export "end" (func $finish)) (export "create" (func $create))"#,
    )
}

#[test]
fn sockets_are_refused_without_a_grant() {
    let mut scene = Scene::start(&hoarder(), &[]);
    scene.client().ask("h", "none");
    scene.undisturbed();
}

/// With one, a guest may have so many and no more.
#[test]
fn sockets_are_limited_with_a_grant() {
    let mut scene = Scene::start(&hoarder(), &["--allow-net", "--cpu-budget", "10s"]);
    let mut client = scene.client();
    client.send("h");
    client.expect_rest("");
    scene.reached("wasi-handles", 1, "opened more than 1000 WASI handles");
    // What it had is given back with it.
    wait_for("descriptors to be closed", || {
        scene.server.open_files() < 100
    });
    scene.undisturbed();
}

#[test]
fn nothing_of_the_machine_is_seen_without_a_grant() {
    let scene = Scene::start(wayward(), &[]);
    scene.client().ask("environment", "[] false");
    let server = serve(wayward())
        .args(&["--env", "COLOUR=red", "--dir", "/::/"])
        .start();
    server.connect().ask("environment", r#"["COLOUR"] true"#);
}
