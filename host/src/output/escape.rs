//! Text from guests, peers and other processes, made safe to print.
//!
//! A terminal obeys control characters: they move its cursor, change its title and,
//! on some, type commands. C1 controls (U+0080 to U+009F) are among them:
//! U+009B is what `ESC [` is. Controls of the writing direction make a line read as
//! another one, here and wherever the log is looked at.
//!
//! All that comes from outside and goes to a terminal or into the log passes through here,
//! or through [`crate::transcript`], which shows more of it.

use std::borrow::Cow;

use serde_json::Value;

/// Whether a character is obeyed rather than shown: controls of the terminal, those of the
/// writing direction (UAX #9, section 2), and what Unicode has for line breaks besides.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Text of any number of lines. What would be obeyed is shown as `\x1b`, `\u{202e}` and
/// the like; line breaks and tabs stay, carriage returns are dropped.
pub fn harmless(text: &[u8]) -> Cow<'_, str> {
    escape(
        String::from_utf8_lossy(text),
        |c| matches!(c, '\n' | '\t'),
        true,
    )
}

/// The same for text that must not begin another line.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escape(Cow::Borrowed(text), |_| false, false)
}

/// Why something failed, as commands print it.
pub fn error_line(error: &str) -> String {
    format!("error: {}", harmless(error.as_bytes()))
}

fn escape(text: Cow<'_, str>, stays: impl Fn(char) -> bool, drop_returns: bool) -> Cow<'_, str> {
    let wild = |c: char| is_obeyed(c) && !stays(c);
    if !text.contains(wild) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\r' if drop_returns => {}
            c if !wild(c) => shown.push(c),
            c if c.is_control() => shown.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => shown.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    Cow::Owned(shown)
}

/// A value whose texts, of which a sentence is to be made, have one line each.
pub fn one_line_each(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(one_line(&text).into_owned()),
        Value::Array(values) => values.into_iter().map(one_line_each).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, one_line_each(value)))
            .collect(),
        other => other,
    }
}

/// JSON as text. JSON itself escapes only controls below U+0020 (RFC 8259, section 7);
/// the rest of what is obeyed, which can only be in its strings, is escaped here.
pub fn json(value: &Value) -> String {
    json_text(&value.to_string()).into_owned()
}

/// The same for JSON that is text already.
pub fn json_text(text: &str) -> Cow<'_, str> {
    // Most is ASCII, of which a glance is enough.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_obeyed(c) {
            true => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_steered() {
        assert_eq!(
            harmless(b"plain \xe2\x82\xac\ttext\n x"),
            "plain \u{20ac}\ttext\n x"
        );
        assert_eq!(
            harmless(b"\x1b[2Jgone\x07 \xff\r"),
            "\\x1b[2Jgone\\x07 \u{fffd}"
        );
        assert_eq!(harmless("\u{9b}31m".as_bytes()), "\\x9b31m");
    }

    #[test]
    fn a_line_reads_in_the_direction_of_its_letters() {
        let obeyed = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\
                      \u{2066}\u{2067}\u{2068}\u{2069}\u{2028}\u{2029}";
        for c in obeyed.chars() {
            let escaped = format!("\\u{{{:x}}}", u32::from(c));
            let text = format!("a{c}b");
            assert_eq!(harmless(text.as_bytes()), format!("a{escaped}b"));
            assert_eq!(one_line(&text), format!("a{escaped}b"));
            let printed = json(&Value::from(text.as_str()));
            assert_eq!(printed, format!("\"a\\u{:04x}b\"", u32::from(c)));
            assert_eq!(serde_json::from_str::<Value>(&printed).expect("JSON"), text);
        }
        // Scripts that are written from right to left need none, nor do joined emoji.
        let letters = "\u{5d0}\u{5d1} \u{645}\u{6cc}\u{200c}\u{62e} \u{1f468}\u{200d}\u{1f4bb}";
        assert_eq!(one_line(letters), letters);
    }

    #[test]
    fn one_line_stays_one() {
        assert_eq!(one_line("a\r\nb\tc\u{7f}"), "a\\x0d\\x0ab\\x09c\\x7f");
        let value = serde_json::json!({ "a": ["x\ny", 1], "b": { "c": "\u{1b}" } });
        assert_eq!(
            one_line_each(value),
            serde_json::json!({ "a": ["x\\x0ay", 1], "b": { "c": "\\x1b" } })
        );
    }

    #[test]
    fn json_has_no_controls_and_the_same_meaning() {
        let value = serde_json::json!({ "a\u{9b}": "\u{1b}\u{7f}\u{85}é\n" });
        let text = json(&value);
        assert!(!text.contains(char::is_control), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
    }
}
