//! Times as people type them: `500ms`, `30s`, `5m`, `1h`, or `30` (seconds).

use std::time::Duration;

/// The longest time that may be configured: ten years. Adding much longer ones
/// to an [`Instant`](std::time::Instant) overflows, which panics.
pub const MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Parse a time of at most [`MAX`].
///
/// # Errors
/// When it isn't one; the message shows examples.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| c != '.' && !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{text:?} is not a time: use 500ms, 30s, 5m or 1h")),
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * scale).ok())
        .filter(|duration| *duration <= MAX)
        .ok_or_else(|| format!("{text:?} is not a time: use 500ms, 30s, 5m or 1h"))
}

/// The shortest text that [`parse`] reads back, to the millisecond.
pub fn show(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0s".to_owned(),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1000) => format!("{}s", ms / 1000),
        _ => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_type() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("30", 30_000),
            ("1.5s", 1500),
            ("5m", 300_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "s",
            "1d",
            "-1s",
            "1e3",
            "1.2.3s",
            "99999999999999999999h",
            "100000000h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shows_what_it_reads() {
        for text in ["0s", "500ms", "30s", "5m", "1h", "90s"] {
            assert_eq!(parse(text).map(show), Ok(text.to_owned()));
        }
    }
}
