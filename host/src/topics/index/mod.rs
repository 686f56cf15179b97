//! Which subscribers a topic has. Exact topics are looked up in a hash map; patterns are
//! in a trie with a node for each token.
//!
//! Matching visits only nodes that a subscriber has made: at most two for each node above,
//! so that no topic of eleven tokens or less is ever cut by [`MAX_VISITED`]. The
//! connections are found in slices ([`super::slice`]).

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hotsocket_sandbox::{Delivery, WhenFull};

use super::Mailbox;
use super::slice::{Merged, Slice, Subscribers};

/// Nodes visited for one message: less than half a millisecond.
const MAX_VISITED: usize = 4096;
/// Subscriptions of several patterns among which the connections are counted.
const MAX_COUNTED: usize = 10_000;

/// A connection that has subscribed to a pattern.
#[derive(Clone)]
pub struct Subscriber {
    pub mailbox: Arc<Mailbox>,
    pub delivery: Delivery,
    pub when_full: WhenFull,
    /// Counts up with the subscriptions of a connection: of several that match, the
    /// first counts.
    pub number: u32,
}

/// A pattern with subscribers.
#[derive(Clone, Debug)]
pub struct TopicUse {
    pub pattern: String,
    pub subscribers: usize,
    /// Messages that matched it since it has subscribers.
    pub messages: u64,
}

/// See the module's documentation.
#[derive(Default)]
pub struct Index {
    exact: HashMap<Box<str>, Entry>,
    patterns: Node,
}

/// The subscribers of one pattern, by the id of their connection.
#[derive(Default)]
struct Entry {
    subscribers: Subscribers,
    messages: AtomicU64,
}

#[derive(Default)]
struct Node {
    /// By token; `*` and `>` are tokens as well.
    children: HashMap<Box<str>, Node>,
    /// Of the pattern that ends here.
    entry: Entry,
}

impl Entry {
    /// Returns whether it is the first.
    fn insert(&mut self, subscriber: Subscriber) -> bool {
        let is_first = self.subscribers.is_empty();
        self.subscribers
            .insert(subscriber.mailbox.connection(), subscriber);
        is_first
    }

    /// Returns whether it was the last.
    fn remove(&mut self, connection: u64) -> bool {
        self.subscribers.remove(&connection).is_some() && self.subscribers.is_empty()
    }

    fn list(&self, pattern: &str) -> Option<TopicUse> {
        (!self.subscribers.is_empty()).then(|| TopicUse {
            pattern: pattern.to_owned(),
            subscribers: self.subscribers.len(),
            messages: self.messages.load(Ordering::Relaxed),
        })
    }
}

impl Index {
    /// Returns whether the pattern had no subscriber before.
    pub fn insert(&mut self, pattern: &str, subscriber: Subscriber) -> bool {
        if is_exact(pattern) {
            return match self.exact.get_mut(pattern) {
                Some(entry) => entry.insert(subscriber),
                None => self
                    .exact
                    .entry(pattern.into())
                    .or_default()
                    .insert(subscriber),
            };
        }
        let mut node = &mut self.patterns;
        for token in pattern.split('.') {
            node = node.children.entry(token.into()).or_default();
        }
        node.entry.insert(subscriber)
    }

    /// Returns whether the pattern has no subscriber any more, but had one.
    pub fn remove(&mut self, pattern: &str, connection: u64) -> bool {
        if !is_exact(pattern) {
            return self.patterns.remove(pattern.split('.'), connection);
        }
        let entry = self.exact.get_mut(pattern);
        let was_last = entry.is_some_and(|entry| entry.remove(connection));
        if was_last {
            self.exact.remove(pattern);
        }
        was_last
    }

    /// The next connections that have subscribed to what matches a topic: each once, by
    /// id, from this one on. So many messages are published under it; they are counted
    /// with the first connections, from 0 on.
    pub fn matching(&self, topic: &str, from: u64, messages: u64) -> Slice {
        let (entries, is_cut) = self.entries(topic);
        if from == 0 {
            for entry in &entries {
                entry.messages.fetch_add(messages, Ordering::Relaxed);
            }
        }
        let mut slice = match entries[..] {
            [entry] => Slice::of(entry.subscribers.range(from..).map(|(_, it)| it)),
            _ => Slice::of(Merged::new(subscribers(&entries), from)),
        };
        slice.is_cut = is_cut;
        slice
    }

