//! `chat` in every language, with plain sockets, nc and telnet, and while its code is
//! replaced.

use std::io::Write;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::guests::{ECHO, differing, guest};
use crate::harness::{
    Client, NatsServer, PATIENCE, Process, Reader, Server, lacks_program, prebuilt, repo,
};
use crate::languages::{component_of, serve_large};

const LANGUAGES: [&str; 4] = ["rs", "js", "py", "c"];

/// `chat` in a language; `None` if it cannot be built here.
fn chat_in(language: &str) -> Option<Vec<u8>> {
    match language {
        "rs" => Some(prebuilt("chat")),
        _ => component_of(&repo(&format!("guest/examples/chat.{language}"))),
    }
}

/// The same conversation with `chat` in every language.
fn in_each_language(args: &[&str], talk: impl Fn(&Server, &[u8])) {
    for language in LANGUAGES {
        if let Some(component) = chat_in(language) {
            println!("in {language}");
            talk(&serve_large(&component).args(args).start(), &component);
        }
    }
}

/// Come in by a name, into a lobby with so many others.
fn enter(server: &Server, name: &str, others: usize) -> Client {
    let mut client = server.connect();
    client.expect("Your name?\n");
    client.ask(
        format!("{name}\n"),
        format!("* lobby: {others} here besides you\n"),
    );
    // The effects of an event are complete before the next one.
    client.ask("/join lobby\n", "You are there.\n");
    client
}

#[test]
fn people_talk_in_rooms() {
    in_each_language(&[], |server, _| {
        let mut ann = enter(server, "ann", 0);
        let mut bob = enter(server, "bob", 1);
        ann.expect("* bob has come\n");
        ann.send("hello there\r\n");
        bob.expect("ann: hello there\n");
        bob.send("hi\n");
        ann.expect("bob: hi\n");
        let mut cid = enter(server, "cid", 2);
        ann.expect("* cid has come\n");
        bob.expect("* cid has come\n");
        cid.ask("/join den\n", "* den: 0 here besides you\n");
        ann.expect("* cid has gone to den\n");
        bob.expect("* cid has gone to den\n");
        cid.ask("/join den\n", "You are there.\n");
        cid.ask("/join\n", "A room has letters and digits, 20 at most.\n");
        cid.send("anybody?\n");
        ann.send("/who\n");
        ann.expect("* ann (you)\n* bob\n");
        // A reset is no farewell, but the others hear of it.
        bob.reset();
        ann.expect("* bob has left\n");
        cid.ask("/join lobby\n", "* lobby: 1 here besides you\n");
        ann.expect("* cid has come\n");
        // Bytes still come after this side has ended, and nobody hears of them.
        cid.send("/quit\nanybody?\n");
        cid.expect_rest("Bye!\n");
        cid.send("anybody?\n");
        ann.ask("/who\n", "* ann (you)\n");
        drop(cid);
        ann.expect("* cid has left\n");
        let mut dot = server.connect();
        dot.expect("Your name?\n");
        dot.ask(
            "not a name!\n",
            "A name has letters and digits, 20 at most. Your name?\n",
        );
        // What a telnet client may negotiate before anybody types.
        dot.ask(
            b"\xff\xfd\x03\xff\xfb\x18 dot \r\n",
            "* lobby: 1 here besides you\n",
        );
        ann.expect("* dot has come\n");
        // Nothing that a terminal would obey.
        dot.send("\x1b[2J\x07be\u{9b}ep \u{e9}\n");
        ann.expect("dot: [2Jbeep \u{e9}\n");
        dot.send(vec![b'x'; 1001]);
        dot.expect("more than 1000 bytes in one piece\n");
        dot.expect_rest("");
        // Its connection is over when this side has closed, too.
        drop(dot);
        ann.expect("* dot has left\n");
    });
}

/// Names, rooms and half-typed lines go on, also where half a character has been typed.
fn talk_through_swaps(server: &Server, generations: &[Vec<u8>]) {
    let mut ann = enter(server, "ann", 0);
    let mut bob = enter(server, "bob", 1);
    ann.expect("* bob has come\n");
    for (round, next) in generations.iter().enumerate() {
        ann.send([format!("round {round}, half a caf").as_bytes(), b"\xc3"].concat());
        // In the host before the swap: the next thing that Bob hears is from Ann.
        bob.send(format!("and {round}\n"));
        ann.expect(format!("bob: and {round}\n"));
        assert_eq!(server.swap(next.clone(), &[])["migrated"], 2);
        ann.send(b"\xa9\n");
        bob.expect(format!("ann: round {round}, half a caf\u{e9}\n"));
        ann.send("/who\n");
        ann.expect("* ann (you)\n* bob\n");
    }
    drop(ann);
    bob.expect("* ann has left\n");
}

