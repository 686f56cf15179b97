//! Text from guests, peers and other processes, made safe to print.
//!
//! A terminal obeys control characters: they move its cursor, change its title and,
//! on some, type commands. C1 controls (U+0080 to U+009F) are among them:
//! U+009B is what `ESC [` is. Controls of writing direction have text shown in another
//! order than it has, also text that follows
//! (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>).

use std::borrow::Cow;

use serde_json::Value;

/// Text of any number of lines. Control characters are shown as `\x1b` and the
/// like; line breaks and tabs stay, carriage returns are dropped.
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

/// Control characters, and those that begin or end a run of text with a direction of its
/// own. The marks that single words of Arabic or Hebrew need are none of them.
fn is_wild(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(text: Cow<'_, str>, stays: impl Fn(char) -> bool, drop_returns: bool) -> Cow<'_, str> {
    let wild = |c: char| is_wild(c) && !stays(c);
    if !text.contains(wild) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\r' if drop_returns => {}
            c if wild(c) && c.is_control() => {
                shown.push_str(&format!("\\x{:02x}", u32::from(c)));
            }
            c if wild(c) => shown.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => shown.push(c),
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

/// JSON as text. JSON itself escapes only controls below U+0020 (RFC 8259,
/// section 7); the others, and controls of writing direction, which can only be in its
/// strings, are escaped here.
pub fn json(value: &Value) -> String {
    json_text(&value.to_string()).into_owned()
}

/// The same for JSON that is text already.
pub fn json_text(text: &str) -> Cow<'_, str> {
    if !text.contains(is_wild) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_wild(c) {
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
        assert_eq!(
            harmless("a\u{202e}b\u{2066}\u{200f}".as_bytes()),
            "a\\u{202e}b\\u{2066}\u{200f}"
        );
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
        let value = serde_json::json!({ "a\u{9b}": "\u{1b}\u{7f}\u{85}\u{202e}é\n" });
        let text = json(&value);
        assert!(!text.contains(is_wild), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
    }
}
