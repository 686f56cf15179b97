//! The formats that come with the SDK.

use super::{Codec, Found};

/// Lines that end in `\n`, or in `\r\n`; neither is part of the contents.
#[derive(Clone, Copy, Debug)]
pub enum Lines {}

impl Codec for Lines {
    fn find(bytes: &[u8], seen: usize) -> Result<Found, String> {
        let newline = bytes[seen..].iter().position(|&byte| byte == b'\n');
        Ok(match newline.map(|at| seen + at) {
            Some(at) => Found::Frame {
                contents: 0..at - usize::from(bytes[..at].ends_with(b"\r")),
                end: at + 1,
            },
            None => Found::Part {
                at_least: bytes.len() - usize::from(bytes.ends_with(b"\r")),
            },
        })
    }

    fn encode(contents: &[u8]) -> Vec<u8> {
        [contents, b"\n"].concat()
    }
}

/// Contents that end with one byte, which is not part of them: `Delimited<0>` for
/// strings that end in NUL.
#[derive(Clone, Copy, Debug)]
pub enum Delimited<const DELIMITER: u8> {}

impl<const DELIMITER: u8> Codec for Delimited<DELIMITER> {
    fn find(bytes: &[u8], seen: usize) -> Result<Found, String> {
        let end = bytes[seen..].iter().position(|&byte| byte == DELIMITER);
        Ok(match end.map(|at| seen + at) {
            Some(at) => Found::Frame {
                contents: 0..at,
                end: at + 1,
            },
            None => Found::Part {
                at_least: bytes.len(),
            },
        })
    }

    fn encode(contents: &[u8]) -> Vec<u8> {
        [contents, &[DELIMITER]].concat()
    }
}

/// The length of the contents in `SIZE` bytes (1 to 8), the most significant one
/// first, then the contents. To encode contents that are too long for that panics.
#[derive(Clone, Copy, Debug)]
pub enum LengthPrefixed<const SIZE: usize = 4> {}

impl<const SIZE: usize> Codec for LengthPrefixed<SIZE> {
    fn find(bytes: &[u8], _: usize) -> Result<Found, String> {
        const { assert!(SIZE >= 1 && SIZE <= 8, "a length has 1 to 8 bytes") };
        let Some((head, rest)) = bytes.split_at_checked(SIZE) else {
            return Ok(Found::Part { at_least: 0 });
        };
        let length = head.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(match rest.len() >= length {
            true => Found::Frame {
                contents: SIZE..SIZE + length,
                end: SIZE + length,
            },
            false => Found::Part { at_least: length },
        })
    }

    fn encode(contents: &[u8]) -> Vec<u8> {
        let length = (contents.len() as u64).to_be_bytes();
        let (above, length) = length.split_at(8 - SIZE);
        assert!(
            above.iter().all(|byte| *byte == 0),
            "{} bytes have no length of {SIZE} bytes",
            contents.len()
        );
        [length, contents].concat()
    }
}