    /// The next connections that get a message of this topic because of this pattern: those
    /// that have subscribed to it and, before, to no other that matches. So each
    /// connection is found under one of the patterns that match. `None` if the pattern
    /// does not match, or nobody has subscribed to it.
    pub fn matching_first(&self, topic: &str, pattern: &str, from: u64) -> Option<Slice> {
        let own = match is_exact(pattern) {
            true => self.exact.get(pattern),
            false => self.patterns.entry(pattern.split('.')),
        }?;
        let (entries, is_cut) = self.entries(topic);
        let (of_pattern, others): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| std::ptr::eq(*entry, own));
        if of_pattern.is_empty() || own.subscribers.is_empty() {
            return None;
        }
        if from == 0 {
            own.messages.fetch_add(1, Ordering::Relaxed);
        }
        let mut slice = Slice::of(own.subscribers.range(from..).map(|(_, it)| it));
        slice.subscribers.retain(|subscriber| {
            let connection = subscriber.mailbox.connection();
            let mut others = others
                .iter()
                .filter_map(|it| it.subscribers.get(&connection));
            others.all(|other| other.number > subscriber.number)
        });
        slice.is_cut = is_cut;
        Some(slice)
    }

    /// How many connections have subscribed to what matches a topic. Where that is done by
    /// very many subscriptions, a connection counts once for each of its own.
    pub fn count(&self, topic: &str) -> usize {
        let (entries, _) = self.entries(topic);
        let all = entries.iter().map(|entry| entry.subscribers.len()).sum();
        match entries.len() {
            0 | 1 => all,
            _ if all > MAX_COUNTED => all,
            _ => Merged::new(subscribers(&entries), 0).count(),
        }
    }

    /// Of the patterns that match, and whether there were too many to find all.
    fn entries(&self, topic: &str) -> (Vec<&Entry>, bool) {
        let mut entries = Vec::new();
        let mut left = MAX_VISITED;
        entries.extend(self.exact.get(topic));
        if !self.patterns.children.is_empty() {
            self.patterns.find(topic, &mut entries, &mut left);
        }
        (entries, left == 0)
    }

    /// All patterns that have subscribers, in no order.
    /// How many topics and patterns have subscribers, and how many those are together.
    pub fn size(&self) -> (usize, usize) {
        let mut entries = Vec::new();
        self.patterns.all(&mut entries);
        let counts = self.exact.values().chain(entries);
        let counts = counts.map(|entry| entry.subscribers.len());
        counts
            .filter(|count| *count > 0)
            .fold((0, 0), |(topics, all), count| (topics + 1, all + count))
    }

    pub fn list(&self) -> Vec<TopicUse> {
        let exact = self.exact.iter();
        let mut all: Vec<_> = exact
            .filter_map(|(topic, entry)| entry.list(topic))
            .collect();
        self.patterns.list(&mut String::new(), &mut all);
        all
    }
}

impl Node {
    /// Visits so many nodes at most.
    fn find<'a>(&'a self, topic: &str, found: &mut Vec<&'a Entry>, left: &mut usize) {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let (token, rest) = match topic.split_once('.') {
            Some((token, rest)) => (token, Some(rest)),
            None => (topic, None),
        };
        if let Some(node) = self.children.get(">") {
            found.push(&node.entry);
        }
        for token in [token, "*"] {
            match (self.children.get(token), rest) {
                (Some(node), Some(rest)) => node.find(rest, found, left),
                (Some(node), None) => found.push(&node.entry),
                (None, _) => {}
            }
        }
    }

    fn entry<'a>(&self, mut tokens: impl Iterator<Item = &'a str>) -> Option<&Entry> {
        let node = tokens.try_fold(self, |node, token| node.children.get(token))?;
        Some(&node.entry)
    }

    /// Forget a subscriber, and nodes that nobody needs any more. Returns whether it was
    /// the last of its pattern.
    fn remove<'a>(&mut self, mut tokens: impl Iterator<Item = &'a str>, connection: u64) -> bool {
        let Some(token) = tokens.next() else {
            return self.entry.remove(connection);
        };
        let Some(node) = self.children.get_mut(token) else {
            return false;
        };
        let was_last = node.remove(tokens, connection);
        if node.children.is_empty() && node.entry.subscribers.is_empty() {
            self.children.remove(token);
        }
        was_last
    }

    fn all<'a>(&'a self, entries: &mut Vec<&'a Entry>) {
        entries.push(&self.entry);
        for node in self.children.values() {
            node.all(entries);
        }
    }

    fn list(&self, pattern: &mut String, all: &mut Vec<TopicUse>) {
        all.extend(self.entry.list(pattern));
        let length = pattern.len();
        for (token, node) in &self.children {
            if length > 0 {
                pattern.push('.');
            }
            pattern.push_str(token);
            node.list(pattern, all);
            pattern.truncate(length);
        }
    }
}

fn subscribers<'a>(entries: &[&'a Entry]) -> impl Iterator<Item = &'a Subscribers> {
    entries.iter().map(|entry| &entry.subscribers)
}

/// Whether a pattern matches one topic only.
fn is_exact(pattern: &str) -> bool {
    !pattern.contains(['*', '>'])
}
