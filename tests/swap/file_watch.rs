//! The served file is watched: however it changes, its new content answers on
//! the connections that are open and on new ones.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::guests::{guest, obeying, saying, with_spare_memories};
use crate::harness::files::{rename_over, save_like_an_editor, turn_link};
use crate::harness::{Client, Serve, Server, count_lines, prebuilt, prebuilt_path, run, serve};

/// `echo` is served; a client that is connected all the time.
fn echo() -> (Server, Client) {
    let server = Serve::prebuilt("echo").start();
    let client = visitor(&server);
    (server, client)
}

fn visitor(server: &Server) -> Client {
    let mut client = server.connect();
    client.ask("old", "old");
    client
}

/// The new code, which is `shout`, answers on the old connection and on a new one.
fn shouts(server: &Server, client: &mut Client, generation: u64) {
    server.wait_swapped(generation);
    client.ask("new", "NEW");
    server.connect().ask("newer", "NEWER");
    assert_eq!(server.status()["generation"], generation);
}

/// The old code goes on.
fn echoes(server: &Server, client: &mut Client) {
    client.ask("still", "still");
    server.connect().ask("also", "also");
}

#[test]
fn cp_over_the_file_swaps() {
    let (server, mut client) = echo();
    let from = prebuilt_path("shout");
    run(Command::new("cp").arg(from).arg(server.path("guest.wasm"))).success();
    shouts(&server, &mut client, 2);
    // And back again.
    server.overwrite(prebuilt("echo"), 3);
    echoes(&server, &mut client);
}

#[test]
fn mv_over_the_file_swaps() {
    let (server, mut client) = echo();
    fs::write(server.path("other.wasm"), prebuilt("shout")).expect("written");
    run(Command::new("mv")
        .arg(server.path("other.wasm"))
        .arg(server.path("guest.wasm")))
    .success();
    shouts(&server, &mut client, 2);
    rename_over(&server.path("guest.wasm"), &prebuilt("echo"));
    server.wait_swapped(3);
    echoes(&server, &mut client);
}

#[test]
fn saving_in_an_editor_swaps() {
    let (server, mut client) = echo();
    save_like_an_editor(&server.path("guest.wasm"), &prebuilt("shout"));
    shouts(&server, &mut client, 2);
    save_like_an_editor(&server.path("guest.wasm"), &prebuilt("echo"));
    server.wait_swapped(3);
    echoes(&server, &mut client);
}

#[test]
fn half_a_file_is_refused_until_it_is_whole() {
    let (server, mut client) = echo();
    let new = prebuilt("shout");
    let (half, rest) = new.split_at(new.len() / 2);
    let mut file = File::create(server.path("guest.wasm")).expect("truncated");
    file.write_all(half).expect("written");
    let line = server.stderr.wait("not swapped: ");
    assert!(line.contains("still being written"), "{line}");
    echoes(&server, &mut client);
    for piece in rest.chunks(rest.len() / 7) {
        file.write_all(piece).expect("written");
    }
    drop(file);
    shouts(&server, &mut client, 2);
    assert_eq!(count_lines(&server.stop().stderr, "not swapped"), 1);
}

#[test]
fn a_file_deleted_and_made_again_swaps() {
    let (server, mut client) = echo();
    let path = server.path("guest.wasm");
    fs::remove_file(&path).expect("removed");
    let line = server.stderr.wait("is gone");
    assert!(line.contains("still serving generation 1"), "{line}");
    echoes(&server, &mut client);
    fs::write(&path, prebuilt("shout")).expect("written");
    shouts(&server, &mut client, 2);
}

#[test]
fn its_directory_deleted_and_made_again_swaps() {
    let serve = Serve::nothing();
    let dir = serve.path("build");
    fs::create_dir(&dir).expect("a directory");
    fs::write(dir.join("guest.wasm"), prebuilt("echo")).expect("written");
    // Named relatively, as people do.
    let server = serve.arg("build/guest.wasm").start();
    let mut client = visitor(&server);
    fs::remove_dir_all(&dir).expect("removed");
    server.stderr.wait("is gone");
    echoes(&server, &mut client);
    fs::create_dir(&dir).expect("a directory");
    fs::write(dir.join("guest.wasm"), prebuilt("shout")).expect("written");
    shouts(&server, &mut client, 2);
}

#[test]
fn turning_a_symlink_swaps() {
    let serve = Serve::nothing();
    fs::write(serve.path("one.wasm"), prebuilt("echo")).expect("written");
    fs::write(serve.path("two.wasm"), prebuilt("shout")).expect("written");
    let link = serve.path("current.wasm");
    symlink("one.wasm", &link).expect("a symlink");
    let server = serve.arg(&link).start();
    let mut client = visitor(&server);
    turn_link(&link, "two.wasm");
    shouts(&server, &mut client, 2);
    // What it leads to now counts, what it led to before does not.
    fs::write(server.path("one.wasm"), b"rubbish").expect("written");
    fs::write(server.path("two.wasm"), saying("three")).expect("written");
    server.wait_swapped(3);
    client.ask("x", "three");
    assert_eq!(count_lines(&server.stop().stderr, "not swapped"), 0);
}

#[test]
fn turning_the_symlink_of_its_directory_swaps() {
    let serve = Serve::nothing();
    for (version, guest) in [("v1", "echo"), ("v2", "shout")] {
        fs::create_dir(serve.path(version)).expect("a directory");
        fs::write(serve.path(version).join("guest.wasm"), prebuilt(guest)).expect("written");
    }
    let link = serve.path("current");
    symlink("v1", &link).expect("a symlink");
    let server = serve.arg(link.join("guest.wasm")).start();
    let mut client = visitor(&server);
    turn_link(&link, "v2");
    shouts(&server, &mut client, 2);
}

