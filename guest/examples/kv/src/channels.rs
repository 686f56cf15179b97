//! Channels and patterns of channels, over topics.
//!
//! A channel may have any bytes, a token of a topic may not. So `news.tech` is the topic
//! `c.news.tech`, and what a token may not have is written as `%` and two hexadecimal
//! digits; an empty token is `%`. A pattern is subscribed to by the tokens that it begins
//! with, and what comes is compared with it.

use std::fmt::Write;

use hotsocket_guest::topics;

use crate::commands::Failure;
use crate::glob;
use crate::reply::Out;

/// Before each topic, so that others of the server are no channels.
const ROOT: &str = "c";
/// What the channels and patterns of a client may count as, at the host: less than
/// `--max-subscriptions`, beyond which it closes the connection.
const MAX_WEIGHT: usize = 100;
/// The longest name of a channel or pattern, in bytes: as long as a topic may be. The names
/// of all that a client may have fit into a snapshot beside half of the longest command.
const MAX_NAME: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Channel,
    Pattern,
}

/// What a client has subscribed to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Channels {
    pub channels: Vec<Vec<u8>>,
    pub patterns: Vec<Vec<u8>>,
}

impl Channels {
    pub fn count(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// What all of them count as at the host, at most: several may share a topic.
    fn weight(&self) -> usize {
        let channels = self.channels.iter().map(|name| (Kind::Channel, name));
        let patterns = self.patterns.iter().map(|name| (Kind::Pattern, name));
        let topics = channels
            .chain(patterns)
            .map(|(kind, name)| topic_of(kind, name));
        topics.map(|topic| weight_of(&topic)).sum()
    }

    fn of(&mut self, kind: Kind) -> &mut Vec<Vec<u8>> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
        }
    }

    pub fn subscribe<'a>(
        &mut self,
        kind: Kind,
        names: impl Iterator<Item = &'a [u8]>,
        out: &mut Out,
    ) {
        // Only for names that are new, of which there are few.
        let mut weight = None;
        for name in names {
            if !self.of(kind).iter().any(|known| known == name) {
                if name.len() > MAX_NAME {
                    out.error("ERR a channel or pattern has at most 256 bytes");
                    continue;
                }
                let topic = topic_of(kind, name);
                let before = weight.unwrap_or_else(|| self.weight());
                let with_it = before + weight_of(&topic);
                weight = Some(before);
                if with_it > MAX_WEIGHT {
                    out.error(
                        "ERR a client may have 100 subscriptions; \
                         a pattern of many parts counts as several",
                    );
                    continue;
                }
                if let Err(error) = topics::subscribe(&topic) {
                    out.error(&format!("ERR {error}"));
                    continue;
                }
                weight = Some(with_it);
                self.of(kind).push(name.to_owned());
            }
            self.confirm(["subscribe", "psubscribe"], kind, Some(name), out);
        }
    }

    /// Of all, if none is named.
    pub fn unsubscribe<'a>(
        &mut self,
        kind: Kind,
        names: impl ExactSizeIterator<Item = &'a [u8]>,
        out: &mut Out,
    ) {
        let names: Vec<Vec<u8>> = match names.len() {
            0 => self.of(kind).clone(),
            _ => names.map(<[u8]>::to_vec).collect(),
        };
        let words = ["unsubscribe", "punsubscribe"];
        for name in &names {
            let known = self.of(kind).iter().position(|known| known == name);
            if let Some(at) = known {
                self.of(kind).swap_remove(at);
                self.leave(kind, name);
            }
            self.confirm(words, kind, Some(name), out);
        }
        if names.is_empty() {
            self.confirm(words, kind, None, out);
        }
    }

    /// Several patterns may share what they have subscribed to.
    fn leave(&self, kind: Kind, name: &[u8]) {
        let topic = topic_of(kind, name);
        let mut patterns = self.patterns.iter();
        let mut channels = self.channels.iter();
        let is_shared = patterns.any(|other| topic_of(Kind::Pattern, other) == topic)
            || channels.any(|other| topic_of(Kind::Channel, other) == topic);
        if !is_shared {
            topics::unsubscribe(&topic);
        }
    }

    fn confirm(&self, words: [&str; 2], kind: Kind, name: Option<&[u8]>, out: &mut Out) {
        out.push(3);
        out.bulk(words[kind as usize].as_bytes());
        out.bulk_or_null(name);
        out.integer(self.count() as i64);
    }

    pub fn publish(&self, channel: &[u8], bytes: &[u8], out: &mut Out) -> Result<(), Failure> {
        let topic = topic_of(Kind::Channel, channel);
        match topics::publish(&topic, bytes) {
            Ok(()) => {
                out.integer(topics::subscribers(&topic) as i64);
                // A connection does not get what it publishes itself.
                self.deliver(&topic, bytes, out);
                Ok(())
            }
            Err(topics::TopicError::TooLarge) => {
                Err(Failure::Other("ERR a message has at most 64 KiB"))
            }
            Err(topics::TopicError::Invalid) => Err(Failure::Other("ERR the channel is too long")),
            Err(_) => Err(Failure::Other("ERR too many messages at once")),
        }
    }

    /// Write a message, once for the channel and for each pattern that it matches.
    pub fn deliver(&self, topic: &str, bytes: &[u8], out: &mut Out) {
        let Some(channel) = channel_of(topic) else {
            return;
        };
        if self.channels.contains(&channel) {
            out.push(3);
            for part in [b"message", &channel[..], bytes] {
                out.bulk(part);
            }
        }
        for pattern in &self.patterns {
            if glob::matches(pattern, &channel) {
                out.push(4);
                for part in [b"pmessage", &pattern[..], &channel[..], bytes] {
                    out.bulk(part);
                }
            }
        }
    }
}

