//! What the examples answer, whatever the pieces and wherever a swap falls.

#[path = "../../examples/counter.rs"]
mod counter;
#[path = "../../examples/echo.rs"]
mod echo;
#[path = "../../examples/hello.rs"]
mod hello;
#[path = "../../examples/lines.rs"]
mod lines;
#[path = "../../examples/shout.rs"]
mod shout;

use counter::Counter;
use echo::Echo;
use hello::Hello;
use hotsocket_guest::Handler;
use hotsocket_guest::testing::{Session, printed};
use lines::{LONGEST, Lines};
use shout::Shout;

/// The whole answer to `input` cut at `cuts`, with a swap to the same code
/// after each piece if `swap`.
fn answer<H: Handler>(input: &[u8], cuts: &[usize], swap: bool) -> Vec<u8> {
    let mut session = Session::<H>::open();
    let mut out = Vec::new();
    let mut from = 0;
    for &to in cuts.iter().chain([&input.len()]) {
        if to > from {
            out.extend(session.data(&input[from..to]));
        }
        from = to;
        if swap {
            session = session.swap().expect("the same code takes its own state");
        }
    }
    out.extend(session.end());
    out
}

/// Checks every place for one cut, and a cut after each byte.
fn whatever_the_pieces<H: Handler>(input: &[u8], expected: &[u8]) {
    let every: Vec<usize> = (1..input.len()).collect();
    for swap in [false, true] {
        assert_eq!(answer::<H>(input, &every, swap), expected);
        for cut in 0..=input.len() {
            assert_eq!(answer::<H>(input, &[cut], swap), expected, "cut at {cut}");
        }
    }
}

#[test]
fn echo_sends_back_what_came() {
    whatever_the_pieces::<Echo>(b"a\0\xffb", b"a\0\xffb");
}

#[test]
fn hello_prints_as_node_does() {
    let mut session = Session::<Hello>::open();
    assert_eq!(
        session.data(b"Hi\xe2\x82!"),
        b"Hello World from the server!"
    );
    session.data([0xab; 51]);
    session.end();
    let lines = printed();
    assert_eq!(lines[0], "Client connected");
    assert_eq!(lines[1], "Received data: Hi\u{fffd}!");
    assert_eq!(
        lines[2],
        "The following is how the request looks like in the hex format: \n <Buffer 48 69 e2 82 21>"
    );
    assert!(lines[4].ends_with("ab ab ... 1 more byte>"), "{}", lines[4]);
    assert_eq!(lines[5], "Client disconnected");
}

#[test]
fn shout_knows_characters_across_pieces() {
    whatever_the_pieces::<Shout>(
        "straße, 10 € \u{1f600} né".as_bytes(),
        "STRASSE, 10 € \u{1f600} NÉ".as_bytes(),
    );
}

#[test]
fn shout_passes_on_what_is_no_text() {
    whatever_the_pieces::<Shout>(b"a\xff\xc3b\xf0\x9f\x98", b"A\xff\xc3B\xf0\x9f\x98");
    whatever_the_pieces::<Shout>(
        b"\xed\xa0\x80\xc0\xaf\xe2\x82",
        b"\xed\xa0\x80\xc0\xaf\xe2\x82",
    );
}

#[test]
fn lines_are_numbered_whatever_the_pieces() {
    whatever_the_pieces::<Lines>(
        b"one\n\ntwo\r\n\xff\nlast",
        b"1: one\n2: \n3: two\n4: \xff\n5: last",
    );
    whatever_the_pieces::<Lines>(b"one\n", b"1: one\n");
}

#[test]
fn a_long_line_ends_the_connection_whatever_the_pieces() {
    let input = [b"a\n".to_vec(), vec![b'x'; LONGEST + 1]].concat();
    for cuts in [&[][..], &[1], &[2], &[LONGEST], &[LONGEST + 2]] {
        let answer = answer::<Lines>(&input, cuts, true);
        assert_eq!(answer, b"1: a\nmore than 65536 bytes in one piece\n");
    }
}

#[test]
fn counter_goes_on_counting_after_a_swap() {
    let mut session = Session::<Counter>::open();
    assert_eq!(session.data("hello"), b"5 bytes so far\n");
    let mut session = session.swap::<Counter>().expect("its own state");
    assert_eq!(session.data("!"), b"6 bytes so far\n");
}

#[test]
fn a_guest_starts_afresh_on_the_state_of_another() {
    let counter = || {
        let mut session = Session::<Counter>::open();
        session.data("x");
        session
    };
    let mut lines = counter().swap::<Lines>().expect("a fresh start");
    assert_eq!(lines.data("a\n"), b"1: a\n");
    let mut shout = counter().swap::<Shout>().expect("a fresh start");
    assert_eq!(shout.data("a"), b"A");
    let mut back = shout.swap::<Counter>().expect("a fresh start");
    assert_eq!(back.data("abc"), b"3 bytes so far\n");
    assert!(counter().swap::<Echo>().is_ok());
}
