//! Text and bytes of which everything can be seen, and nothing is obeyed.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::output::escape::is_obeyed;

/// Characters that are not seen and change how others are: what is obeyed, and what else has
/// no width, with all of Unicode's Default_Ignorable_Code_Point.
fn is_hidden(c: char) -> bool {
    is_obeyed(c)
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}'
                | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

fn write(text: &mut String, c: char) {
    // Writing to a string does not fail.
    let _ = match c {
        '\n' => write!(text, "\\n"),
        '\r' => write!(text, "\\r"),
        '\t' => write!(text, "\\t"),
        c if c.is_ascii_control() => write!(text, "\\x{:02x}", u32::from(c)),
        c if is_hidden(c) => write!(text, "\\u{{{:x}}}", u32::from(c)),
        c => write!(text, "{c}"),
    };
}

/// A text in one line.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    text.chars().for_each(|c| write(&mut shown, c));
    Cow::Owned(shown)
}

/// Bytes in one line: text where they are UTF-8, and from which they can be told again.
pub fn visible_bytes(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => shown.push_str("\\\\"),
                c => write(&mut shown, c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_obeyed_and_nothing_is_lost() {
        assert_eq!(visible("plain é €"), "plain é €");
        assert_eq!(
            visible("a\u{1b}[31m\u{9b}2J\u{202e}b\u{200b}\u{feff}\n"),
            "a\\x1b[31m\\u{9b}2J\\u{202e}b\\u{200b}\\u{feff}\\n"
        );
        assert_eq!(
            visible_bytes(b"\\x\xff\xe2\x82\xac\xe2\x82\r\n\t\x00"),
            "\\\\x\\xff€\\xe2\\x82\\r\\n\\t\\x00"
        );
        assert_eq!(visible_bytes("\u{2066}x".as_bytes()), "\\u{2066}x");
    }

    #[test]
    fn what_has_no_width_is_seen() {
        let hidden = "\u{34f}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}\u{180f}\u{2065}\u{3164}\
                      \u{fe00}\u{fe0f}\u{ffa0}\u{fff0}\u{1bca0}\u{1d173}\u{e0100}\u{e01ef}";
        for c in hidden.chars() {
            let escaped = format!("a\\u{{{:x}}}b", u32::from(c));
            assert_eq!(visible(&format!("a{c}b")), escaped);
            assert_eq!(visible_bytes(format!("a{c}b").as_bytes()), escaped);
        }
    }
}
