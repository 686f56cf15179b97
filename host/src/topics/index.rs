//! Which subscribers a topic has. Exact topics are looked up in a hash map; patterns are
//! in a trie with a node for each token.
//!
//! Matching visits only nodes that a subscriber has made, at most three for each token
//! and node above; what it costs is bounded by how many subscriptions there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hotsocket_sandbox::{Delivery, WhenFull};

use super::Mailbox;

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
    subscribers: BTreeMap<u64, Subscriber>,
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

    /// Each connection that has subscribed to what matches a topic, once, but for this
    /// one, by id. So many messages are published under it.
    pub fn matching(&self, topic: &str, except: u64, messages: u64) -> Vec<Subscriber> {
        let entries = self.entries(topic);
        let mut found = Vec::with_capacity(entries.iter().map(|it| it.subscribers.len()).sum());
        for entry in &entries {
            entry.messages.fetch_add(messages, Ordering::Relaxed);
            let others = entry.subscribers.range(..except);
            let others = others.chain(entry.subscribers.range(except.saturating_add(1)..));
            found.extend(others.map(|(_, subscriber)| subscriber.clone()));
        }
        if entries.len() > 1 {
            let key = |subscriber: &Subscriber| subscriber.mailbox.connection();
            found.sort_unstable_by_key(|subscriber| (key(subscriber), subscriber.number));
            found.dedup_by_key(|subscriber| key(subscriber));
        }
        found
    }

    /// The connections that get a message of this topic because of this pattern: those
    /// that have subscribed to it and, before, to no other that matches. So each
    /// connection is found under one of the patterns that match. `None` if the pattern
    /// does not match, or nobody has subscribed to it.
    pub fn matching_first(&self, topic: &str, pattern: &str) -> Option<Vec<Subscriber>> {
        let own = match is_exact(pattern) {
            true => self.exact.get(pattern),
            false => self.patterns.entry(pattern.split('.')),
        }?;
        let (of_pattern, others): (Vec<_>, Vec<_>) = self
            .entries(topic)
            .into_iter()
            .partition(|entry| std::ptr::eq(*entry, own));
        if of_pattern.is_empty() || own.subscribers.is_empty() {
            return None;
        }
        own.messages.fetch_add(1, Ordering::Relaxed);
        let is_first = |(connection, subscriber): &(&u64, &Subscriber)| {
            let mut others = others
                .iter()
                .filter_map(|it| it.subscribers.get(connection));
            others.all(|other| other.number > subscriber.number)
        };
        let first = own.subscribers.iter().filter(is_first);
        Some(first.map(|(_, subscriber)| subscriber.clone()).collect())
    }

    /// How many connections have subscribed to what matches a topic.
    pub fn count(&self, topic: &str) -> usize {
        match &self.entries(topic)[..] {
            [] => 0,
            [entry] => entry.subscribers.len(),
            several => {
                let ids = several.iter().flat_map(|entry| entry.subscribers.keys());
                ids.collect::<BTreeSet<_>>().len()
            }
        }
    }

    fn entries(&self, topic: &str) -> Vec<&Entry> {
        let mut entries = Vec::new();
        entries.extend(self.exact.get(topic));
        if !self.patterns.children.is_empty() {
            self.patterns.find(topic, &mut entries);
        }
        entries
    }

    /// All patterns that have subscribers, in no order.
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
    fn find<'a>(&'a self, topic: &str, found: &mut Vec<&'a Entry>) {
        let (token, rest) = match topic.split_once('.') {
            Some((token, rest)) => (token, Some(rest)),
            None => (topic, None),
        };
        if let Some(node) = self.children.get(">") {
            found.push(&node.entry);
        }
        for token in [token, "*"] {
            match (self.children.get(token), rest) {
                (Some(node), Some(rest)) => node.find(rest, found),
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

/// Whether a pattern matches one topic only.
fn is_exact(pattern: &str) -> bool {
    !pattern.contains(['*', '>'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subscriber(connection: u64, number: u32) -> Subscriber {
        Subscriber {
            mailbox: Mailbox::for_tests(connection),
            delivery: Delivery::Event,
            when_full: WhenFull::Close,
            number,
        }
    }

    /// As NATS documents it, token by token.
    fn matches(pattern: &str, topic: &str) -> bool {
        let (mut pattern, mut topic) = (pattern.split('.'), topic.split('.'));
        loop {
            match (pattern.next(), topic.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(wanted), Some(token)) if wanted == token => {}
                _ => return false,
            }
        }
    }

    fn token() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["a", "b", "*"])
    }

    prop_compose! {
        fn pattern()(tokens in prop::collection::vec(token(), 1..4), rest in any::<bool>()) -> String {
            let pattern = tokens.join(".");
            if rest { format!("{pattern}.>") } else { pattern }
        }
    }

    proptest! {
        #[test]
        fn finds_what_matches_and_forgets_all(
            subscriptions in prop::collection::vec((pattern(), 1_u64..5), 0..20),
            topic in prop::collection::vec(prop::sample::select(vec!["a", "b"]), 1..5),
            except in 0_u64..5,
        ) {
            let topic = topic.join(".");
            let mut index = Index::default();
            let mut first = BTreeSet::new();
            for (number, (pattern, connection)) in subscriptions.iter().enumerate() {
                let is_first = index.insert(pattern, subscriber(*connection, number as u32));
                prop_assert_eq!(is_first, first.insert(pattern));
            }
            let found = index.matching(&topic, except, 1);
            let found: Vec<_> = found.iter().map(|it| it.mailbox.connection()).collect();
            let mut expected: Vec<_> = subscriptions
                .iter()
                .filter(|(pattern, _)| matches(pattern, &topic))
                .map(|(_, connection)| *connection)
                .filter(|connection| *connection != except)
                .collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(found, expected);
            // Each connection is found under one of the patterns, once.
            let patterns: BTreeSet<_> = subscriptions.iter().map(|(pattern, _)| pattern).collect();
            let mut by_pattern = Vec::new();
            for pattern in &patterns {
                let found = index.matching_first(&topic, pattern);
                prop_assert_eq!(found.is_some(), matches(pattern, &topic));
                let found = found.unwrap_or_default();
                by_pattern.extend(found.iter().map(|it| it.mailbox.connection()));
            }
            by_pattern.sort_unstable();
            let all = index.matching(&topic, 0, 1);
            let all: Vec<_> = all.iter().map(|it| it.mailbox.connection()).collect();
            prop_assert_eq!(by_pattern, all);
            let mut last = 0;
            for (pattern, connection) in &subscriptions {
                last += usize::from(index.remove(pattern, *connection));
            }
            prop_assert_eq!(last, patterns.len());
            prop_assert!(index.exact.is_empty() && index.patterns.children.is_empty());
        }
    }

    #[test]
    fn the_first_of_several_subscriptions_counts() {
        let mut index = Index::default();
        let direct = Subscriber {
            delivery: Delivery::Direct,
            ..subscriber(1, 0)
        };
        index.insert("a.*", direct);
        index.insert("a.b", subscriber(1, 1));
        let found = index.matching("a.b", 0, 1);
        assert_eq!(found.len(), 1);
        assert!(found.iter().all(|it| it.delivery == Delivery::Direct));
        let listed: Vec<_> = index.list().into_iter().map(|it| it.pattern).collect();
        assert_eq!(listed.len(), 2, "{listed:?}");
    }
}
