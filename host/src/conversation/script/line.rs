//! The lexer: takes words, strings, numbers and payloads off the front of a
//! line. What they mean is [`super::action`]'s business.

use super::action::STEPS;
use crate::conversation::literal::{unhex, unquote};

/// The most that one step sends or expects, in bytes: beyond it `*` is a
/// mistake.
const MAX_PAYLOAD: usize = 16 << 20;

/// What is left of a line.
pub(super) struct Line<'a>(&'a str);

impl<'a> Line<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Line(line.trim_start())
    }

    /// Whether only a comment is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty() || self.0.starts_with('#')
    }

    pub(super) fn as_str(&self) -> &'a str {
        self.0
    }

    /// The next word; `None` before a string and at the end.
    fn peek(&self) -> Option<&'a str> {
        if self.is_empty() || self.0.starts_with('"') {
            return None;
        }
        let end = self.0.find(|c: char| c.is_whitespace() || c == '"');
        self.0.get(..end.unwrap_or(self.0.len()))
    }

    fn skip(&mut self, bytes: usize) {
        self.0 = self.0.get(bytes..).unwrap_or("").trim_start();
    }

    /// Take the next word; empty where there is none.
    pub(super) fn word(&mut self) -> &'a str {
        let word = self.peek().unwrap_or_default();
        self.skip(word.len());
        word
    }

    /// Take this word, if it comes next.
    pub(super) fn has(&mut self, word: &str) -> bool {
        let has = self.peek() == Some(word);
        if has {
            self.skip(word.len());
        }
        has
    }

    /// The name of a connection, empty if there is none, and the step's first
    /// word.
    pub(super) fn step(&mut self) -> Result<(&'a str, &'a str), String> {
        let word = self.first_word()?;
        let Some(name) = word.strip_suffix(':') else {
            return Ok(("", word));
        };
        if name.is_empty() || !name.chars().all(is_of_name) {
            return Err(format!(
                "invalid connection name {name:?}; use letters, digits, - and _"
            ));
        }
        Ok((name, self.first_word()?))
    }

    fn first_word(&mut self) -> Result<&'a str, String> {
        match self.word() {
            "" => Err(format!("missing step; the steps are {STEPS}")),
            word => Ok(word),
        }
    }

    fn quoted(&mut self) -> Result<Option<Vec<u8>>, String> {
        let Some(text) = self.0.strip_prefix('"') else {
            return Ok(None);
        };
        let (bytes, rest) = unquote(text)?;
        self.0 = rest.trim_start();
        Ok(Some(bytes))
    }

    /// A line of text, for what is compared with lines.
    pub(super) fn text(&mut self, what: &str) -> Result<Option<String>, String> {
        let Some(bytes) = self.quoted()? else {
            return Ok(None);
        };
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\n') => Ok(Some(text)),
            _ => Err(format!("{what} takes a single line of UTF-8 text")),
        }
    }

    /// Quoted strings and hexadecimal digits, each of them once or more often. Only a message
    /// may be empty.
    pub(super) fn payload(&mut self, step: &str) -> Result<Vec<u8>, String> {
        let is_message = !self.is_empty() && matches!(step, "publish" | "published");
        let mut payload = Vec::new();
        while !self.is_empty() {
            let mut part = match self.quoted()? {
                Some(bytes) => bytes,
                None if self.has("hex") => self.hex()?,
                None => {
                    let word = self.word();
                    return Err(format!(
                        "`{step}` takes \"text\" in quotes or hex 48 65, not {word}"
                    ));
                }
            };
            if self.has("*") {
                let times: usize = self.number("`*`")?;
                if part.len().saturating_mul(times) > MAX_PAYLOAD {
                    return Err(format!("too many bytes: a step may have {MAX_PAYLOAD}"));
                }
                part = part.repeat(times);
            }
            payload.extend_from_slice(&part);
        }
        match payload.len() {
            0 if !is_message => Err(format!("`{step}` needs at least one byte")),
            0..=MAX_PAYLOAD => Ok(payload),
            _ => Err(format!("too many bytes: a step may have {MAX_PAYLOAD}")),
        }
    }

    fn hex(&mut self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        while let Some(word) = self.peek().filter(|word| *word != "*" && *word != "hex") {
            let more = unhex(word)
                .ok_or_else(|| format!("`hex` takes pairs of hexadecimal digits, not {word}"))?;
            bytes.extend_from_slice(&more);
            self.skip(word.len());
        }
        Ok(bytes)
    }

    /// A number from 1 on.
    pub(super) fn number(&mut self, after: &str) -> Result<usize, String> {
        let number = self.word().parse().ok();
        number
            .filter(|number| *number > 0)
            .ok_or_else(|| format!("{after} takes a number of at least 1"))
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_message_may_be_empty() {
        let payload = |step: &str, text: &str| Line::new(text).payload(step);
        for step in ["publish", "published"] {
            assert_eq!(payload(step, "\"\" # none"), Ok(Vec::new()));
            assert!(payload(step, "# none").is_err());
        }
        let error = payload("send", "\"\"").expect_err("no bytes");
        assert_eq!(error, "`send` needs at least one byte");
    }
}
