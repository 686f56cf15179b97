//! What a guest prints: cut, limited, and passed on as it is.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::guests::{Guest, obeying, wayward};
use crate::harness::{
    Client, PATIENCE, Process, Reader, Scene, Serve, count_lines, hotsocket, lacks_program,
    listening_on, serve, temp_dir, wait_for,
};

#[test]
fn a_long_line_is_cut() {
    let wordy = obeying(&[(
        'p',
        r#"(memory.fill (i32.const 70000) (i32.const 97) (i32.const 5000))
           (call $print (i32.const 70000) (i32.const 5000))
           (call $error (i32.const 70000) (i32.const 5000))
           (call $print "short")"#,
    )]);
    let mut scene = Scene::start(&wordy, &["--max-line", "100"]);
    scene.client().send("p");
    scene.server.stdout.wait("short");
    scene.reached("max-line", 2, "lines that are too long");
    let cut = "a".repeat(100);
    assert_eq!(scene.server.stdout.wait("aaa"), cut);
    assert_eq!(scene.server.stderr.wait("aaa"), cut);
}

#[test]
fn too_many_lines_are_dropped_and_a_neighbours_are_not() {
    let wordy = obeying(&[
        (
            'p',
            r#"(loop $more
                 (call $print "much")
                 (global.set $state (i32.add (global.get $state) (i32.const 1)))
                 (br_if $more (i32.lt_u (global.get $state) (i32.const 500))))
               (call $say "done")"#,
        ),
        ('o', r#"(call $print "once") (call $say "done")"#),
    ]);
    let mut scene = Scene::start(&wordy, &["--max-lines", "10"]);
    scene.client().ask("p", "done");
    scene.client().ask("o", "done");
    scene.server.stdout.wait("once");
    let dropped = scene.server.limit_reached("max-lines");
    scene.reached("max-lines", dropped, "prints too many lines");
    let printed = count_lines(&scene.end().stdout, "much");
    // It may take the guest more than one second to print them.
    assert!((10..500).contains(&printed), "{printed} lines");
    assert_eq!(printed as u64 + dropped, 500);
}

#[test]
fn lines_are_passed_on_raw_to_a_pipe() {
    let wild = obeying(&[('p', "(call $print \"\u{1b}[2J\u{1b}]0;title\u{7} a\rb\")")]);
    let mut scene = Scene::start(&wild, &[]);
    scene.client().send("p");
    assert_eq!(
        scene.server.stdout.wait("title"),
        "\u{1b}[2J\u{1b}]0;title\u{7} a\rb"
    );
    scene.undisturbed();
}

#[test]
fn bytes_that_are_no_text_are_made_text_by_the_guests_sdk() {
    let server = serve(wayward()).start();
    server.connect().ask("raw", "true");
    let line = server.stdout.wait("[31mred");
    assert_eq!(line, "\u{fffd}\u{fffd}\u{1b}[31mred");
}

/// No UTF-8, and what turns a terminal red.
const RAW: &[u8] = b"\xff\xfe\x1b[31mred\n";

