//! What stands in for topics natively. What is a topic, and how much one event may ask
//! for, is as at the server (`wit/topics`).

use super::{Recorded, with};
use crate::topics::{Delivery, TopicError, WhenFull};

/// Bytes of a topic or pattern.
const MAX_TOPIC: usize = 256;
/// Bytes of a message.
const MAX_MESSAGE: usize = 64 << 10;
/// Bytes that one event may publish.
const MAX_PUBLISHED: usize = 1 << 20;
/// How often one event may ask for something.
const MAX_REQUESTS: usize = 4096;

/// What the event that runs has asked for.
#[derive(Default)]
pub(crate) struct Asked {
    requests: usize,
    published: usize,
}

pub(crate) fn publish(topic: &str, bytes: &[u8]) -> Result<(), TopicError> {
    check(topic, bytes)?;
    ask(bytes.len(), |recorded| {
        recorded.published.push((topic.to_owned(), bytes.to_vec()));
    })
}

pub(crate) fn set_will(topic: &str, bytes: Option<&[u8]>) -> Result<(), TopicError> {
    if let Some(bytes) = bytes {
        check(topic, bytes)?;
    }
    ask(bytes.map_or(0, <[u8]>::len), |recorded| {
        recorded.will = bytes.map(|bytes| (topic.to_owned(), bytes.to_vec()));
    })
}

pub(crate) fn subscribe(pattern: &str, _: Delivery, _: WhenFull) -> Result<(), TopicError> {
    if !is_pattern(pattern) {
        return Err(TopicError::Invalid);
    }
    ask(0, |recorded| {
        recorded.subscriptions.insert(pattern.to_owned());
    })
}

pub(crate) fn unsubscribe(pattern: &str) {
    // There is no result to say that it was too much.
    let _ = ask(0, |recorded| {
        recorded.subscriptions.remove(pattern);
    });
}

/// There is one connection.
pub(crate) fn subscribers(topic: &str) -> u64 {
    let is_mine = |recorded: &mut Recorded| {
        let mut patterns = recorded.subscriptions.iter();
        patterns.any(|pattern| matches(pattern, topic))
    };
    u64::from(is_topic(topic) && with(is_mine))
}

fn check(topic: &str, bytes: &[u8]) -> Result<(), TopicError> {
    match topic {
        _ if bytes.len() > MAX_MESSAGE => Err(TopicError::TooLarge),
        _ if !is_topic(topic) => Err(TopicError::Invalid),
        _ => Ok(()),
    }
}

fn ask(size: usize, carry_out: impl FnOnce(&mut Recorded)) -> Result<(), TopicError> {
    with(|recorded| {
        if recorded.saves {
            return Ok(());
        }
        let asked = &mut recorded.asked;
        if asked.requests >= MAX_REQUESTS || asked.published + size > MAX_PUBLISHED {
            return Err(TopicError::TooMuch);
        }
        asked.requests += 1;
        asked.published += size;
        carry_out(recorded);
        Ok(())
    })
}

fn is_topic(topic: &str) -> bool {
    topic.len() <= MAX_TOPIC && topic.split('.').all(is_literal)
}

fn is_pattern(pattern: &str) -> bool {
    let fits = |token: &str| token == "*" || is_literal(token);
    let (before, last) = match pattern.rsplit_once('.') {
        Some((before, last)) => (Some(before), last),
        None => (None, pattern),
    };
    pattern.len() <= MAX_TOPIC
        && (last == ">" || fits(last))
        && before.is_none_or(|before| before.split('.').all(fits))
}

fn is_literal(token: &str) -> bool {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || c == '*' || c == '>';
    !token.is_empty() && !token.contains(is_bad)
}

fn matches(pattern: &str, topic: &str) -> bool {
    let (mut patterns, mut tokens) = (pattern.split('.'), topic.split('.'));
    loop {
        match (patterns.next(), tokens.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (Some(pattern), Some(token)) if pattern == "*" || pattern == token => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::{publish, set_will, subscribe, subscribers};

    #[test]
    fn topics_and_patterns_are_those_of_the_server() {
        super::super::reset();
        let long = "a".repeat(257);
        for topic in ["", "a..b", "a b", "a.*", "a.>", "a\n", &long] {
            assert_eq!(publish(topic, ""), Err(TopicError::Invalid), "{topic}");
            assert_eq!(set_will(topic, ""), Err(TopicError::Invalid), "{topic}");
        }
        for pattern in ["", ">.a", "a.>.b", "a*", "a b", &long] {
            assert_eq!(subscribe(pattern), Err(TopicError::Invalid), "{pattern}");
        }
        assert_eq!(publish("a", [0; 65_537]), Err(TopicError::TooLarge));
        for pattern in ["a.*", "b.>", "c"] {
            assert_eq!(subscribe(pattern), Ok(()));
        }
        let count = |topics: [&str; 4]| topics.map(subscribers);
        assert_eq!(count(["a.x", "b.x", "b.x.y", "c"]), [1; 4]);
        assert_eq!(count(["a", "a.x.y", "b", "a.*"]), [0; 4]);
    }

    #[test]
    fn an_event_asks_for_no_more_than_at_the_server() {
        super::super::reset();
        for _ in 0..16 {
            assert_eq!(publish("a", [0; 65_536]), Ok(()));
        }
        assert_eq!(publish("a", "x"), Err(TopicError::TooMuch));
        super::super::begin_event();
        for _ in 0..4096 {
            assert_eq!(publish("a", "x"), Ok(()));
        }
        assert_eq!(subscribe("a"), Err(TopicError::TooMuch));
    }
}
