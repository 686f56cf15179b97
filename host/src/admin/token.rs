//! The token of the admin address: who has it may do things and see the bytes of
//! connections. It is never logged, but on a terminal as part of the link.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

use crate::guest_file;

/// Of a random token, in bytes.
const RANDOM: usize = 16;
/// Of a token in a file, in characters. Whoever makes up shorter ones makes up those that
/// can be guessed; a longer one does not fit into a request's head with the rest.
pub const MIN_LENGTH: usize = 16;
pub const MAX_LENGTH: usize = 512;

/// See the module's documentation.
#[derive(Clone)]
pub struct Token(Box<str>);

impl Token {
    /// A new one, which nobody knows.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn random() -> Result<Self, TokenError> {
        let mut bytes = [0; RANDOM];
        getrandom::fill(&mut bytes).map_err(|error| TokenError::Random(error.to_string()))?;
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        Ok(Token(digits.collect::<String>().into()))
    }

    /// The one line of a file.
    ///
    /// # Errors
    /// When it can't be read, or has something else.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let failed = |reason: String| TokenError::File {
            path: path.to_owned(),
            reason,
        };
        // With its line break.
        let text = guest_file::read(path, MAX_LENGTH + 2)
            .map_err(|error: io::Error| failed(crate::os_error::message(&error)))?;
        Self::parse(&text).map_err(|reason| failed(reason.to_owned()))
    }

    fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        match str::from_utf8(text) {
            Ok(line) if !line.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err("it has more than one line of letters, digits and signs")
            }
            Ok(line) if line.len() < MIN_LENGTH => Err("a token has at least 16 characters"),
            Ok(line) if line.len() > MAX_LENGTH => Err("a token has at most 512 characters"),
            Ok(line) => Ok(Token(line.into())),
            Err(_) => Err("it is no text"),
        }
    }

    /// Whether a request carries it (RFC 6750, section 2.1). How long that takes says
    /// nothing about the token but its length.
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (all.next(), all.next()) else {
            return false;
        };
        let Some((scheme, given)) = value.as_bytes().split_at_checked("Bearer ".len()) else {
            return false;
        };
        scheme.eq_ignore_ascii_case(b"Bearer ") && given.ct_eq(self.0.as_bytes()).into()
    }

    /// For whoever may know it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Debugging output ends in logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("no random bytes for a token: {0}")]
    Random(String),
    #[error("--admin-token-file {}: {reason}", .path.display())]
    File { path: PathBuf, reason: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().expect("a header"));
        }
        headers
    }

    #[test]
    fn a_file_has_one_line() {
        for good in [
            "0123456789abcdef",
            "0123456789abcdef\n",
            "0123456789abcdef\r\n",
        ] {
            let token = Token::parse(good.as_bytes()).expect("a token");
            assert_eq!(token.reveal(), "0123456789abcdef");
        }
        let long = "x".repeat(MAX_LENGTH + 1);
        for bad in [
            "",
            "\n",
            "0123456789abcde\n",
            "0123456789abcdef\n\n",
            "0123456789abcdef\nsecond\n",
            "0123456789 abcdef",
            "0123456789abcdéf",
            &long,
        ] {
            assert!(Token::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Token::parse(b"0123456789abcdef\xff").is_err());
    }

    #[test]
    fn only_the_whole_token_is_right() {
        let token = Token::parse(b"0123456789abcdef").expect("a token");
        assert!(token.is_in(&headers(&["Bearer 0123456789abcdef"])));
        assert!(token.is_in(&headers(&["bearer 0123456789abcdef"])));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer  0123456789abcdef",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
        ] {
            assert!(!token.is_in(&headers(&[wrong])), "{wrong:?}");
        }
        assert!(!token.is_in(&headers(&[])));
        let right = "Bearer 0123456789abcdef";
        assert!(!token.is_in(&headers(&[right, right])));
    }

    #[test]
    fn random_ones_differ_and_are_not_shown() {
        let (one, other) = (Token::random(), Token::random());
        let (one, other) = (one.expect("random"), other.expect("random"));
        assert_eq!(one.reveal().len(), 2 * RANDOM);
        assert_ne!(one.reveal(), other.reveal());
        assert!(!format!("{one:?}").contains(one.reveal()));
    }
}