#[test]
fn rubbish_is_refused_until_it_is_a_guest() {
    let (server, mut client) = echo();
    let path = server.path("guest.wasm");
    // Renamed into place, so that none of them is ever half there.
    for (rubbish, why) in [
        (&b"some text"[..], "is text"),
        (b"\0asm\x01\0\0\0", "is a core WebAssembly module"),
        (b"\x7fELF\0\0", "is not WebAssembly"),
        (b"", "is empty"),
    ] {
        rename_over(&path, rubbish);
        let line = server.stderr.wait(&format!("guest.wasm {why}"));
        assert!(line.contains("not swapped: "), "{line}");
        assert!(line.contains("still serving generation 1"), "{line}");
        echoes(&server, &mut client);
    }
    rename_over(&path, &prebuilt("shout"));
    shouts(&server, &mut client, 2);
    let log = server.stop().stderr;
    assert_eq!(count_lines(&log, "not swapped"), 4, "one line each: {log}");
}

#[test]
fn the_same_content_again_is_no_swap() {
    let (server, mut client) = echo();
    rename_over(&server.path("guest.wasm"), &prebuilt("echo"));
    // Nothing tells when nothing happens; a later change does.
    server.overwrite(prebuilt("shout"), 2);
    client.ask("x", "X");
    assert_eq!(count_lines(&server.stop().stderr, "swapped: "), 1);
}

#[test]
fn with_no_watch_a_change_does_not_swap() {
    let server = Serve::prebuilt("echo").arg("--no-watch").start();
    let mut client = visitor(&server);
    fs::write(server.path("guest.wasm"), prebuilt("shout")).expect("written");
    // The next generation is the one that is sent, not the one in the file.
    fs::write(server.path("three.wasm"), saying("three")).expect("written");
    let swapped = server.try_swap_file("three.wasm".as_ref(), &["--json"]);
    assert_eq!(swapped.code, 1, "relative to the caller, not to the server");
    server
        .try_swap_file(&server.path("three.wasm"), &[])
        .success();
    client.ask("x", "three");
    assert_eq!(server.status()["generation"], 2);
    assert!(server.status()["watching"].is_null());
}

#[test]
fn a_change_while_the_server_starts_swaps() {
    // It has been read when `listening` is called, and is not watched yet.
    let slow = guest()
        .body(
            "listening",
            r#"(call $print "starting")
               (loop $again
                 (global.set $state (i32.add (global.get $state) (i32.const 1)))
                 (br_if $again (i32.lt_u (global.get $state) (i32.const 300000000))))"#,
        )
        .data(r#"(call $say "old")"#);
    let serve = serve(slow.build()).args(&["--cpu-budget", "1m", "--event-timeout", "1m"]);
    let path = serve.path("guest.wasm");
    let server = serve.spawn();
    server.stdout.wait("starting");
    rename_over(&path, &saying("new"));
    server.wait_swapped(2);
}

/// Nothing that stands in the file's place ends the watch, and each is logged once.
#[test]
fn what_is_no_file_is_told_once_and_the_next_file_swaps() {
    let (server, mut client) = echo();
    let (path, other) = (server.path("guest.wasm"), server.path("other"));
    let mut generation = 1;
    let put = |what: &str| match what {
        "a FIFO" => {
            mkfifoat(CWD, &other, Mode::RWXU).expect("a FIFO");
            fs::rename(&other, &path).expect("renamed");
        }
        "a socket" => {
            UnixListener::bind(&other).expect("a socket");
            fs::rename(&other, &path).expect("renamed");
        }
        "a device" => turn_link(&path, "/dev/zero"),
        _ => {
            fs::remove_file(&path).expect("removed");
            fs::create_dir(&path).expect("a directory");
        }
    };
    for (what, told) in [
        ("a FIFO", "it is a FIFO, not a regular file"),
        ("a socket", "it is a socket, not a regular file"),
        ("a device", "it is a device, not a regular file"),
        ("a directory", "Is a directory"),
    ] {
        put(what);
        server.stderr.wait(told);
        let name = format!("{what} then ");
        if what == "a directory" {
            fs::remove_dir(&path).expect("removed");
        }
        rename_over(&path, &saying(&name));
        generation += 1;
        server.wait_swapped(generation);
        client.ask("x", name);
    }
    let log = server.stop().stderr;
    assert_eq!(count_lines(&log, "not a regular file"), 3, "{log}");
    assert_eq!(count_lines(&log, "Is a directory"), 1, "{log}");
}

#[test]
fn what_was_rejected_for_lack_of_room_swaps_when_there_is_room() {
    let server = Serve::prebuilt("echo")
        .args(&["--max-connections", "200"])
        .start();
    let mut clients: Vec<_> = (0..33).map(|_| visitor(&server)).collect();
    let large = with_spare_memories(obeying(&[]), "(memory 1)").build();
    fs::write(server.path("guest.wasm"), large).expect("written");
    let line = server.stderr.wait("there is room for 32");
    assert!(line.ends_with("; trying again"), "{line}");
    echoes(&server, &mut clients[0]);
    clients.truncate(10);
    server.wait_swapped(2);
    clients.iter_mut().for_each(|client| client.ask("x", "x"));
}