/// What is published to for a channel, or subscribed to for a pattern.
fn topic_of(kind: Kind, name: &[u8]) -> String {
    let mut topic = ROOT.to_owned();
    let is_special =
        |byte: &u8| kind == Kind::Pattern && matches!(byte, b'*' | b'?' | b'[' | b'\\');
    let end = name.iter().position(is_special);
    let tokens = name[..end.unwrap_or(name.len())].split(|byte| *byte == b'.');
    let count = tokens.clone().count();
    // The last token of a pattern may be a part of one.
    let whole = if end.is_some() { count - 1 } else { count };
    for token in tokens.take(whole) {
        topic.push('.');
        write_token(token, &mut topic);
    }
    if end.is_some() {
        topic.push_str(".>");
    }
    topic
}

/// What the host counts a subscription as: one to many topics once for every 16 of its
/// tokens.
fn weight_of(topic: &str) -> usize {
    match topic.ends_with('>') {
        true => topic.split('.').count().div_ceil(16),
        false => 1,
    }
}

fn write_token(token: &[u8], topic: &mut String) {
    if token.is_empty() {
        topic.push('%');
    }
    for byte in token {
        match byte {
            b'%' | b'*' | b'>' => drop(write!(topic, "%{byte:02x}")),
            b'!'..=b'~' => topic.push(char::from(*byte)),
            _ => drop(write!(topic, "%{byte:02x}")),
        }
    }
}

fn channel_of(topic: &str) -> Option<Vec<u8>> {
    let tokens = topic.strip_prefix(ROOT)?.strip_prefix('.')?;
    let mut channel = Vec::with_capacity(tokens.len());
    for (index, token) in tokens.split('.').enumerate() {
        if index > 0 {
            channel.push(b'.');
        }
        let mut bytes = token.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'%' if token.len() == 1 => {}
                b'%' => {
                    let mut digit = || char::from(bytes.next()?).to_digit(16);
                    channel.push((16 * digit()? + digit()?) as u8);
                }
                byte => channel.push(byte),
            }
        }
    }
    Some(channel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_topics_and_back() {
        let names: [&[u8]; 8] = [
            b"a",
            b"news.tech",
            b"",
            b".",
            b"a..b.",
            b"% *>",
            "é\n".as_bytes(),
            &[0, 255],
        ];
        for name in names {
            let topic = topic_of(Kind::Channel, name);
            assert_eq!(channel_of(&topic).as_deref(), Some(name), "{topic}");
            assert!(!topic.split('.').any(str::is_empty), "{topic}");
        }
        assert_eq!(topic_of(Kind::Channel, b"a..b*"), "c.a.%.b%2a");
    }

    #[test]
    fn patterns_are_subscribed_to_by_their_whole_tokens() {
        for (pattern, topic) in [
            ("*", "c.>"),
            ("news*", "c.>"),
            ("news.*", "c.news.>"),
            ("news.t?ch.*", "c.news.>"),
            ("a.b.c", "c.a.b.c"),
        ] {
            assert_eq!(topic_of(Kind::Pattern, pattern.as_bytes()), topic);
        }
    }
}
