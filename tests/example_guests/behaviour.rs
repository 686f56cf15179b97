//! What the guests that come with the project do.

use std::fs;

use crate::harness::{Serve, hotsocket, prebuilt_path, repo, run};

#[test]
fn echo_sends_back_what_comes() {
    let server = Serve::prebuilt("echo").start();
    let mut client = server.connect();
    for bytes in [&b"one"[..], b"\0\xff\n", &[7; 100_000]] {
        client.ask(bytes, bytes);
    }
    client.end();
    client.expect_rest("");
}

#[test]
fn shout_raises_characters_whatever_pieces_they_come_in() {
    let server = Serve::prebuilt("shout").start();
    let mut client = server.connect();
    client.ask("straße, ça va?", "STRASSE, ÇA VA?");
    // ü is c3 bc, 𐐨 is f0 90 90 a8 and becomes 𐐀: byte by byte, with an answer
    // to what is whole before the next byte goes.
    client.ask(b"a\xc3", "A");
    client.ask(b"\xbcb\xf0", "ÜB");
    client.send(b"\x90");
    client.send(b"\x90");
    client.ask(b"\xa8!", "𐐀!");
    client.ask(b"\xffx", b"\xffX");
    // What never becomes a character comes back as it is, at the end.
    client.ask(b"y\xe2\x82", "Y");
    client.end();
    client.expect_rest(b"\xe2\x82");
}

#[test]
fn shout_is_right_across_the_borders_of_large_chunks() {
    let server = Serve::prebuilt("shout").start();
    let mut client = server.connect();
    // Odd lengths of three-byte characters, so that reads of any power of two
    // end within one.
    let text = format!("x{}", "ოé".repeat(60_000));
    let sender = client.send_meanwhile_and_end(text.clone());
    client.expect_rest(text.to_uppercase());
    sender.join().expect("no panic").expect("all is taken");
}

#[test]
fn lines_numbers_lines_whatever_the_chunks() {
    let server = Serve::prebuilt("lines").start();
    let mut client = server.connect();
    client.ask("one\ntwo\n", "1: one\n2: two\n");
    client.send("th");
    client.send("r");
    client.ask("ee\n\nfi", "3: three\n4: \n");
    client.end();
    client.expect_rest("5: fi");
    // Another connection, another count.
    server.connect().ask("x\n", "1: x\n");
}

#[test]
fn counter_counts_each_connection_by_itself() {
    let server = Serve::prebuilt("counter").start();
    let (mut one, mut other) = (server.connect(), server.connect());
    one.ask("123", "3 bytes so far\n");
    other.ask("1", "1 bytes so far\n");
    one.ask("4567", "7 bytes so far\n");
    other.ask("2", "2 bytes so far\n");
}

#[test]
fn hello_logs_a_visit() {
    let server = Serve::prebuilt("hello").start();
    let port = server.port();
    let mut client = server.connect();
    client.ask("Grüße\n", "Hello World from the server!");
    client.end();
    client.expect_rest("");
    let expected = format!(
        "Server listening on port {port}\nClient connected\nReceived data: Grüße\n\n\
         The following is how the request looks like in the hex format: \n \
         <Buffer 47 72 c3 bc c3 9f 65 0a>\nClient disconnected\n"
    );
    assert_eq!(server.stop().stdout, expected);
}

/// What a guest prints is in its code.
#[test]
fn the_others_print_nothing_of_their_own() {
    for name in [
        "echo", "lines", "counter", "shout", "silence", "smtp", "doorman", "chat", "whoami",
    ] {
        let server = Serve::prebuilt(name).start();
        drop(server.connect());
        assert_eq!(server.stop().stdout, "", "{name}");
    }
}

#[test]
fn labels_tell_connections_apart() {
    let server = Serve::prebuilt("hello").arg("--label").start();
    server.connect().ask("a", "Hello World from the server!");
    server.stdout.wait("1 Received data: a");
    server.connect().ask("b", "Hello World from the server!");
    server.stdout.wait("2 Received data: b");
}

#[test]
fn each_passes_the_conversation_beside_its_source() {
    let mut conversations = 0;
    for entry in fs::read_dir(repo("guest/examples"))
        .expect("a directory")
        .flatten()
    {
        let script = entry.path();
        if script
            .extension()
            .is_none_or(|extension| extension != "test")
        {
            continue;
        }
        let name = script.file_stem().expect("a name").to_string_lossy();
        let told = run(hotsocket()
            .arg("test")
            .arg(prebuilt_path(&name))
            .arg(&script));
        assert!(told.stdout.starts_with("ok      "), "{told:?}");
        assert_eq!(told.code, 0, "{told:?}");
        conversations += 1;
    }
    assert!(conversations >= 5, "{conversations}");
}

/// The conversations that lie next to the sources.
#[test]
fn they_hold_their_conversations() {
    let mut count = 0;
    for file in fs::read_dir(repo("guest/examples")).expect("examples") {
        let script = file.expect("an entry").path();
        if script.extension().is_none_or(|it| it != "test") {
            continue;
        }
        let name = script.file_stem().and_then(|it| it.to_str());
        let guest = prebuilt_path(name.expect("a name"));
        let ran = run(hotsocket().arg("test").arg(guest).arg(&script));
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        count += 1;
    }
    assert!(count >= 9, "{count}");
}
