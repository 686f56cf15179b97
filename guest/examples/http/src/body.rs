//! Bodies: where one ends (RFC 9112, sections 6 and 7), and the pattern of responses.

use std::ops::Range;

/// A line with the size of a chunk, or a trailer, has at most so many bytes.
const MAX_LINE: usize = 4096;

/// What `/bytes/N` consists of, again and again: byte `n` is `n % 251`, so that a byte
/// that is lost or doubled shows.
pub static PATTERN: [u8; 251 * 256] = {
    let mut pattern = [0; 251 * 256];
    let mut at = 0;
    while at < pattern.len() {
        pattern[at] = (at % 251) as u8;
        at += 1;
    }
    pattern
};

/// How much of a body is still to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// So many bytes.
    Left(u64),
    Chunked(Chunks),
}

/// Where in a chunked body we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunks {
    /// Before the line with a size.
    Size,
    /// So many bytes before the end of a chunk.
    Data(u64),
    /// Before the line break after a chunk.
    DataEnd,
    /// Before a trailer, or the empty line.
    Trailer,
}

/// What has been found in the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    Data(Range<usize>),
    /// Nothing but what is to be taken away.
    Nothing,
    End,
    Bad,
}

impl Sizes {
    /// Look at the input. Returns how much of it is to be taken away; nothing of
    /// nothing: more must come.
    pub fn decode(&mut self, input: &[u8]) -> (usize, Decoded) {
        let data = |left: &mut u64| {
            let most = usize::try_from(*left).unwrap_or(usize::MAX);
            let count = input.len().min(most);
            *left -= count as u64;
            match count {
                0 => (0, Decoded::Nothing),
                _ => (count, Decoded::Data(0..count)),
            }
        };
        let chunks = match self {
            Sizes::Left(0) => return (0, Decoded::End),
            Sizes::Left(left) => return data(left),
            Sizes::Chunked(chunks) => chunks,
        };
        if let Chunks::Data(left) = chunks {
            let found = data(left);
            if *left == 0 {
                *chunks = Chunks::DataEnd;
            }
            return found;
        }
        let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
            return match input.len() > MAX_LINE {
                true => (0, Decoded::Bad),
                false => (0, Decoded::Nothing),
            };
        };
        let line = input[..end].strip_suffix(b"\r");
        // A CR alone ends a line for some (RFC 9112, section 2.2).
        let Some(line) = line.filter(|line| !line.contains(&b'\r')) else {
            return (0, Decoded::Bad);
        };
        let found = match chunks {
            Chunks::Size => match chunk_size(line) {
                Some(0) => Some(Chunks::Trailer),
                Some(size) => Some(Chunks::Data(size)),
                None => None,
            },
            Chunks::DataEnd => line.is_empty().then_some(Chunks::Size),
            Chunks::Trailer if line.is_empty() => return (end + 1, Decoded::End),
            Chunks::Trailer | Chunks::Data(_) => Some(Chunks::Trailer),
        };
        match found {
            Some(next) => {
                *chunks = next;
                (end + 1, Decoded::Nothing)
            }
            None => (0, Decoded::Bad),
        }
    }
}

/// Hexadecimal digits, and extensions that mean nothing here.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = str::from_utf8(line).ok()?;
    let digits = line.split(';').next()?.trim_end_matches([' ', '\t']);
    let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| valid)
}

/// Bytes as a chunk.
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, and what is left of the input after it.
    fn decode(mut input: &[u8]) -> Option<(Vec<u8>, &[u8])> {
        let mut sizes = Sizes::Chunked(Chunks::Size);
        let mut body = Vec::new();
        loop {
            let (taken, decoded) = sizes.decode(input);
            match decoded {
                Decoded::Data(range) => body.extend_from_slice(&input[range]),
                Decoded::End => return Some((body, &input[taken..])),
                Decoded::Nothing if taken > 0 => {}
                Decoded::Nothing | Decoded::Bad => return None,
            }
            input = &input[taken..];
        }
    }

    #[test]
    fn chunks_are_joined_up_to_the_end() {
        let body = b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET";
        assert_eq!(decode(body), Some((b"abc0123456789".to_vec(), &b"GET"[..])));
    }

    #[test]
    fn bad_chunks_are_refused() {
        for bad in [
            &b"x\r\n"[..],
            b"-1\r\n",
            b"+3\r\nabc\r\n",
            b"3\nabc\r\n",
            b"3\r\nabcd\r\n",
            b"\r\n",
            b"11111111111111111\r\n",
            b"3\r\r\nabc\r\n0\r\n\r\n",
            b"3;x\ry\r\nabc\r\n0\r\n\r\n",
            b" 3\r\nabc\r\n0\r\n\r\n",
            b"3\xc2\xa0\r\nabc\r\n0\r\n\r\n",
        ] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
