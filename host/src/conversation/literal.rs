//! Bytes as a script writes them, and as a report shows them: the same
//! notation, so that what a report shows can be copied into a script.
//!
//! Owns the escapes of a quoted string. What a line may consist of is
//! [`super::script`]'s business.

use std::fmt::Write;

use crate::output::escape::is_obeyed;

/// Read the rest of a quoted string, after its opening quote. Gives the bytes
/// and what follows the closing quote.
///
/// # Errors
/// Says what is wrong with it, in words that end a sentence about the line.
pub fn unquote(text: &str) -> Result<(Vec<u8>, &str), String> {
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    loop {
        let c = match chars.next() {
            None => return Err("unterminated string: the closing \" is missing".to_owned()),
            Some('"') => return Ok((bytes, chars.as_str())),
            Some('\\') => match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(c @ ('\\' | '"')) => c,
                Some('x') => {
                    let mut digit = || chars.next().and_then(|c| c.to_digit(16));
                    match (digit(), digit()) {
                        (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
                        _ => return Err("\\x needs two hexadecimal digits".to_owned()),
                    }
                    continue;
                }
                _ => {
                    return Err(
                        "unknown escape sequence; use \\n, \\r, \\t, \\\\, \\\" or \\xNN"
                            .to_owned(),
                    );
                }
            },
            Some(c) => c,
        };
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Read hexadecimal digits, two for each byte.
pub fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = digits
        .chars()
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    let pair = |pair: &[u8]| pair.iter().fold(0, |byte, digit| byte << 4 | digit);
    Some(digits.chunks(2).map(pair).collect())
}

/// Bytes without the quotes around them.
pub fn escape(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => shown.push_str("\\n"),
                '\r' => shown.push_str("\\r"),
                '\t' => shown.push_str("\\t"),
                '\\' => shown.push_str("\\\\"),
                '"' => shown.push_str("\\\""),
                c if is_obeyed(c) => c
                    .encode_utf8(&mut [0; 4])
                    .bytes()
                    .for_each(|byte| push_hex(&mut shown, byte)),
                c => shown.push(c),
            }
        }
        for byte in chunk.invalid() {
            push_hex(&mut shown, *byte);
        }
    }
    shown
}

fn push_hex(shown: &mut String, byte: u8) {
    let _ = write!(shown, "\\x{byte:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [
            &b"plain"[..],
            "Gr\u{fc}\u{df}e\n".as_bytes(),
            "\u{202e}\u{9b}".as_bytes(),
            b"\xe2\x82",
            &all,
        ] {
            let shown = escape(bytes) + "\" rest";
            assert_eq!(unquote(&shown), Ok((bytes.to_vec(), " rest")), "{shown}");
        }
        assert_eq!(escape(b"a\"\\\r\t\x00\x1b\xff"), r#"a\"\\\r\t\x00\x1b\xff"#);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let error = |text| unquote(text).expect_err("an error");
        assert!(error("open").contains("closing \" is missing"));
        assert!(error("\\").contains("unknown escape"));
        assert!(error("\\q\"").contains("xNN"));
        assert!(error("\\x4\"").contains("two hexadecimal digits"));
    }

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        assert_eq!(unhex("48fF"), Some(vec![0x48, 0xff]));
        assert_eq!(unhex("4"), None);
        assert_eq!(unhex("4g"), None);
    }
}
