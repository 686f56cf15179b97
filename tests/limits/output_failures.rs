//! Standard output and error that can't be written for a while: no reader in time, a
//! non-blocking pipe, a full disk. What was dropped is counted, no line is torn, and
//! lines continue when there is room.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::guests::{Guest, obeying};
use crate::harness::{Lines, PATIENCE, count_lines, listening_on, serve, wait_for};

/// The length of the lines of which [`wordy`] prints many.
const LONG: usize = 5000;

/// Prints 2000 long lines for `p`, 100 for `q`, the same to standard error for `P`
/// and `Q`, and one word for `o`.
fn wordy() -> Guest {
    let many = |call: &str, count: u32| {
        format!(
            r#"(memory.fill (i32.const 70000) (i32.const 97) (i32.const {LONG}))
               (global.set $state (i32.const 0))
               (loop $more
                 (call {call} (i32.const 70000) (i32.const {LONG}))
                 (global.set $state (i32.add (global.get $state) (i32.const 1)))
                 (br_if $more (i32.lt_u (global.get $state) (i32.const {count}))))
               (call $say "done")"#
        )
    };
    obeying(&[
        ('p', &many("$print", 2000)),
        ('q', &many("$print", 100)),
        ('P', &many("$error", 2000)),
        ('Q', &many("$error", 100)),
        ('o', r#"(call $print "once") (call $say "done")"#),
    ])
}

/// Of lines of guests; every one must be whole.
#[track_caller]
fn count_long_lines(text: &str) -> u64 {
    let long: Vec<_> = text.lines().filter(|line| line.contains("aaa")).collect();
    for line in &long {
        assert!(
            line.len() == LONG && line.bytes().all(|byte| byte == b'a'),
            "a torn line: {line}"
        );
    }
    long.len() as u64
}

#[test]
fn a_full_nonblocking_pipe_costs_lines_and_not_the_stream() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let flags = fcntl_getfl(&writer).expect("its flags");
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("ours");
    let server = serve(wordy().build()).stdout_to(writer).start();
    let mut client = server.connect();
    client.ask("p", "done");
    client.ask("p", "done");
    wait_for("lines to be dropped", || {
        server.status()["dropped_lines"].as_u64() > Some(0)
    });
    let lines = Lines::collect("the pipe", reader, PATIENCE);
    server
        .stderr
        .wait("lines of guests dropped: standard output was not read in time");
    client.ask("o", "done");
    lines.wait("once");
    let status = server.status();
    let dropped = status["dropped_lines_of"]["stdout"].as_u64();
    assert_eq!(status["dropped_lines"].as_u64(), dropped);
    let text = server.ask(&["status"]).success();
    assert!(text.contains("written in time: stdout "), "{text}");
    assert_eq!(
        count_long_lines(&lines.text()) + dropped.expect("some"),
        4000
    );
    server.stop();
}

/// Append to `seen` what is in the file when it can't grow, and make room.
fn make_room(path: &Path, max: u64, seen: &mut Vec<u8>) {
    let found = fs::read(path).expect("its file");
    if found.len() as u64 == max {
        seen.extend(found);
        File::options()
            .write(true)
            .open(path)
            .and_then(|file| file.set_len(0))
            .expect("ours");
    }
}

/// The limit of a file's size stands for a disk that is full; emptying the file, for
/// space that somebody has made.
#[test]
fn a_full_disk_costs_no_line_that_finds_room_later() {
    const MAX: u64 = 100 * 512;
    let server = serve(wordy().build()).ulimit("-f 100");
    let path = server.path("output");
    let file = File::options()
        .append(true)
        .create(true)
        .open(&path)
        .expect("a file");
    let other = file.try_clone().expect("the same file");
    let mut server = server
        .args(&["--code-cache", "none"])
        .stdout_to(file)
        .stderr_to(other)
        .spawn();
    let all = |seen: &[u8]| {
        let rest = fs::read(&path).expect("its file");
        String::from_utf8([seen, &rest].concat()).expect("text")
    };
    wait_for("the server", || all(&[]).contains("ready in "));
    server.addresses = listening_on(&all(&[]));
    let mut client = server.connect();
    client.ask("q", "done");
    client.ask("Q", "done");
    client.ask("o", "done");
    let mut seen = Vec::new();
    wait_for("the last line", || {
        make_room(&path, MAX, &mut seen);
        count_lines(&all(&seen), "once") == 1
    });
    assert_eq!(count_long_lines(&all(&seen)), 200);
    assert_eq!(server.status()["dropped_lines"], 0);
    wait_for("a word about it", || {
        make_room(&path, MAX, &mut seen);
        all(&seen).contains("cannot write to standard output: File too large; trying again")
    });
    client.ask("x", "x");
    server.stop();
}

#[test]
fn a_guest_that_floods_standard_error_cannot_push_out_the_log() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut server = serve(wordy().build()).stderr_to(writer).spawn();
    let mut log = Vec::new();
    while !String::from_utf8_lossy(&log).contains("ready in ") {
        let mut part = [0; 1000];
        let count = reader.read(&mut part).expect("a log");
        assert!(count > 0, "{}", log.escape_ascii());
        log.extend_from_slice(&part[..count]);
    }
    server.addresses = listening_on(&String::from_utf8_lossy(&log));
    let mut client = server.connect();
    client.ask("P", "done");
    client.ask("P", "done");
    wait_for("lines to be dropped", || {
        server.status()["dropped_lines_of"]["stderr"].as_u64() > Some(0)
    });
    server.try_swap("text", &[]).failure(1);
    let lines = Lines::collect("the pipe", reader, PATIENCE);
    lines.wait("not swapped");
    lines.wait("lines of guests dropped: standard error was not read in time");
    let status = server.status();
    assert_eq!(status["dropped_lines_of"]["log"].as_u64(), None);
    let dropped = status["dropped_lines"].as_u64().expect("a number");
    assert_eq!(count_long_lines(&lines.text()) + dropped, 4000);
    server.stop();
}
