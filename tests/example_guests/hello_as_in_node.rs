//! `hello` prints and answers what a Node 20 server does, byte for byte.

use std::net::SocketAddr;

use crate::harness::{Client, Node, Serve, lacks_program, repo};

/// What clients send: one list for each connection, whose parts are sent one
/// after the other, each when the one before has been answered.
fn visits() -> Vec<Vec<Vec<u8>>> {
    let of = |parts: &[&[u8]]| parts.iter().map(|part| part.to_vec()).collect::<Vec<_>>();
    let mut visits = vec![
        of(&[]),
        of(&[
            b"Hello",
            b"two\nlines\n",
            b"tab\t and \\ and \"",
            b" ",
            b"\n",
            b"\r\n",
        ]),
        of(&[
            "Grüße, 世界 \u{1f30d}".as_bytes(),
            "\u{feff}BOM".as_bytes(),
            b"\0",
            b"\x1b[31m",
            b"%s %d %%",
        ]),
        // Cut in two in every way: € and a rocket.
        of(&[
            b"\xe2",
            b"\x82\xac",
            b"\xe2\x82",
            b"\xac",
            b"\xf0",
            b"\x9f\x9a\x80",
            b"\xf0\x9f",
            b"\x9a\x80",
        ]),
        of(&[
            b"\xf0\x9f\x9a",
            b"\x80",
            b"a\xf0\x9f\x9ab",
            b"\xe2\x82x",
            b"\xc3",
            b"\xbc",
        ]),
        // Never right: overlong forms, surrogates, beyond the last character,
        // stray continuations, bytes that never occur.
        of(&[
            b"\xc0\x80",
            b"\xe0\x80\x80",
            b"\xe0\x9f\xbf",
            b"\xf0\x80\x80\x80",
            b"\xf0\x8f\xbf\xbf",
        ]),
        of(&[
            b"\xed\xa0\x80",
            b"\xed\xbf\xbf",
            b"\xf4\x90\x80\x80",
            b"\xf7\xbf\xbf\xbf",
            b"\xf8\x88\x80\x80\x80",
        ]),
        of(&[
            b"\x80",
            b"\xbf\xbf\xbf",
            b"\xfe\xff",
            b"\xc3\xc3\xbc",
            b"\xe2\xe2\x82\xac",
            b"\xf0\x9f\xf0\x9f\x9a\x80",
        ]),
    ];
    visits.push((1..=200).map(|size| vec![b'x'; size]).collect());
    visits.push(
        (1..=200)
            .map(|size| (0..size).map(|at| (at * 37 % 251) as u8).collect())
            .collect(),
    );
    visits.push((0..=255).map(|byte| vec![byte]).collect());
    visits.push(vec![(0..=255).collect(), vec![b'x'; 4000]]);
    // Anything, with many beginnings and continuations of characters.
    let mut random = 1_u32;
    let mut next = |below: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) % below
    };
    let kinds = [
        (0x20, 0x60),
        (0x80, 0x40),
        (0xc0, 0x20),
        (0xe0, 0x10),
        (0xf0, 0x10),
    ];
    let mut any = || -> Vec<u8> {
        let length = 1 + next(70);
        (0..length)
            .map(|_| {
                let (first, count) = kinds[next(5) as usize];
                (first + next(count)) as u8
            })
            .collect()
    };
    visits.push((0..300).map(|_| any()).collect());
    visits
}

/// Pay all visits; what the server has answered.
fn visit(address: SocketAddr) -> Vec<u8> {
    const REPLY: usize = "Hello World from the server!".len();
    let mut answers = Vec::new();
    for parts in visits() {
        let mut client = Client::connect(address);
        for part in parts {
            client.send(&part);
            answers.extend(client.read(REPLY));
        }
        client.end();
        answers.extend(client.rest().expect("FIN"));
        answers.push(b'\n');
    }
    answers
}

#[test]
fn hello_prints_and_answers_as_under_node() {
    if lacks_program("node") {
        return;
    }
    let node = Node::start(&repo("tests/example_guests/hello.mjs"), &[]);
    let expected_answers = visit(node.address);
    let printed = node.printed.clone();
    printed.wait_count("Client disconnected", visits().len());
    let port = node.address.port();
    drop(node);

    let server = Serve::nothing().start();
    let ours = server.port();
    let answers = visit(server.addresses[0]);
    assert!(answers == expected_answers, "the answers differ");
    let expected = String::from_utf8(printed.whole()).expect("UTF-8");
    let expected = expected.replacen(&format!("port {port}\n"), &format!("port {ours}\n"), 1);
    let stdout = server.stdout.clone();
    server.stop();
    let got = String::from_utf8(stdout.whole()).expect("UTF-8");
    for (at, (got, expected)) in got.lines().zip(expected.lines()).enumerate() {
        assert!(
            got == expected,
            "line {at} is {got:.300?}, not {expected:.300?}"
        );
    }
    assert!(
        got == expected,
        "the transcripts differ in length: {} and {}",
        got.len(),
        expected.len()
    );
}

/// A chunk of bytes that all become U+FFFD makes the longest line there is.
#[test]
fn a_chunk_of_invalid_bytes_is_printed_whole() {
    let server = Serve::nothing().start();
    server
        .connect()
        .ask([0xff; 60_000], "Hello World from the server!");
    // On a busy machine it may come in two.
    let printed = server.stop().stdout;
    assert!(printed.contains("more bytes>"));
    assert_eq!(printed.matches('\u{fffd}').count(), 60_000);
}
