//! Patterns as Redis has them: `*`, `?`, `[a-c]`, `[^a]`, and `\` before a character
//! that stands for itself.

/// The beginning of all that matches.
pub fn prefix(pattern: &str) -> String {
    let special = ['*', '?', '[', '\\'];
    let end = pattern.find(special).unwrap_or(pattern.len());
    pattern[..end].to_owned()
}

/// Whether the text matches. It takes as many steps as the pattern is long times the text,
/// at most.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on if what follows the last `*` does not fit.
    let mut again: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            again = Some((p + 1, t));
            p += 1;
            continue;
        }
        match one(&pattern[p..], text[t]) {
            Some(length) => {
                p += length;
                t += 1;
            }
            None => match again {
                Some((after, at)) => {
                    again = Some((after, at + 1));
                    (p, t) = (after, at + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How much of the pattern stands for this byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', rest @ ..] => set(rest, byte).map(|length| 1 + length),
        [literal, ..] => (*literal == byte).then_some(1),
    }
}

/// The same for what follows `[`.
fn set(pattern: &[u8], byte: u8) -> Option<usize> {
    let is_negated = pattern.first() == Some(&b'^');
    let mut at = usize::from(is_negated);
    let mut is_in = false;
    loop {
        match &pattern[at.min(pattern.len())..] {
            // One without its end goes to the end of the pattern.
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                is_in |= *escaped == byte;
                at += 2;
            }
            [from, b'-', to, ..] if *to != b']' => {
                let (least, most) = (*from.min(to), *from.max(to));
                is_in |= (least..=most).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                is_in |= *literal == byte;
                at += 1;
            }
        }
    }
    (is_in != is_negated).then_some(at.min(pattern.len()))
}
