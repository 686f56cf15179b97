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
use super::slice::{Merged, SLICE, Slice, Subscribers};

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
    size: Size,
}

/// How much there is in an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Topics and patterns with subscribers.
    pub topics: usize,
    pub subscriptions: usize,
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
    fn insert(&mut self, subscriber: Subscriber, size: &mut Size) -> bool {
        let is_first = self.subscribers.is_empty();
        let connection = subscriber.mailbox.connection();
        let before = self.subscribers.insert(connection, subscriber);
        size.subscriptions += usize::from(before.is_none());
        size.topics += usize::from(is_first);
        is_first
    }

    /// Returns whether it was the last.
    fn remove(&mut self, connection: u64, size: &mut Size) -> bool {
        if self.subscribers.remove(&connection).is_none() {
            return false;
        }
        let was_last = self.subscribers.is_empty();
        size.subscriptions -= 1;
        size.topics -= usize::from(was_last);
        was_last
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
        let size = &mut self.size;
        if is_exact(pattern) {
            return match self.exact.get_mut(pattern) {
                Some(entry) => entry.insert(subscriber, size),
                None => self
                    .exact
                    .entry(pattern.into())
                    .or_default()
                    .insert(subscriber, size),
            };
        }
        let mut node = &mut self.patterns;
        for token in pattern.split('.') {
            node = node.children.entry(token.into()).or_default();
        }
        node.entry.insert(subscriber, size)
    }

    /// Returns whether the pattern has no subscriber any more, but had one.
    pub fn remove(&mut self, pattern: &str, connection: u64) -> bool {
        let size = &mut self.size;
        if !is_exact(pattern) {
            return self.patterns.remove(pattern.split('.'), connection, size);
        }
        let entry = self.exact.get_mut(pattern);
        let was_last = entry.is_some_and(|entry| entry.remove(connection, size));
        if was_last {
            self.exact.remove(pattern);
            shrink(&mut self.exact);
        }
        was_last
    }

    /// The next connections that have subscribed to what matches a topic: each once, by
    /// id, from this one on. So many messages are published under it; they are counted
    /// with the first connections, from 0 on.
    pub fn matching(&self, topic: &str, from: u64, messages: u64) -> Slice {
        let (entries, visited) = self.entries(topic);
        if from == 0 {
            for entry in &entries {
                entry.messages.fetch_add(messages, Ordering::Relaxed);
            }
        }
        let mut slice = match entries[..] {
            [entry] => Slice::of(entry.subscribers.range(from..).map(|(_, it)| it), SLICE),
            _ => Slice::of(Merged::new(subscribers(&entries), from), SLICE),
        };
        slice.visited = visited;
        slice.is_cut = visited == MAX_VISITED;
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
        let (entries, visited) = self.entries(topic);
        let (of_pattern, others): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| std::ptr::eq(*entry, own));
        if of_pattern.is_empty() || own.subscribers.is_empty() {
            return None;
        }
        if from == 0 {
            own.messages.fetch_add(1, Ordering::Relaxed);
        }
        // Each of them may be looked up under all the others.
        let most = (MAX_VISITED / (others.len() + 1)).clamp(1, SLICE);
        let mut slice = Slice::of(own.subscribers.range(from..).map(|(_, it)| it), most);
        slice.subscribers.retain(|subscriber| {
            let connection = subscriber.mailbox.connection();
            let mut others = others
                .iter()
                .filter_map(|it| it.subscribers.get(&connection));
            others.all(|other| other.number > subscriber.number)
        });
        slice.visited = visited;
        slice.is_cut = visited == MAX_VISITED;
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

    /// Of the patterns that match, and how many nodes were visited: [`MAX_VISITED`] of them
    /// may not have been all.
    fn entries(&self, topic: &str) -> (Vec<&Entry>, usize) {
        let mut entries = Vec::new();
        let mut left = MAX_VISITED;
        entries.extend(self.exact.get(topic));
        if !self.patterns.children.is_empty() {
            self.patterns.find(topic, &mut entries, &mut left);
        }
        (entries, MAX_VISITED - left)
    }

    pub fn size(&self) -> Size {
        self.size
    }

    /// Patterns that have subscribers, in no order; if there are more, any so many of them.
    pub fn list(&self, at_most: usize) -> Vec<TopicUse> {
        let exact = self.exact.iter().take(at_most);
        let mut all: Vec<_> = exact
            .filter_map(|(topic, entry)| entry.list(topic))
            .collect();
        self.patterns.list(&mut String::new(), at_most, &mut all);
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
    fn remove<'a>(
        &mut self,
        mut tokens: impl Iterator<Item = &'a str>,
        connection: u64,
        size: &mut Size,
    ) -> bool {
        let Some(token) = tokens.next() else {
            return self.entry.remove(connection, size);
        };
        let Some(node) = self.children.get_mut(token) else {
            return false;
        };
        let was_last = node.remove(tokens, connection, size);
        if node.children.is_empty() && node.entry.subscribers.is_empty() {
            self.children.remove(token);
            shrink(&mut self.children);
        }
        was_last
    }

    fn list(&self, pattern: &mut String, at_most: usize, all: &mut Vec<TopicUse>) {
        if all.len() >= at_most {
            return;
        }
        all.extend(self.entry.list(pattern));
        let length = pattern.len();
        for (token, node) in &self.children {
            if length > 0 {
                pattern.push('.');
            }
            pattern.push_str(token);
            node.list(pattern, at_most, all);
            pattern.truncate(length);
        }
    }
}

fn subscribers<'a>(entries: &[&'a Entry]) -> impl Iterator<Item = &'a Subscribers> {
    entries.iter().map(|entry| &entry.subscribers)
}

/// A table keeps the room for all that it ever had: whoever subscribes and unsubscribes
/// would fill the memory with it.
fn shrink<V>(table: &mut HashMap<Box<str>, V>) {
    if table.capacity() > 8 && table.len() < table.capacity() / 4 {
        table.shrink_to(table.len() * 2);
    }
}

/// Whether a pattern matches one topic only.
pub fn is_exact(pattern: &str) -> bool {
    !pattern.contains(['*', '>'])
}
