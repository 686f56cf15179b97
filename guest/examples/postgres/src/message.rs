//! Messages of PostgreSQL's protocol:
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use std::ops::Range;

/// As PostgreSQL has it for the first message.
const MAX_STARTUP: usize = 10_000;
/// Longer messages are refused: half of one is part of a snapshot, which may have 1 MiB.
const MAX_MESSAGE: usize = 900_000;
/// So many bytes are answered at once, and what one more statement adds: more than
/// `--max-queue` (8 MiB) would end the connection.
const MAX_OUT: usize = 4 << 20;
/// The type `text`.
const TEXT: u32 = 25;

/// What the input begins with.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Message {
        /// A letter; 0 for the first message, which has none.
        kind: u8,
        body: Range<usize>,
        /// What it takes of the input.
        length: usize,
    },
    Partial,
    Bad(&'static str),
}

/// Look for a message. The length that it begins with counts itself, but not the
/// letter.
pub fn find(input: &[u8], is_startup: bool) -> Found {
    let letter = usize::from(!is_startup);
    let Some(length) = input.get(letter..letter + 4).and_then(number) else {
        return Found::Partial;
    };
    let length = length as usize;
    let max = if is_startup { MAX_STARTUP } else { MAX_MESSAGE };
    match length {
        4.. if length <= max && (!is_startup || length >= 8) => {}
        _ => return Found::Bad("a message has an invalid length"),
    }
    match input.len() >= letter + length {
        true => Found::Message {
            kind: if is_startup { 0 } else { input[0] },
            body: letter + 4..letter + length,
            length: letter + length,
        },
        false => Found::Partial,
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.first_chunk()?))
}

/// What the client wants first.
#[derive(Debug, PartialEq, Eq)]
pub enum Startup {
    Tls,
    /// Encryption with GSSAPI.
    Gssapi,
    Session {
        user: String,
    },
    /// That another connection's query ends.
    Cancel,
    Other,
}

/// The body of the first message.
pub fn startup(body: &[u8]) -> Startup {
    match number(body) {
        Some(80_877_103) => Startup::Tls,
        Some(80_877_104) => Startup::Gssapi,
        Some(80_877_102) => Startup::Cancel,
        Some(196_608) => {
            let mut words = body[4..].split(|&byte| byte == 0);
            let mut user = String::new();
            while let (Some(name), Some(value)) = (words.next(), words.next()) {
                if name == b"user" {
                    user = String::from_utf8_lossy(value).into_owned();
                }
            }
            Startup::Session { user }
        }
        _ => Startup::Other,
    }
}

/// Messages to the client.
#[derive(Debug, Default)]
pub struct Out(Vec<u8>);

impl Out {
    pub fn bytes(self) -> Vec<u8> {
        self.0
    }

    /// Whether further statements are refused.
    pub fn is_full(&self) -> bool {
        self.0.len() > MAX_OUT
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, kind: u8, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.0.push(kind);
        self.raw(&(length as u32 + 4).to_be_bytes());
        parts.iter().for_each(|part| self.raw(part));
    }

    pub fn authenticated(&mut self) {
        self.message(b'R', &[&[0; 4]]);
    }

    pub fn parameter(&mut self, name: &str, value: &str) {
        self.message(b'S', &[name.as_bytes(), b"\0", value.as_bytes(), b"\0"]);
    }

    /// For a request to cancel, which does nothing here.
    pub fn key_data(&mut self, id: u32) {
        self.message(b'K', &[&id.to_be_bytes(), &[0; 4]]);
    }

    pub fn ready(&mut self) {
        self.message(b'Z', &[b"I"]);
    }

    pub fn empty(&mut self) {
        self.message(b'I', &[]);
    }

    pub fn complete(&mut self, tag: &str) {
        self.message(b'C', &[tag.as_bytes(), b"\0"]);
    }

    pub fn error(&mut self, severity: &str, code: &str, text: &str) {
        let field = |kind: char, value: &str| format!("{kind}{value}\0");
        let fields = [('S', severity), ('V', severity), ('C', code), ('M', text)];
        let fields: String = fields
            .iter()
            .map(|(kind, value)| field(*kind, value))
            .collect();
        self.message(b'E', &[fields.as_bytes(), b"\0"]);
    }

    /// The names of the columns of the rows that follow, all of type `text`.
    pub fn columns(&mut self, names: &[&str]) {
        let mut body = (names.len() as u16).to_be_bytes().to_vec();
        for name in names {
            body.extend_from_slice(name.as_bytes());
            // No table, no column of one; any size, no modifier, as text.
            body.extend_from_slice(&[0; 7]);
            body.extend_from_slice(&TEXT.to_be_bytes());
            body.extend_from_slice(&[0xff; 6]);
            body.extend_from_slice(&[0; 2]);
        }
        self.message(b'T', &[&body]);
    }

    pub fn row(&mut self, values: &[&str]) {
        let mut body = (values.len() as u16).to_be_bytes().to_vec();
        for value in values {
            body.extend_from_slice(&(value.len() as u32).to_be_bytes());
            body.extend_from_slice(value.as_bytes());
        }
        self.message(b'D', &[&body]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_when_they_are_whole() {
        let query = b"Q\0\0\0\x06x\0rest";
        for length in 0..7 {
            assert_eq!(find(&query[..length], false), Found::Partial);
        }
        let whole = Found::Message {
            kind: b'Q',
            body: 5..7,
            length: 7,
        };
        assert_eq!(find(query, false), whole);
        for bad in [&b"Q\0\0\0\x03"[..], b"Q\xff\xff\xff\xff", b"Q\0\x20\0\0"] {
            assert!(matches!(find(bad, false), Found::Bad(_)), "{bad:?}");
        }
        assert!(matches!(find(b"GET / HT", true), Found::Bad(_)));
    }

    #[test]
    fn a_session_has_a_user() {
        let session = |fields: &[u8]| startup(&[&196_608_u32.to_be_bytes(), fields].concat());
        let user = |user: &str| Startup::Session {
            user: user.to_owned(),
        };
        assert_eq!(session(b"database\0d\0user\0me\0\0"), user("me"));
        assert_eq!(session(b"user"), user(""));
        assert_eq!(session(b""), user(""));
        assert_eq!(startup(b"\0\x02\0\0"), Startup::Other);
        assert_eq!(startup(b""), Startup::Other);
    }
}