/// A guest without an SDK, which writes [`RAW`] to WASI's stdout.
fn raw() -> Guest {
    let place = |(at, byte): (usize, &u8)| {
        format!("(i32.store8 (i32.const {}) (i32.const {byte}))", 512 + at)
    };
    let placed: String = RAW.iter().enumerate().map(place).collect();
    let count = RAW.len();
    obeying(&[(
        'r',
        &format!(
            r#"{placed}
               (call $put (call $stdout) (i32.const 512) (i32.const {count}) (i32.const 32))
               (if (i32.load8_u (i32.const 32)) (then (call $say "no")) (else (call $say "yes")))"#
        ),
    )])
    .change(
        ";; further imports",
        r#"(import "wasi:io/error@0.2.0" (instance $errors
             (export "error" (type (sub resource)))))
           (alias export $errors "error" (type $io-error))
           (import "wasi:io/streams@0.2.0" (instance $streams
             (alias outer 1 $io-error (type $error'))
             (export "error" (type $error (eq $error')))
             (export "output-stream" (type $stream (sub resource)))
             (type $failed' (variant (case "last-operation-failed" (own $error)) (case "closed")))
             (export "stream-error" (type $failed (eq $failed')))
             (export "[method]output-stream.blocking-write-and-flush"
               (func (param "self" (borrow $stream)) (param "contents" (list u8))
                 (result (result (error $failed)))))))
           (alias export $streams "output-stream" (type $stream))
           (import "wasi:cli/stdout@0.2.0" (instance $cli
             (alias outer 1 $stream (type $stream'))
             (export "output-stream" (type $stream (eq $stream')))
             (export "get-stdout" (func (result (own $stream))))))"#,
    )
    .change(
        "(core func $finish (canon",
        r#"(core func $stdout (canon lower (func $cli "get-stdout")))
           (core func $put (canon lower
             (func $streams "[method]output-stream.blocking-write-and-flush") (memory $memory)))
           (core func $finish (canon"#,
    )
    .change(
        r#"(import "host" "end" (func $end))"#,
        r#"(import "host" "end" (func $end))
           (import "host" "stdout" (func $stdout (result i32)))
           (import "host" "put" (func $put (param i32 i32 i32 i32)))"#,
    )
    .change(
        r#"(export "end" (func $finish))"#,
        r#"(export "end" (func $finish))
           (export "stdout" (func $stdout)) (export "put" (func $put))"#,
    )
}

#[test]
fn bytes_that_are_no_text_reach_a_pipe_raw() {
    let mut scene = Scene::start(&raw(), &[]);
    scene.client().ask("r", "yes");
    wait_for("the guest's line", || {
        scene.server.stdout.bytes().ends_with(b"\n")
    });
    let printed = scene.server.stdout.bytes();
    assert_eq!(printed, RAW, "{}", printed.escape_ascii());
    scene.undisturbed();
}

/// `script` gives it a terminal.
#[test]
fn bytes_that_are_no_text_reach_a_terminal_escaped() {
    if lacks_program("script") {
        return;
    }
    let dir = temp_dir();
    std::fs::write(dir.path().join("guest.wasm"), raw().build()).expect("written");
    File::create(dir.path().join("log")).expect("ours");
    let mut script = Command::new("script");
    script
        .args(["-q", "-e", "-c"])
        .arg("exec \"$SERVER\" guest.wasm --listen 127.0.0.1:0 2>log")
        .arg("/dev/null")
        .env("SERVER", hotsocket().get_program())
        .env("SHELL", "/bin/sh")
        .env("XDG_RUNTIME_DIR", dir.path())
        .current_dir(dir.path())
        .stdin(Stdio::piped());
    let mut script = Process::start_with("script", &mut script, Reader::Test, PATIENCE);
    let log = || std::fs::read_to_string(dir.path().join("log")).expect("its log");
    wait_for("the server", || log().contains("ready in "));
    let address = listening_on(&log())[0];
    Client::connect(address).ask("r", "yes");
    // The terminal itself makes `\r\n` of `\n`.
    let line = script.stdout.wait("red");
    assert_eq!(line, "\u{fffd}\u{fffd}\\x1b[31mred\r");
    assert!(!script.stdout.bytes().contains(&0x1b));
    // Not by hanging up, which whoever runs the tests may have it ignore.
    let mut keys = script.child.stdin.take().expect("piped");
    keys.write_all(b"\x03").expect("Ctrl-C");
    wait_for("the server's end", || Client::try_connect(address).is_err());
}

#[test]
fn a_standard_output_that_nobody_reads_stops_nothing() {
    for reader in [Reader::Nobody, Reader::Gone] {
        let server = Serve::nothing()
            .args(&["--control", "none"])
            .stdout_read_by(reader)
            .start();
        let mut client = server.connect();
        for _ in 0..50 {
            client.ask([b'x'; 20_000], "Hello World from the server!");
        }
        server.stop();
    }
}
