//! Scripts that fail: at build time in one line, else in the log, with what
//! they threw and where.

use std::fs;

use super::{component_of, serve_text};
use crate::harness::{hotsocket, run_within, temp_dir};

/// Does what it is told to, badly.
const FAILS: &str = r#"'use strict';
const net = require('node:net');

const inner = (value) => value.missing.more;

net.createServer((socket) => {
  socket.on('data', async (data) => {
    switch (String(data)) {
      case 'throw': return inner({});
      case 'reject': throw new RangeError('nobody catches it');
      case 'timer': return void setTimeout(() => inner({}), 1);
      case 'text': return void process.nextTick(() => { throw 'just text'; });
      case 'connect': return net.connect(80);
      case 'exit': return process.exit(3);
      case 'event': return socket.emit('error', new Error('as an event'));
      case 'fine': return socket.write('fine');
    }
  });
}).listen(3000);
"#;

#[test]
fn an_uncaught_exception_is_logged_with_its_place() {
    let Some(server) = serve_text("fails", FAILS) else {
        return;
    };
    let server = server.start();
    for (word, told) in [
        (
            "throw",
            "TypeError: cannot read property 'more' of undefined |     at inner (fails.js:4)",
        ),
        (
            "reject",
            "RangeError: nobody catches it |     at fails.js:10",
        ),
        (
            "timer",
            "of undefined |     at inner (fails.js:4) |     at fails.js:11",
        ),
        ("text", "Uncaught 'just text'"),
        (
            "connect",
            "net.connect is not available in a hotsocket guest |     at fails.js:13",
        ),
        (
            "exit",
            "process.exit(3) was called: it ends this connection, not the server",
        ),
        ("event", "Error: as an event |     at fails.js:15"),
    ] {
        let mut client = server.connect();
        client.send(word);
        client.expect_over();
        let line = server.stderr.wait(told);
        assert!(line.contains(" ERROR connection "), "{line}");
        assert!(line.contains("guest panicked in `"), "{line}");
    }
    server.connect().ask("fine", "fine");
    // The engine's own words about its end are not among them.
    let log = server.stop().stderr;
    let (errors, others): (Vec<_>, Vec<_>) = log.lines().partition(|line| line.contains(" ERROR "));
    assert_eq!(errors.len(), 7, "{log}");
    assert!(others.iter().all(|line| line.contains(" INFO ")), "{log}");
}

#[test]
fn an_exception_in_the_connection_callback_is_a_fault_with_its_place() {
    for (name, callback, told) in [
        (
            "throws_in_callback",
            "(socket) => {\n socket.write('x');\n null.foo;\n}",
            "TypeError: cannot read property 'foo' of null |     at throws_in_callback.js:3",
        ),
        (
            "rejects_in_callback",
            "async (socket) => {\n await null;\n throw new RangeError('early');\n}",
            "RangeError: early |     at rejects_in_callback.js:3",
        ),
    ] {
        let text = format!("require('net').createServer({callback}).listen(3000);\n");
        let Some(server) = serve_text(name, &text) else {
            return;
        };
        let server = server.start();
        server.connect().expect_over();
        let line = server.stderr.wait(told);
        assert!(line.contains(" ERROR "), "{line}");
        assert!(line.contains("guest panicked in `open`: "), "{line}");
        assert_eq!(server.status()["connections"]["faults"], 1);
    }
}

#[test]
fn half_of_a_surrogate_pair_is_printed_as_in_node() {
    let Some(server) = serve_text(
        "surrogates",
        "require('net').createServer((socket) => {\n\
           socket.on('data', () => {\n\
             console.log('\\ud83d and', 'a\\udc00z');\n\
             process.stdout.write('half \\ud800\\n');\n\
             socket.write('x\\ud800y');\n\
             setTimeout(() => { throw new Error('bad \\ud800 end'); }, 1);\n\
           });\n\
         }).listen(3000);\n",
    ) else {
        return;
    };
    let server = server.start();
    let mut client = server.connect();
    client.ask("a", "x\u{fffd}y");
    client.expect_over();
    server.stderr.wait("Error: bad \u{fffd} end |");
    let expected = "\u{fffd} and a\u{fffd}z\nhalf \u{fffd}\n";
    assert_eq!(server.stop().stdout, expected);
}

