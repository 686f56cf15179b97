//! `hotsocket watch`: what it shows, and how it ends.

use std::process::Command;

use rustix::process::Signal;

use crate::guests::guest;
use crate::harness::{Process, Server, hotsocket, prebuilt, run, serve};

/// The command, on this server.
fn watch(server: &Server, args: &[&str]) -> Process {
    let mut command = hotsocket();
    command.arg("watch").args(args);
    command.env("XDG_RUNTIME_DIR", server.dir());
    let process = Process::start("watch", &mut command);
    process.stdout.wait(match args.contains(&"--json") {
        true => "\"lease\"",
        false => "watching ",
    });
    process
}

/// Lines without the times, which differ.
fn timeless(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| {
        let line = match line.get(15..18) {
            Some("Z #") => &line[17..],
            Some(_) if line.as_bytes().get(15) == Some(&b'Z') => &line[17..],
            _ => line,
        };
        match (line.find("; "), line.find("; generation")) {
            (Some(from), Some(to)) => format!("{}{}", &line[..from], &line[to..]),
            _ => line.to_owned(),
        }
    });
    lines.collect()
}

#[test]
fn a_conversation_is_shown_as_text_until_it_ends() {
    let server = serve(prebuilt("counter")).start();
    let mut client = server.connect();
    client.ask("x", "1 bytes so far\n");
    let mut watching = watch(&server, &["1"]);
    client.ask("hello\n\u{1b}[2J\u{202e}\r\n", "16 bytes so far\n");
    client.end();
    client.expect_rest("");
    let shown = watching.end().success();
    let lines = timeless(&shown);
    assert!(
        lines[0].starts_with("watching connection 1 of guest: peer 127.0.0.1:"),
        "{shown}"
    );
    assert_eq!(
        lines[1..],
        [
            "#1 data: 15 bytes in, 16 bytes out; generation 1",
            "  < hello\\n",
            "  < \\x1b[2J\\u{202e}\\r\\n",
            "  > 16 bytes so far\\n",
            "#1 end: 0 bytes in, 0 bytes out; generation 1",
            "#1 * this side has ended",
            "#1 close (ended): 0 bytes in, 0 bytes out; generation 1",
            "#1 * closed: ended; 16 bytes in, 31 bytes out",
        ]
    );
}

#[test]
fn bytes_are_shown_in_hex() {
    let server = serve(prebuilt("echo")).start();
    let mut client = server.connect();
    client.ask("x", "x");
    let watching = watch(&server, &["--all", "--hex"]);
    client.ask("hello\n", "hello\n");
    for mark in ["<", ">"] {
        let hex = "00000000  68 65 6c 6c 6f 0a                                 |hello.|";
        watching.stdout.wait(&format!("  {mark} {hex}"));
    }
}

#[test]
fn hostile_bytes_and_lines_steer_no_terminal() {
    let hostile = guest()
        .with_session()
        .data(
            "(call $label \"\u{1b}]0;evil\u{7}\") (call $print \"\u{1b}[2J\u{9b}31m\")
             (call $say \"\u{202e}\u{1b}[H\u{0}\")",
        )
        .build();
    for args in [&["--all"][..], &["--all", "--hex"], &["--all", "--json"]] {
        let server = serve(hostile.clone()).start();
        let mut client = server.connect();
        let mut watching = watch(&server, args);
        client.ask(
            [0x1b, b'[', b'3', b'J', 0x9b, 0xff],
            "\u{202e}\u{1b}[H\u{0}",
        );
        client.end();
        client.expect_rest("");
        watching.stdout.wait("closed");
        // Not as with Ctrl-C: whoever starts the tests in the background has that ignored.
        watching.signal(Signal::TERM);
        let ran = watching.end();
        assert_eq!(ran.code, 143, "{ran:?}");
        let wild = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!ran.stdout.contains(wild), "{ran:?}");
    }
}

#[test]
fn an_unknown_connection_is_said_to_be_none() {
    let server = serve(prebuilt("echo")).start();
    let ran = server.ask(&["watch", "17"]);
    assert_eq!(
        ran.failure(1),
        "there is no connection 17; `hotsocket top` lists those that are open"
    );
    let ran = server.ask(&["watch", "17", "--json"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (
            1,
            "{\"error\":\"there is no connection 17; `hotsocket top` lists those that are open\"}\n"
        )
    );
    for wrong in [&["watch"][..], &["watch", "1", "--all"], &["watch", "x"]] {
        assert_eq!(server.ask(wrong).code, 2, "{wrong:?}");
    }
    let ran = server.ask(&["watch", "--all", "--service", "nothing"]);
    assert_eq!(
        ran.failure(1),
        "there is no service \"nothing\"; there are: guest"
    );
}

#[test]
fn a_server_that_stops_has_shown_everything() {
    let server = serve(prebuilt("echo")).start();
    let mut client = server.connect();
    client.ask("x", "x");
    let mut watching = watch(&server, &["1"]);
    server.stop();
    let shown = watching.end().success();
    assert!(shown.contains("#1 close (shutdown): "), "{shown}");
    assert!(shown.contains("#1 * closed: shutdown; "), "{shown}");
    client.expect_over();
}

#[test]
fn a_server_that_dies_is_a_failure() {
    let server = serve(prebuilt("echo")).start();
    let mut client = server.connect();
    client.ask("x", "x");
    let mut watching = watch(&server, &["--all"]);
    server.signal(Signal::KILL);
    let ran = watching.end();
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (1, "error: the server has gone\n")
    );
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let server = serve(prebuilt("echo")).start();
    let mut client = server.connect();
    client.ask("x", "x");
    let watching = format!(
        "'{}' watch --all | head -n 1; echo ${{PIPESTATUS[0]}}",
        hotsocket().get_program().to_string_lossy()
    );
    let mut command = Command::new("bash");
    command.args(["-c", &watching]);
    command.env("XDG_RUNTIME_DIR", server.dir());
    // It learns that nobody reads when there is something more to print.
    let bytes = std::thread::spawn(move || {
        while let Ok(()) = client.stream.set_nodelay(true)
            && std::io::Write::write_all(&mut client.stream, b"x").is_ok()
        {
            std::thread::yield_now();
            let mut byte = [0];
            if std::io::Read::read_exact(&mut client.stream, &mut byte).is_err() {
                break;
            }
        }
    });
    let ran = run(&mut command);
    assert_eq!(ran.success(), "watching all connections of guest\n0\n");
    drop(server);
    bytes.join().expect("no panic");
}
