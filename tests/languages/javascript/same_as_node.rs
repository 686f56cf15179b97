//! Scripts print and answer here what they print and answer under Node.
//!
//! Each of `tests/scripts/` runs under both, unchanged, and meets the same
//! client; its standard output and the bytes on the wire are compared. What
//! differs in any two runs (the port) is put out of the way.

use std::net::SocketAddr;
use std::path::Path;

use super::{component, serve_script};
use crate::harness::{
    Client, Lines, Node, Serve, lacks_program, repo, temp_dir, wait_for, wait_read,
};

/// What a client does.
pub(super) enum Step {
    Send(&'static [u8]),
    /// Read exactly so many bytes.
    Read(usize),
    /// Wait until standard output has this so many times.
    Printed(&'static str, usize),
    /// Send FIN.
    End,
    /// Wait until the server has read all that was sent, so that what follows
    /// comes in another piece.
    Taken,
}
use Step::{End, Printed, Read, Send, Taken};

/// What one client has read, up to the server's FIN.
fn converse(address: SocketAddr, printed: &Lines, steps: &[Step]) -> Vec<u8> {
    let mut client = Client::connect(address);
    let mut got = Vec::new();
    for step in steps {
        match step {
            Send(bytes) => client.send(bytes),
            Read(count) => got.extend(client.read(*count)),
            Printed(text, count) => wait_for(&format!("{count} times {text:?}"), || {
                printed.text().matches(text).count() >= *count
            }),
            End => client.end(),
            Taken => wait_read(&client),
        }
    }
    got.extend(client.rest().expect("FIN"));
    got
}

/// Let the conversations be held, one after the other, and compare.
pub(super) fn same_as_node(script: &str, last: &str, conversations: &[&[Step]]) {
    let script = repo(&format!("tests/scripts/{script}"));
    same_with(&script, last, conversations, &[], |serve| serve);
}

/// With more of the environment for node, and what answers to it for hotsocket.
pub(super) fn same_with(
    script: &Path,
    last: &str,
    conversations: &[&[Step]],
    env: &[(&str, &Path)],
    how: impl FnOnce(Serve) -> Serve,
) {
    if lacks_program("node") {
        return;
    }
    let Some(component) = component(script) else {
        return;
    };
    let hold = |address, printed: &Lines| -> Vec<Vec<u8>> {
        // A conversation may end for the client before the script says so: the
        // next one begins after that, or lines would change places.
        let answers = conversations.iter().zip(1..).map(|(steps, held)| {
            let answer = without_date(converse(address, printed, steps));
            wait_for(&format!("{last:?}, the last line"), || {
                printed.text().matches(last).count() >= held
            });
            answer
        });
        answers.collect()
    };
    let node = Node::start(script, env);
    let expected = hold(node.address, &node.printed);
    let (printed, port) = (node.printed.clone(), node.address.port().to_string());
    drop(node);
    let expected_text = without_port(&String::from_utf8_lossy(&printed.whole()), &port);

    let server = how(serve_script(component)).start();
    let got = hold(server.addresses[0], &server.stdout);
    let port = server.port().to_string();
    let got_text = without_port(&server.stop().stdout, &port);
    for (got, expected) in got.iter().zip(&expected) {
        assert_eq!(
            String::from_utf8_lossy(got),
            String::from_utf8_lossy(expected)
        );
        assert!(got == expected, "the bytes differ");
    }
    for (at, (got, expected)) in got_text.lines().zip(expected_text.lines()).enumerate() {
        assert_eq!(got, expected, "line {}", at + 1);
    }
    assert_eq!(got_text.lines().count(), expected_text.lines().count());
}

#[test]
fn an_echo_is_the_same() {
    same_as_node(
        "echo.js",
        "closed false",
        &[
            &[Read(7), Send(b"one"), Read(3), Send(b"two"), Read(3), End],
            &[End],
        ],
    );
}

#[test]
fn a_line_server_is_the_same() {
    same_as_node(
        "lines.mjs",
        "close after ",
        &[
            &[
                Send(b"upper gr\xc3"),
                Taken,
                Send(b"\xbc\xc3\x9fe\nlength "),
                Read(9),
                Send(b"\xe2\x82"),
                Taken,
                Send(b"\xac\nnope\nrever"),
                Read(23 + 17),
                Send(b"se abc\nsum 1 2 3\nleft"),
                Read(5 + 3),
                End,
            ],
            &[Send(b"quit\nlate\n"), Read(5), End],
        ],
    );
}

#[test]
fn a_hex_dump_is_the_same() {
    const ALL: &[u8] = &{
        let mut all = [0_u8; 256];
        let mut at = 0;
        while at < 256 {
            all[at] = at as u8;
            at += 1;
        }
        all
    };
    same_as_node(
        "hexdump.js",
        "close false",
        &[
            &[
                Send(b"abc"),
                Read(3),
                Send(ALL),
                Read(256),
                Send(b"12345678"),
                Read(8),
                End,
            ],
            &[Send(b"x"), Read(1), End],
        ],
    );
}

#[test]
fn timers_and_promises_come_in_the_same_order() {
    same_as_node(
        "timers.js",
        "close",
        &[&[Send(b"go"), Printed("timeout 30", 1)]],
    );
}

#[test]
fn pausing_and_encodings_are_the_same() {
    same_as_node(
        "pause.js",
        "late ",
        &[&[
            Send(b"a"),
            Read(3),
            Send(b"b"),
            Read(8),
            Send(b"while it is paused"),
            Printed("resumed with", 1),
            Printed("paused", 1),
            Read(37),
            Send(b"d"),
            Read(3),
            End,
        ]],
    );
}

#[test]
fn iterating_over_a_socket_is_the_same() {
    same_as_node(
        "async.mjs",
        "over",
        &[
            &[
                Send(b"one two th"),
                Read(12),
                Send(b"ree"),
                Taken,
                End,
                Printed("finished", 1),
            ],
            &[
                Send(b"a pipe "),
                Printed("piping", 1),
                Send(b"up up"),
                Read(4 + 5),
                End,
                Printed("piped well", 1),
            ],
        ],
    );
}

#[test]
fn values_are_printed_the_same() {
    same_as_node("inspect.js", "<Buffer ff fe>", &[&[Read(5), End]]);
}

#[test]
fn modules_are_the_same() {
    same_as_node("modules.js", "over", &[&[Send(b"go"), Read(4), End]]);
}

#[test]
fn small_cases_are_the_same() {
    same_as_node("cases.js", "over", &[&[Send(b"go"), Read(4), End]]);
}

#[test]
fn what_is_refused_and_what_is_newer_is_the_same() {
    same_as_node("more_cases.js", "over", &[&[Send(b"go"), Read(4), End]]);
}

#[test]
fn the_events_of_a_socket_come_in_the_same_order() {
    same_as_node(
        "socket_events.js",
        "close ",
        &[
            &[Send(b"big"), Read(16385), End],
            &[Send(b"end")],
            &[Send(b"destroy")],
            &[Send(b"error")],
            &[Send(b"twice")],
            &[Send(b"cork"), Read(2), End],
            &[Send(b"bad")],
            &[Send(b"idle")],
            &[Send(b"quiet")],
            &[Send(b"soon")],
            &[Send(b"readable"), Read(2), Send(b"abcdef"), Taken, End],
            &[End],
        ],
    );
}

#[test]
fn files_in_a_granted_directory_are_the_same() {
    let (ours, nodes) = (temp_dir(), temp_dir());
    let grant = format!("{}::/data", ours.path().display());
    same_with(
        &repo("tests/scripts/files.js"),
        "over",
        &[&[Send(b"go"), Read(4), End]],
        &[("DIR", nodes.path())],
        |serve| serve.args(&["--dir", &grant]),
    );
}

#[test]
fn hashes_and_keys_are_the_same() {
    same_with(
        &repo("tests/scripts/crypto.js"),
        "over",
        &[&[Send(b"go"), Read(4), End]],
        &[],
        |serve| serve.args(&["--cpu-budget", "2s"]),
    );
}

/// A head that the server makes by itself has the time in it.
fn without_date(answer: Vec<u8>) -> Vec<u8> {
    const NAME: &[u8] = b"\r\nDate: ";
    let found = answer.windows(NAME.len()).position(|part| part == NAME);
    let Some(start) = found.map(|at| at + NAME.len()) else {
        return answer;
    };
    // As in RFC 9110, 5.6.7.
    let end = start + "Thu, 26 Nov 2026 05:31:01 GMT".len();
    assert!(answer[end..].starts_with(b"\r\n"), "a date");
    [&answer[..start], &answer[end..]].concat()
}

/// The port is another one each time. It may also be a part of a longer number, which
/// stays.
fn without_port(text: &str, port: &str) -> String {
    let parts = text.split_inclusive(|character: char| !character.is_ascii_digit());
    parts
        .map(|part| match part.strip_prefix(port) {
            Some(rest) if !rest.starts_with(|next: char| next.is_ascii_digit()) => {
                format!("PORT{rest}")
            }
            _ => part.to_owned(),
        })
        .collect()
}
