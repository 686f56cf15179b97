//! `hotsocket serve` that starts: addresses, log, help, the cache of compiled code.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use crate::guests::guest;
use crate::harness::{Client, Serve, count_lines, hotsocket, run, serve, temp_dir};

/// Steps of the long function of [`large`]: from what takes a second or more on
/// most machines to nearly as much as a function may have (7.6 MB).
const STEPS: RangeInclusive<u64> = 160_000..=560_000;

#[test]
fn without_a_guest_it_serves_hello() {
    let server = Serve::nothing().start();
    let mut client = server.connect();
    client.ask("x", "Hello World from the server!");
    client.end();
    client.expect_rest("");
    let first = format!("Server listening on port {}", server.port());
    assert_eq!(server.stop().stdout.lines().next(), Some(first.as_str()));
}

#[test]
fn the_word_serve_may_be_left_out() {
    for command in [&["serve"][..], &[]] {
        let server = Serve::nothing().args(command).start();
        server.connect().ask("x", "Hello World from the server!");
    }
}

#[test]
fn the_defaults_are_on_the_help_page() {
    let help = run(hotsocket().args(["serve", "--help"])).success();
    for part in [
        "[default: 127.0.0.1:3000]",
        "[default: migrate]",
        "[default: the built-in hello]",
    ] {
        assert!(help.contains(part), "{part}\n{help}");
    }
    assert!(
        run(hotsocket().arg("--version"))
            .success()
            .starts_with("hotsocket ")
    );
}

#[test]
fn port_0_takes_a_free_port_and_logs_it() {
    let (one, other) = (Serve::nothing().start(), Serve::nothing().start());
    assert_ne!(one.port(), 0);
    assert_ne!(one.port(), other.port());
    one.stdout
        .wait(&format!("Server listening on port {}", one.port()));
    let ready = one.stderr.wait("ready in ");
    assert!(
        ready.contains("serving hello (built in), generation 1 ("),
        "{ready}"
    );
    let log = one.stop().stderr;
    let lines: Vec<_> = log.lines().collect();
    let [_listening, _ready, stopped] = lines[..] else {
        panic!("three lines, not {log}");
    };
    assert!(stopped.contains("stopped"), "{stopped}");
}

#[test]
fn it_listens_on_several_addresses() {
    let server = Serve::prebuilt("hello")
        .listen(&["127.0.0.1:0", "127.0.0.1:0", "[::1]:0", "localhost:0"])
        .start();
    assert_eq!(server.addresses.len(), 4);
    assert!(server.addresses[2].is_ipv6());
    for &address in &server.addresses {
        Client::connect(address).ask("x", "Hello World from the server!");
    }
    let told: Vec<SocketAddr> = server.status()["listeners"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|address| address.as_str()?.parse().ok())
        .collect();
    assert_eq!(told, server.addresses);
    // The guest is told once, of the first one here, as it has one line to say.
    assert_eq!(count_lines(&server.stop().stdout, "Server listening"), 1);
}

#[test]
fn a_server_that_was_stopped_starts_again_on_its_port() {
    let first = Serve::prebuilt("echo").start();
    let address = first.addresses[0].to_string();
    let mut client = first.connect();
    client.ask("x", "x");
    // The server closes first, so its side is the one that lingers in TIME_WAIT.
    first.stop();
    let second = Serve::prebuilt("echo").listen(&[&address]).start();
    second.connect().ask("y", "y");
}

#[test]
fn the_log_may_be_json_or_off() {
    let server = Serve::nothing()
        .args(&["--log-format", "json", "--control", "none"])
        .start();
    assert!(
        !server.path("hotsocket").exists(),
        "no control socket was made"
    );
    for line in server.stop().stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["level"], "info", "{line}");
    }

    let silent = Serve::nothing().args(&["--log-level", "off"]).spawn();
    silent.stdout.wait("Server listening on port");
    assert_eq!(silent.stop().stderr, "");
}

/// A guest that takes long to compile, as those with an interpreter in them
/// do: one long function, which only one processor can work on.
fn large(steps: u64) -> Vec<u8> {
    let steps: String = (0..steps)
        .map(|step| {
            let factor = step * 2_654_435_761 % 2_147_483_647;
            format!("local.get 0 i64.const {factor} i64.mul i64.extend32_s local.set 0 ")
        })
        .collect();
    let long = format!("(func (param i64) (result i64) {steps} local.get 0)");
    guest()
        .data("(call $say \"large\")")
        .change(
            ";; Results lie at 16",
            &format!("{long} (table 1000 funcref) ;; Results lie at 16"),
        )
        .build()
}

#[test]
fn a_long_compilation_is_logged_and_its_result_cached() {
    let cache = temp_dir();
    let serving = |component: &[u8]| serve(component).arg("--code-cache").arg(cache.path());
    // What takes long depends on the machine: what was too quick to be told is
    // made larger.
    let mut steps = *STEPS.start();
    let component = loop {
        let component = large(steps);
        let first = serving(&component).start();
        let told = first.stderr.has("compiling ");
        if told {
            first.stderr.wait("compiled ");
            first.connect().ask("x", "large");
        }
        first.stop();
        if told {
            break component;
        }
        steps += 200_000;
        assert!(steps <= *STEPS.end(), "nothing is told of a compilation");
    };
    let with_cache = || serving(&component);
    let second = with_cache().start();
    second.connect().ask("x", "large");
    let log = second.stop().stderr;
    assert_eq!(count_lines(&log, "compil"), 0, "it is known: {log}");
    for (flag, few) in [("--max-memory", "128K"), ("--max-table", "100")] {
        let told = with_cache().args(&[flag, few]).fail();
        assert_eq!(told.code, 1);
        let last = told.last_line();
        assert!(last.starts_with("error: ") && last.contains(flag), "{last}");
    }
}
