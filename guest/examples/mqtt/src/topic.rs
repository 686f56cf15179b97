//! MQTT's topics and filters, and the topics of hotsocket that stand for them.
//!
//! `sensors/hall 1/temperature` is `sensors.hall%201.temperature`: a level is a token, and
//! what a token may not have is written as `%` and two digits for each byte. An empty
//! level is `%` alone. `+` is `*`, and `#` is `>`.

use std::fmt::Write as _;

/// The longest that a topic may be, as tokens. With what goes before it, it fits into the
/// 256 bytes of a topic of hotsocket.
pub const MAX_TOKENS: usize = 240;

/// Whether a message can be published under it.
pub fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
}

/// Whether it can be subscribed to: a wildcard is a whole level, `#` the last one.
pub fn is_filter(filter: &str) -> bool {
    let count = filter.split('/').count();
    let fits = |(index, level): (usize, &str)| match level {
        "+" => true,
        "#" => index + 1 == count,
        _ => !level.contains(['+', '#', '\0']),
    };
    !filter.is_empty() && filter.split('/').enumerate().all(fits)
}

/// Whether a filter matches a topic (3.1.1, section 4.7). Topics that begin with `$` are
/// matched by no wildcard in the first level.
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            // Also the level above it.
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

/// The tokens of a topic; `None` if they are too long.
pub fn tokens(topic: &str) -> Option<String> {
    let mut tokens = String::with_capacity(topic.len());
    for (index, level) in topic.split('/').enumerate() {
        if index > 0 {
            tokens.push('.');
        }
        encode(level, &mut tokens);
    }
    (tokens.len() <= MAX_TOKENS).then_some(tokens)
}

/// A text as one token.
pub fn encode(level: &str, token: &mut String) {
    if level.is_empty() {
        token.push('%');
    }
    for c in level.chars() {
        if c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>' | '%') {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string does not fail.
                let _ = write!(token, "%{byte:02X}");
            }
        } else {
            token.push(c);
        }
    }
}

/// The topic that these tokens stand for, if they do.
pub fn from_tokens(tokens: &str) -> Option<String> {
    let mut topic = Vec::with_capacity(tokens.len());
    for (index, token) in tokens.split('.').enumerate() {
        if index > 0 {
            topic.push(b'/');
        }
        if token == "%" {
            continue;
        }
        let mut bytes = token.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                topic.push(byte);
                continue;
            }
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            topic.push(u8::try_from(high << 4 | low).ok()?);
        }
    }
    String::from_utf8(topic)
        .ok()
        .filter(|topic| is_topic(topic))
}

/// The patterns that match what a filter does, and perhaps more ([`matches()`] decides);
/// `None` if they are too long. `a/#` also matches `a`.
pub fn patterns(filter: &str) -> Option<Vec<String>> {
    let wild = |level: &str, token: &mut String| match level {
        "+" => token.push('*'),
        "#" => token.push('>'),
        _ => encode(level, token),
    };
    let mut pattern = String::new();
    let mut patterns = Vec::new();
    for (index, level) in filter.split('/').enumerate() {
        if level == "#" && index > 0 {
            patterns.push(pattern.clone());
        }
        if index > 0 {
            pattern.push('.');
        }
        wild(level, &mut pattern);
    }
    patterns.push(pattern);
    let fits = |pattern: &String| pattern.len() <= MAX_TOKENS;
    patterns.iter().all(fits).then_some(patterns)
}

/// What the host counts the subscriptions to a filter as: a pattern once for every 16 of
/// its tokens, of which two stand before each ([`crate::messages`]).
pub fn weight(filter: &str) -> usize {
    let patterns = patterns(filter).unwrap_or_default();
    let tokens = patterns.iter().map(|it| 2 + it.split('.').count());
    tokens.map(|count| count.div_ceil(16)).sum()
}

/// What the tokens of all topics begin with that a filter matches.
pub fn common_start(filter: &str) -> String {
    let levels = filter
        .split('/')
        .take_while(|level| !matches!(*level, "+" | "#"));
    let mut start = String::new();
    for (index, level) in levels.enumerate() {
        if index > 0 {
            start.push('.');
        }
        encode(level, &mut start);
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("+", "/a", false),
            ("+/+", "/a", true),
            ("/+", "/a", true),
            ("#", "a/b/c", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("+/a/#", "x/a", true),
            ("#", "$SYS/a", false),
            ("+/a", "$SYS/a", false),
            ("$SYS/#", "$SYS/a", true),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn topics_are_tokens_and_back() {
        for (topic, expected) in [
            ("a/b", "a.b"),
            ("/a//", "%.a.%.%"),
            ("hall 1/50%", "hall%201.50%25"),
            ("a.b/c>*", "a%2Eb.c%3E%2A"),
            ("größe/\u{a0}", "größe.%C2%A0"),
        ] {
            assert_eq!(tokens(topic).as_deref(), Some(expected));
            assert_eq!(from_tokens(expected).as_deref(), Some(topic));
        }
        assert_eq!(tokens(&" ".repeat(81)), None);
        for bad in ["a%", "a%2", "%zz", "%FF", "a+", "%23"] {
            assert_eq!(from_tokens(bad), None, "{bad}");
        }
    }

    #[test]
    fn filters_are_patterns() {
        let patterns = |filter| patterns(filter).expect("short");
        assert_eq!(patterns("a/+/c"), ["a.*.c"]);
        assert_eq!(patterns("a/#"), ["a", "a.>"]);
        assert_eq!(patterns("#"), [">"]);
        assert_eq!(patterns("/+"), ["%.*"]);
        for (filter, expected) in [
            ("a", 1),
            ("#", 1),
            ("a/#", 2),
            (&["a"; 14].join("/"), 1),
            (&["a"; 15].join("/"), 2),
            (&(["a"; 14].join("/") + "/#"), 3),
            (&" ".repeat(100), 0),
        ] {
            assert_eq!(weight(filter), expected, "{filter}");
        }
        assert_eq!(common_start("a b/c/+/d"), "a%20b.c");
        assert_eq!(common_start("#"), "");
    }

    #[test]
    fn wildcards_are_whole_levels() {
        for (filter, expected) in [
            ("a/+/b", true),
            ("#", true),
            ("a/#", true),
            ("", false),
            ("a+", false),
            ("a/#/b", false),
            ("a/b#", false),
            ("a\0", false),
        ] {
            assert_eq!(is_filter(filter), expected, "{filter}");
        }
        assert!(is_topic("/") && !is_topic("") && !is_topic("a/+") && !is_topic("#"));
    }
}