#[test]
fn names_rooms_and_half_lines_go_on_through_swaps() {
    in_each_language(&["--hibernate-after", "100ms"], |server, component| {
        let (other, same) = (differing(component.to_vec()), component.to_vec());
        talk_through_swaps(server, &[other.clone(), same, other]);
    });
}

#[test]
fn names_rooms_and_half_lines_go_from_language_to_language() {
    let all: Option<Vec<_>> = LANGUAGES.into_iter().map(chat_in).collect();
    let Some(all) = all else {
        return;
    };
    // Compiled once before, so that the swaps are not timed out.
    for component in &all {
        serve_large(component).start().stop();
    }
    let generations = [1, 2, 3, 1, 3, 2, 0, 2, 1, 0].map(|which| all[which].clone());
    talk_through_swaps(&serve_large(&all[0]).start(), &generations);
}

/// Version 1 of the state did not say where answers to `/who` come.
#[test]
fn the_state_of_version_1_is_taken_over() {
    let state = "(call $some \"\u{1}\0\0\0ann\nlobby\nhel\")";
    let old = guest().data(ECHO).body("save", state).build();
    in_each_language(&[], |_, component| {
        let server = serve_large(&old).start();
        let mut ann = server.connect();
        ann.ask("x", "x");
        assert_eq!(server.swap(component, &[])["migrated"], 1);
        let mut bob = enter(&server, "bob", 0);
        ann.send("lo\n");
        bob.expect("ann: hello\n");
        ann.ask("/who\n", "* ann (you)\n* bob\n");
    });
}

/// Where two people may have the same id.
#[test]
fn people_on_two_nodes_answer_the_one_who_asks() {
    let Some(nats) = NatsServer::start(&[]) else {
        return;
    };
    let url = nats.url();
    for language in LANGUAGES {
        let Some(component) = chat_in(language) else {
            continue;
        };
        println!("in {language}");
        let args = ["--topics", &url, "--topics-prefix", language];
        let [here, there] = [(); 2].map(|()| serve_large(&component).args(&args).start());
        // Wait until NATS knows of all that people of this node want to hear.
        let wait = |node: &Server, nodes: usize| {
            let topics = node.ask_topics();
            for topic in topics["topics"].as_array().expect("a list") {
                let topic = topic["pattern"].as_str().expect("text");
                let count = if topic.starts_with("answers.") {
                    1
                } else {
                    nodes
                };
                nats.wait_subscribed(&format!("{language}.{topic}"), count);
            }
        };
        let mut ann = enter(&here, "ann", 0);
        wait(&here, 1);
        let mut bob = enter(&there, "bob", 0);
        ann.expect("* bob has come\n");
        wait(&there, 2);
        ann.ask("/who\n", "* ann (you)\n* bob\n");
        bob.ask("/who\n", "* bob (you)\n* ann\n");
    }
}

#[test]
fn nc_is_enough() {
    if !lacks_program("nc") {
        people_use("nc");
    }
}

#[test]
fn telnet_is_enough() {
    if !lacks_program("telnet") {
        people_use("telnet");
    }
}

/// One person has this client, the other a plain socket; the code is replaced while they
/// talk, by the same and by that of another language.
fn people_use(program: &'static str) {
    let mut next = chat_in("rs");
    for language in LANGUAGES {
        let Some(component) = chat_in(language) else {
            continue;
        };
        println!("in {language}");
        let other = next.replace(component.clone()).expect("at least in Rust");
        let server = serve_large(&component)
            .args(&["--compile-timeout", "10m"])
            .start();
        let mut client = Command::new(program);
        client
            .args(["127.0.0.1", &server.port().to_string()])
            .stdin(Stdio::piped());
        let mut client = Process::start_with(program, &mut client, Reader::Test, PATIENCE);
        let mut typed = client.child.stdin.take().expect("a pipe");
        // telnet discards what is typed before it is connected.
        client.stdout.wait("Your name?");
        typed.write_all(b"ann\n").expect("typed");
        client.stdout.wait("* lobby: 0 here besides you");
        let mut bob = enter(&server, "bob", 1);
        client.stdout.wait("* bob has come");
        server.swap(differing(component), &[]);
        bob.send("the code is new\n");
        client.stdout.wait("bob: the code is new");
        typed.write_all(b"I see\n").expect("typed");
        bob.expect("ann: I see\n");
        server.swap(other, &[]);
        bob.send("and now it is another language\n");
        client.stdout.wait("bob: and now it is another language");
        typed.write_all(b"so it is\n").expect("typed");
        bob.expect("ann: so it is\n");
        // Neither client would end by itself.
        client.signal(Signal::KILL);
        bob.expect("* ann has left\n");
    }
}