#[test]
fn a_script_that_catches_what_nobody_caught_goes_on() {
    let Some(server) = serve_text(
        "catches",
        "process.on('uncaughtException', (error, origin) => console.log(origin, error.message));\n\
         process.on('unhandledRejection', (reason) => console.log('rejected', reason));\n\
         require('net').createServer((socket) => {\n\
           socket.on('data', (data) => {\n\
             Promise.reject(7);\n\
             process.nextTick(() => { throw new Error('tick'); });\n\
             socket.write('still here');\n\
             throw new Error('data');\n\
           });\n\
         }).listen(3000);\n",
    ) else {
        return;
    };
    let server = server.start();
    let mut client = server.connect();
    client.ask("x", "still here");
    client.ask("y", "still here");
    let expected = "uncaughtException data\nuncaughtException tick\nrejected 7\n";
    assert_eq!(server.stop().stdout, expected.repeat(2));
}

#[test]
fn a_reset_is_an_error_for_those_who_listen() {
    let Some(server) = serve_text(
        "resets",
        "require('net').createServer((socket) => {\n\
           socket.on('data', (data) => {\n\
             if (String(data) === 'listen') socket.on('error', (error) =>\n\
               console.log(error.message, error.code, error.syscall, error.errno));\n\
             socket.on('close', (hadError) => console.log('close', hadError));\n\
             socket.write('ok');\n\
           });\n\
         }).listen(3000);\n",
    ) else {
        return;
    };
    let server = server.start();
    for word in ["listen", "do not"] {
        let mut client = server.connect();
        client.ask(word, "ok");
        client.reset();
        server.wait_open(0);
    }
    let expected = "read ECONNRESET ECONNRESET read -104\nclose true\nclose false\n";
    let ran = server.stop();
    assert_eq!(ran.stdout, expected);
    assert!(!ran.stderr.contains("ERROR"), "{}", ran.stderr);
}

#[test]
fn mistakes_in_a_script_are_errors_of_the_build() {
    // That the packages are there.
    if component_of("builds", "require('net').createServer().listen(1)").is_none() {
        return;
    }
    let dir = temp_dir();
    let script = dir.path().join("wrong.js");
    for (text, told) in [
        (
            "require('node:zlib').gzipSync('x')",
            "wrong.js: it fails when it starts: Error: zlib.gzipSync is not available in a hotsocket guest | at wrong.js:1",
        ),
        (
            "require('node:fs').readFileSync('x')",
            "wrong.js: it fails when it starts: Error: ENOENT: no such file or directory (a guest sees what hotsocket serve --dir grants), open 'x'",
        ),
        ("import none from 'node:none';", "wrong.js:1:18: Node "),
        (
            "require('./none.js')",
            "wrong.js:1:9: Could not resolve \"./none.js\"",
        ),
        (
            "require('@never/heard/of.js')",
            "wrong.js:1:9: the package \"@never/heard\" is not installed: run `npm install @never/heard` in /",
        ),
        ("let = ;", "wrong.js:1:"),
        (
            "\nundefined.x;",
            "wrong.js: it fails when it starts: TypeError: Cannot read properties of undefined (reading 'x') | at wrong.js:2",
        ),
        (
            "require('net').connect(1)",
            "wrong.js: it fails when it starts: Error: net.connect is not available in a hotsocket guest | at wrong.js:1",
        ),
        (
            "require('net').createServer().listen('/x.sock')",
            "on a path (a Unix or Windows socket) is not available",
        ),
        (
            "require('net').createServer().listen(99999)",
            "options.port should be >= 0 and < 65536",
        ),
        (
            "require('net').createServer()",
            "wrong.js: it starts no server: a guest calls server.listen()",
        ),
        (
            "while (true);",
            "wrong.js: its top level runs for more than 5 s",
        ),
    ] {
        fs::write(&script, text).expect("written");
        let mut command = hotsocket();
        command.arg("build").arg(&script);
        let line = run_within(std::time::Duration::from_secs(120), &mut command).failure(1);
        assert!(line.contains(told), "{text}\n{line}");
        assert!(!dir.path().join("wrong.wasm").exists());
    }
}
