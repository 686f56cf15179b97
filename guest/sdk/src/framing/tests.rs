//! Tests of framing.

use super::*;

/// All frames of a stream that comes in pieces of this size, then the half.
fn frames<C: Codec>(stream: &[u8], size: usize) -> (Vec<String>, Vec<u8>) {
    let mut frames = Frames::<C, 10>::default();
    let mut all = Vec::new();
    for piece in stream.chunks(size) {
        frames.push(piece);
        loop {
            match frames.next() {
                Ok(Some(frame)) => all.push(String::from_utf8(frame).expect("text")),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(frames.next(), Err(error.clone()), "for ever");
                    all.push(error.to_string());
                    return (all, Vec::new());
                }
            }
        }
        // As after a swap.
        frames = Frames::from_half(frames.half());
    }
    (all, frames.half().to_vec())
}

#[test]
fn frames_are_the_same_in_whatever_pieces_they_come() {
    const LONG: &str = "more than 10 bytes in one piece";
    let length = |contents: &[u8]| LengthPrefixed::<2>::encode(contents);
    let prefixed = [length(b"one"), length(b""), length(b"two"), vec![0]].concat();
    for size in 1..40 {
        let lines = frames::<Lines>(b"one\r\n\n\rtwo\n0123456789\r\nhalf\r", size);
        let expected = ["one", "", "\rtwo", "0123456789"].map(str::to_owned);
        assert_eq!(lines, (expected.to_vec(), b"half\r".to_vec()), "{size}");
        let (lines, _) = frames::<Lines>(b"one\n0123456789a\ntwo\n", size);
        assert_eq!(lines, ["one", LONG], "{size}");
        let strings = frames::<Delimited<0>>(b"one\0\0two\0ha", size);
        let expected = ["one", "", "two"].map(str::to_owned);
        assert_eq!(strings, (expected.to_vec(), b"ha".to_vec()), "{size}");
        let lengths = frames::<LengthPrefixed<2>>(&prefixed, size);
        assert_eq!(lengths, (expected_lengths(), vec![0]), "{size}");
    }
}

fn expected_lengths() -> Vec<String> {
    ["one", "", "two"].map(str::to_owned).to_vec()
}

#[test]
fn a_length_beyond_the_limit_is_an_error_before_the_contents_come() {
    for head in [&[0, 0, 0, 11][..], &[255; 4]] {
        let mut frames = Frames::<LengthPrefixed, 10>::default();
        frames.push(head);
        assert_eq!(frames.next(), Err(FrameError::TooLong { max: 10 }));
    }
    let mut frames = Frames::<LengthPrefixed<8>, 10>::default();
    frames.push(&[255; 8]);
    assert_eq!(frames.next(), Err(FrameError::TooLong { max: 10 }));
}

#[test]
fn nothing_is_kept_after_an_error() {
    let mut frames = Frames::<Lines, 10>::default();
    frames.push(b"one\n01234567890");
    assert_eq!(frames.next(), Ok(Some(b"one".to_vec())));
    let error = Err(FrameError::TooLong { max: 10 });
    assert_eq!(frames.next(), error);
    frames.push(&[b'x'; 100_000]);
    frames.push(b"\ntwo\n");
    assert_eq!(frames.next(), error);
    assert_eq!(frames.half(), b"01234567890");
    let mut successor = Frames::<Lines, 10>::from_half(frames.half());
    successor.push(b"\ntwo\n");
    assert_eq!(successor.next(), error);
}

#[test]
#[should_panic(expected = "300 bytes have no length of 1 bytes")]
fn a_length_that_does_not_fit_is_not_cut() {
    let _ = Frames::<LengthPrefixed<1>>::encode([0; 300]);
}

/// A format of one's own: a digit, and as many bytes.
enum Digit {}

impl Codec for Digit {
    fn find(bytes: &[u8], _: usize) -> Result<Found, String> {
        let Some((&digit, rest)) = bytes.split_first() else {
            return Ok(Found::Part { at_least: 0 });
        };
        let length = char::from(digit).to_digit(10).ok_or("no digit")? as usize;
        Ok(match rest.len() >= length {
            true => Found::Frame {
                contents: 1..length + 1,
                end: length + 1,
            },
            false => Found::Part { at_least: length },
        })
    }

    fn encode(contents: &[u8]) -> Vec<u8> {
        [format!("{}", contents.len()).as_bytes(), contents].concat()
    }
}

#[test]
fn a_codec_of_ones_own() {
    for size in 1..12 {
        let (found, _) = frames::<Digit>(b"1a03bcdx", size);
        assert_eq!(found, ["a", "", "bcd", "no digit"]);
    }
    assert_eq!(Frames::<Digit>::encode("abc"), b"3abc");
}
