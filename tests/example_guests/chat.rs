//! `chat`, with plain sockets and with nc, and while its code is replaced.

use std::io::Write;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::guests::differing;
use crate::harness::{Client, PATIENCE, Process, Reader, Serve, Server, lacks_program, repo};

fn start(args: &[&str]) -> Server {
    Serve::prebuilt("chat").args(args).start()
}

fn component() -> Vec<u8> {
    std::fs::read(repo("guest/prebuilt/chat.wasm")).expect("built")
}

/// Come in by a name, into a lobby with so many others.
fn enter(server: &Server, name: &str, others: usize) -> Client {
    let mut client = server.connect();
    client.expect("Your name?\n");
    client.ask(
        format!("{name}\n"),
        format!("* lobby: {others} here besides you\n"),
    );
    client
}

#[test]
fn people_talk_in_rooms() {
    let server = start(&[]);
    let mut ann = enter(&server, "ann", 0);
    let mut bob = enter(&server, "bob", 1);
    ann.expect("* bob has come\n");
    ann.send("hello there\r\n");
    bob.expect("ann: hello there\n");
    bob.send("hi\n");
    ann.expect("bob: hi\n");
    let mut cid = enter(&server, "cid", 2);
    ann.expect("* cid has come\n");
    bob.expect("* cid has come\n");
    cid.ask("/join den\n", "* den: 0 here besides you\n");
    ann.expect("* cid has gone to den\n");
    bob.expect("* cid has gone to den\n");
    cid.send("anybody?\n");
    ann.send("/who\n");
    ann.expect("* ann (you)\n* bob\n");
    // A reset is no farewell, but the others hear of it.
    bob.reset();
    ann.expect("* bob has left\n");
    cid.ask("/quit\n", "Bye!\n");
    cid.expect_rest("");
    let mut dot = server.connect();
    dot.expect("Your name?\n");
    dot.ask(
        "not a name!\n",
        "A name has letters and digits, 20 at most. Your name?\n",
    );
    dot.ask("dot\n", "* lobby: 1 here besides you\n");
    ann.expect("* dot has come\n");
    // Nothing that a terminal would obey.
    dot.send("\x1b[2J\x07beep\n");
    ann.expect("dot: [2Jbeep\n");
}

#[test]
fn names_rooms_and_half_lines_go_on_through_swaps() {
    let server = start(&["--hibernate-after", "100ms"]);
    let mut ann = enter(&server, "ann", 0);
    let mut bob = enter(&server, "bob", 1);
    ann.expect("* bob has come\n");
    let mut next = component();
    for round in 0..5 {
        ann.send(format!("round {round}, half a "));
        // In the host before the swap: the next thing that Bob hears is from Ann.
        bob.send(format!("and {round}\n"));
        ann.expect(format!("bob: and {round}\n"));
        next = differing(next);
        assert_eq!(server.swap(next.clone(), &[])["migrated"], 2);
        ann.send("line\n");
        bob.expect(format!("ann: round {round}, half a line\n"));
        ann.send("/who\n");
        ann.expect("* ann (you)\n* bob\n");
    }
    drop(ann);
    bob.expect("* ann has left\n");
}

#[test]
fn nc_is_enough() {
    if lacks_program("nc") {
        return;
    }
    let server = start(&[]);
    let mut nc = Command::new("nc");
    nc.args(["127.0.0.1", &server.port().to_string()])
        .stdin(Stdio::piped());
    let mut nc = Process::start_with("nc", &mut nc, Reader::Test, PATIENCE);
    let mut typed = nc.child.stdin.take().expect("a pipe");
    typed.write_all(b"ann\n").expect("typed");
    nc.stdout.wait("* lobby: 0 here besides you");
    let mut bob = enter(&server, "bob", 1);
    nc.stdout.wait("* bob has come");
    server.swap(differing(component()), &[]);
    bob.send("the code is new\n");
    nc.stdout.wait("bob: the code is new");
    typed.write_all(b"I see\n").expect("typed");
    bob.expect("ann: I see\n");
    // This nc would not end by itself.
    nc.signal(Signal::KILL);
    bob.expect("* ann has left\n");
}
