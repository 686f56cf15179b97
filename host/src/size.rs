//! Sizes as people type them: `64M`, `512K`, `1G`, or a number of bytes.

/// Parse a size.
///
/// # Errors
/// When it isn't one; the message shows examples.
pub fn parse(text: &str) -> Result<usize, String> {
    let (number, shift) = match text.trim_end_matches(['B', 'b']).trim_end_matches('i') {
        text if text.ends_with(['K', 'k']) => (text.get(..text.len() - 1), 10),
        text if text.ends_with(['M', 'm']) => (text.get(..text.len() - 1), 20),
        text if text.ends_with(['G', 'g']) => (text.get(..text.len() - 1), 30),
        text => (Some(text), 0),
    };
    number
        .and_then(|number| number.parse::<usize>().ok())
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| format!("{text:?} is not a size: use 64M, 512K, 1G or a number of bytes"))
}

/// The shortest text that [`parse`] reads back.
pub fn show(bytes: usize) -> String {
    for (unit, shift) in [('G', 30), ('M', 20), ('K', 10)] {
        if bytes > 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_type() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("4K", 4096),
            ("64M", 64 << 20),
            ("1GiB", 1 << 30),
            ("2kB", 2048),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "-1", "1.5M", "99999999999999999999", "1T"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shows_what_it_reads() {
        for text in ["0", "512", "1000", "4K", "64M", "1536K", "1G", "4096G"] {
            assert_eq!(parse(text).map(show), Ok(text.to_owned()));
        }
    }
}
