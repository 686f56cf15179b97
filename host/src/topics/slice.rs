//! The connections that get a message, some at a time, so that nobody holds a thread, or
//! the lock of the index, while it goes to many.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, btree_map};

use super::Subscriber;

/// Connections in one slice, and messages that are put into mailboxes at once: about 50 µs.
pub const SLICE: usize = 256;
/// Of one pattern, by the id of their connection.
pub type Subscribers = BTreeMap<u64, Subscriber>;

/// Some of the connections that get a message: [`SLICE`] at most are looked at at once,
/// so that others run between two slices.
#[derive(Default)]
pub struct Slice {
    pub subscribers: Vec<Subscriber>,
    /// There are more, from this id on.
    pub next: Option<u64>,
    /// Nodes of the patterns' trie that were visited to find them.
    pub visited: usize,
    /// More patterns match than are looked at.
    pub is_cut: bool,
}

impl Slice {
    pub fn of<'a>(mut all: impl Iterator<Item = &'a Subscriber>, most: usize) -> Self {
        let subscribers: Vec<_> = all.by_ref().take(most).cloned().collect();
        let next = all.next().map(|subscriber| subscriber.mailbox.connection());
        Slice {
            subscribers,
            next,
            visited: 0,
            is_cut: false,
        }
    }
}

/// The subscribers of several patterns by id, each connection once: of its subscriptions
/// the first.
pub struct Merged<'a> {
    /// The next of each pattern.
    heap: BinaryHeap<Reverse<(u64, u32, usize)>>,
    rest: Vec<btree_map::Range<'a, u64, Subscriber>>,
    /// The next of each pattern, by its place in `rest`.
    heads: Vec<Option<&'a Subscriber>>,
}

impl<'a> Merged<'a> {
    pub fn new(patterns: impl Iterator<Item = &'a Subscribers>, from: u64) -> Self {
        let rest: Vec<_> = patterns.map(|it| it.range(from..)).collect();
        let mut merged = Merged {
            heap: BinaryHeap::with_capacity(rest.len()),
            heads: vec![None; rest.len()],
            rest,
        };
        for place in 0..merged.rest.len() {
            merged.advance(place);
        }
        merged
    }

    fn advance(&mut self, place: usize) {
        let next = self.rest.get_mut(place).and_then(Iterator::next);
        if let Some((connection, subscriber)) = next {
            let head = (*connection, subscriber.number, place);
            self.heap.push(Reverse(head));
        }
        if let Some(head) = self.heads.get_mut(place) {
            *head = next.map(|(_, subscriber)| subscriber);
        }
    }
}

impl<'a> Iterator for Merged<'a> {
    type Item = &'a Subscriber;

    fn next(&mut self) -> Option<&'a Subscriber> {
        let Reverse((connection, _, place)) = self.heap.pop()?;
        let first = self.heads.get(place).copied().flatten();
        self.advance(place);
        // The connection's other subscriptions.
        while let Some(Reverse((same, _, place))) = self.heap.peek().copied()
            && same == connection
        {
            self.heap.pop();
            self.advance(place);
        }
        first
    }
}
