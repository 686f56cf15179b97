//! Sizes as people type them: `64M`, `512K`, `1G`, or a number of bytes.

/// # Errors
/// Says what it takes, when it isn't that.
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
        .ok_or_else(|| format!("{text:?} is no size: try 64M, 512K, 1G or a number of bytes"))
}

#[cfg(test)]
mod tests {
    use super::parse;

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
}
