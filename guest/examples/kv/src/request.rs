//! Commands in the client's bytes: arrays of strings, or words on a line.

use std::ops::Range;

/// The longest command, in bytes.
pub const MAX_COMMAND: usize = 1_000_000;
/// Arguments of one command.
const MAX_ARGS: usize = 10_000;
/// The longest line of the protocol, in bytes.
const MAX_LINE: usize = 64 << 10;
/// As many as the largest number has.
const MAX_DIGITS: usize = 20;

/// What the client's bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A command of so many bytes. It has no arguments if there was nothing but an empty
    /// line.
    Command {
        length: usize,
    },
    /// Not all of it has come.
    Part,
    Wrong(&'static str),
}

/// The arguments of a command, its name being the first.
#[derive(Clone, Copy)]
pub struct Args<'a, 'r> {
    bytes: &'a [u8],
    ranges: &'r [Range<usize>],
}

impl<'a, 'r> Args<'a, 'r> {
    pub fn new(bytes: &'a [u8], ranges: &'r [Range<usize>]) -> Self {
        Args { bytes, ranges }
    }

    pub fn len(self) -> usize {
        self.ranges.len()
    }

    /// Empty if there are not so many.
    pub fn get(self, at: usize) -> &'a [u8] {
        let range = self.ranges.get(at);
        range.map_or(&[], |range| &self.bytes[range.clone()])
    }

    /// Those from a place on.
    pub fn from(self, at: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a, 'r> {
        let rest = self.ranges.get(at..).unwrap_or_default();
        rest.iter().map(move |range| &self.bytes[range.clone()])
    }
}

/// Find a command, and where its arguments lie.
pub fn find(bytes: &[u8], args: &mut Vec<Range<usize>>) -> Found {
    args.clear();
    match bytes.first() {
        None => Found::Part,
        Some(b'*') => array(bytes, args),
        Some(_) => inline(bytes, args),
    }
}

fn array(bytes: &[u8], args: &mut Vec<Range<usize>>) -> Found {
    let (count, mut at) = match number(bytes, 1) {
        Ok(Some(found)) => found,
        Ok(None) => return Found::Part,
        Err(()) => return Found::Wrong("invalid multibulk length"),
    };
    if count > MAX_ARGS {
        return Found::Wrong("invalid multibulk length");
    }
    for _ in 0..count {
        let arg = match bulk(bytes, at) {
            Ok(Some(arg)) => arg,
            Ok(None) => return Found::Part,
            Err(why) => return Found::Wrong(why),
        };
        at = arg.end + 2;
        args.push(arg);
    }
    Found::Command { length: at }
}

/// Where the string lies that begins at a place, with its length in a line before it; two
/// bytes follow it. `None` if not all of it has come.
pub fn bulk(bytes: &[u8], at: usize) -> Result<Option<Range<usize>>, &'static str> {
    match bytes.get(at) {
        None => return Ok(None),
        Some(b'$') => {}
        Some(_) => return Err("expected '$'"),
    }
    let Some((length, start)) = number(bytes, at + 1).map_err(|()| "invalid bulk length")? else {
        return Ok(None);
    };
    let end = start.saturating_add(length);
    if end > MAX_COMMAND {
        return Err("invalid bulk length: a command has at most 1,000,000 bytes");
    }
    Ok((bytes.len() >= end + 2).then_some(start..end))
}

/// The number in decimal digits that a line has from a place on, and where the next line
/// begins. `None` if not all of it has come.
fn number(bytes: &[u8], at: usize) -> Result<Option<(usize, usize)>, ()> {
    // Most have one digit or two.
    match bytes.get(at..) {
        Some([a @ b'0'..=b'9', b'\r', b'\n', ..]) => {
            return Ok(Some((usize::from(a - b'0'), at + 3)));
        }
        Some([a @ b'0'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ..]) => {
            let number = 10 * usize::from(a - b'0') + usize::from(b - b'0');
            return Ok(Some((number, at + 4)));
        }
        _ => {}
    }
    let mut number: usize = 0;
    // Zeros before it would have no end.
    for (index, byte) in bytes.iter().enumerate().skip(at).take(MAX_DIGITS + 2) {
        match byte {
            b'0'..=b'9' => {
                let digit = usize::from(byte - b'0');
                number = number
                    .checked_mul(10)
                    .and_then(|ten| ten.checked_add(digit))
                    .ok_or(())?;
            }
            b'\r' if index > at => match bytes.get(index + 1) {
                None => return Ok(None),
                Some(b'\n') => return Ok(Some((number, index + 2))),
                Some(_) => return Err(()),
            },
            _ => return Err(()),
        }
    }
    match bytes.len() - at.min(bytes.len()) < MAX_DIGITS + 2 {
        true => Ok(None),
        false => Err(()),
    }
}

fn inline(bytes: &[u8], args: &mut Vec<Range<usize>>) -> Found {
    let Some(end) = bytes.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
        return match bytes.len() < MAX_LINE {
            true => Found::Part,
            false => Found::Wrong("too big inline request"),
        };
    };
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let mut at = 0;
    while at < line.len() {
        match line[at] {
            b' ' | b'\t' => at += 1,
            quote @ (b'"' | b'\'') => {
                let rest = &line[at + 1..];
                let Some(length) = rest.iter().position(|byte| *byte == quote) else {
                    return Found::Wrong("unbalanced quotes in request");
                };
                args.push(at + 1..at + 1 + length);
                at += length + 2;
            }
            _ => {
                let rest = &line[at..];
                let length = rest.iter().position(|byte| matches!(byte, b' ' | b'\t'));
                let length = length.unwrap_or(rest.len());
                args.push(at..at + length);
                at += length;
            }
        }
    }
    Found::Command { length: end + 1 }
}
