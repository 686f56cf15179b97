//! How received bytes differ from expected ones, in a few short lines.

use super::literal::escape;

/// Bytes shown before the first that differs, and from it on.
const BEFORE: usize = 24;
const AFTER: usize = 40;

/// The index of the first byte that differs.
pub fn first_difference(expected: &[u8], received: &[u8]) -> usize {
    let pairs = expected.iter().zip(received);
    pairs
        .take_while(|(expected, received)| expected == received)
        .count()
}

/// Both, one above the other, with a mark where they begin to differ.
pub fn lines(expected: &[u8], received: &[u8]) -> Vec<String> {
    let at = first_difference(expected, received);
    // Whole characters are shown, as far as there are any.
    let start = (at.saturating_sub(BEFORE + 3)..=at.saturating_sub(BEFORE))
        .rev()
        .find(|start| is_start(expected, *start) && is_start(received, *start))
        .unwrap_or(at.saturating_sub(BEFORE));
    let lead = match start {
        0 => "",
        _ => "…",
    };
    let at = (0..4)
        .map(|back| at.saturating_sub(back))
        .find(|at| is_start(expected, *at) && is_start(received, *at))
        .unwrap_or(at)
        .max(start);
    let common = escape(expected.get(start..at).unwrap_or_default());
    let mark = " ".repeat(lead.chars().count() + common.chars().count());
    let shown = |label: &str, bytes: &[u8]| {
        let rest = bytes.get(at..).unwrap_or_default();
        let shown = rest.get(..AFTER).unwrap_or(rest);
        let tail = match rest.len() - shown.len() {
            0 => String::new(),
            more => format!("… and {more} bytes more"),
        };
        format!("{label}{lead}{common}{}{tail}", escape(shown))
    };
    if received.is_empty() {
        let expected = shown("expected  ", expected);
        return vec![expected, "received  nothing".to_owned()];
    }
    vec![
        shown("expected  ", expected),
        shown("received  ", received),
        format!(
            "          {mark}^ byte {}",
            first_difference(expected, received) + 1
        ),
    ]
}

/// The bytes as a string in quotes, cut after the first few.
pub fn quote(bytes: &[u8]) -> String {
    let shown = bytes.get(..AFTER).unwrap_or(bytes);
    match bytes.len() - shown.len() {
        0 => format!("\"{}\"", escape(shown)),
        more => format!("\"{}\"… and {more} bytes more", escape(shown)),
    }
}

fn is_start(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_none_or(|byte| byte & 0xc0 != 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_below_the_first_difference() {
        let shown = lines(b"3: three\n", b"3: thre\n");
        assert_eq!(
            shown,
            [
                "expected  3: three\\n",
                "received  3: thre\\n",
                "                 ^ byte 8"
            ]
        );
        let shown = lines("Grüße".as_bytes(), "Grüsse".as_bytes());
        assert_eq!(shown[2], "             ^ byte 5");
    }

    #[test]
    fn a_long_text_is_shown_around_the_difference() {
        let mut received = vec![b'a'; 1000];
        received[500] = b'b';
        let shown = lines(&[b'a'; 1000], &received);
        assert_eq!(
            shown[1],
            format!(
                "received  …{}b{}… and 460 bytes more",
                "a".repeat(24),
                "a".repeat(39)
            )
        );
        assert_eq!(shown[2].find('^'), Some(10 + 1 + 24));
    }

    #[test]
    fn what_ends_early_differs_at_its_end() {
        assert_eq!(lines(b"abc", b"ab")[2], "            ^ byte 3");
        assert_eq!(lines(b"abc", b"")[1..], ["received  nothing"]);
    }
}
