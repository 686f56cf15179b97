//! What the connections of a service say to each other: who has subscribed to what,
//! and how a message reaches them.
//!
//! Publishing puts one shared message into the [`Mailbox`] of each subscriber and wakes
//! its session, which does the rest in its own task (`session::topics`). So a publisher
//! waits for no subscriber, and a slow one delays no other. Nothing here calls a guest
//! or touches a socket.
//!
//! - [`index`]: exact topics in a hash map, patterns in a trie
//! - [`mod@slice`]: the connections that get a message, some at a time
//! - [`mailbox`]: what waits for one connection, and what happens when it is too much
//! - [`nats`]: the same over several nodes

mod index;
mod mailbox;
pub mod nats;
mod slice;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, OnceLock};

use hotsocket_sandbox::limit_counters::RateLimitedLog;
use hotsocket_sandbox::{CountSubscribers, Publication, let_others_run};
use parking_lot::RwLock;

pub use index::{Size, Subscriber, TopicUse, is_exact};
pub use mailbox::{Mail, Mailbox};

use crate::nats::NatsStatus;
use index::Index;
use mailbox::Dropped;
use nats::Nats;
use slice::{SLICE, Slice};

/// Locks by topic; those who publish under one topic take turns.
const TURNS: usize = 16;

/// Bytes under a topic, shared by all who get them.
#[derive(Debug)]
pub struct Message {
    pub topic: Arc<str>,
    /// The connection that has published it; 0 for none.
    pub sender: u64,
    pub bytes: Arc<[u8]>,
}

/// What publishing came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Connections that have subscribed, but for the sender.
    pub receivers: usize,
    /// Nodes of the patterns' trie that were visited to find them, which takes time also
    /// where there are none.
    pub visited: usize,
}

/// The topics of a service.
#[derive(Default)]
pub struct Topics {
    index: RwLock<Index>,
    /// Held while a message is put into mailboxes, so that all subscribers of a topic
    /// get its messages in the same order.
    turns: [tokio::sync::Mutex<()>; TURNS],
    hasher: RandomState,
    counters: Counters,
    /// Topics that more patterns match than are looked at.
    cuts: RateLimitedLog,
    /// Gets a copy of what connections publish, also what nobody has subscribed to.
    observer: OnceLock<SyncSender<Publication>>,
    /// Other nodes, with `--topics`.
    nats: OnceLock<Arc<Nats>>,
}

/// Totals since the start.
#[derive(Debug, Default)]
struct Counters {
    published: AtomicU64,
    delivered: AtomicU64,
    dropped: AtomicU64,
}

/// A copy of the totals: messages that were published, put into a mailbox, and dropped
/// because it, or the queue of a peer, was full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub published: u64,
    pub delivered: u64,
    pub dropped: u64,
}

impl Topics {
    /// A connection gets what is published under a pattern, from now on or, if it did
    /// already, in another way.
    pub fn subscribe(&self, pattern: &str, subscriber: Subscriber) {
        let mut index = self.index.write();
        if index.insert(pattern, subscriber) {
            self.note_interest(pattern, true);
        }
    }

    /// The connection with this id doesn't any more.
    pub fn unsubscribe(&self, pattern: &str, connection: u64) {
        let mut index = self.index.write();
        if index.remove(pattern, connection) {
            self.note_interest(pattern, false);
        }
    }

    /// Under the lock of the index, so that NATS gets them in the same order.
    fn note_interest(&self, pattern: &str, is_wanted: bool) {
        if let Some(nats) = self.nats.get() {
            nats.note_interest(pattern, is_wanted);
        }
    }

    /// From now on other nodes get what is published here. Once, before the first
    /// connection.
    pub fn connect(&self, nats: Arc<Nats>) {
        let _ = self.nats.set(nats);
    }

    /// Whether what is published goes to NATS as well.
    pub fn has_nats(&self) -> bool {
        self.nats.get().is_some()
    }

    pub fn nats_status(&self) -> Option<NatsStatus> {
        self.nats.get().map(|nats| nats.status())
    }

    /// Put messages into the mailboxes of all who have subscribed to a topic, but for the
    /// sender's, and hand them to other nodes.
    pub async fn publish(&self, topic: &str, messages: Vec<Box<[u8]>>, sender: u64) -> Published {
        let Some(turn) = self.turn(topic) else {
            return Published::default();
        };
        let _turn = turn.lock().await;
        let count = messages.len() as u64;
        self.counters.published.fetch_add(count, Ordering::Relaxed);
        if let Some(observer) = self.observer.get().filter(|_| sender > 0) {
            for bytes in &messages {
                let (topic, bytes) = (topic.into(), bytes.clone());
                let _ = observer.try_send(Publication { topic, bytes });
            }
        }
        let slice = self.index.read().matching(topic, 0, count);
        let nats = self.nats.get();
        if slice.subscribers.is_empty() && nats.is_none() {
            let visited = slice.visited;
            return Published {
                receivers: 0,
                visited,
            };
        }
        let topic: Arc<str> = topic.into();
        let message = |bytes: Box<[u8]>| Message {
            topic: Arc::clone(&topic),
            sender,
            bytes: bytes.into(),
        };
        let messages: Vec<_> = messages.into_iter().map(message).map(Arc::new).collect();
        let next = |from| self.index.read().matching(&topic, from, count);
        let published = self.put(slice, next, &messages).await;
        if let Some(nats) = nats {
            nats.publish(&messages);
        }
        published
    }

    /// A message has come from another node, because this one has subscribed to a
    /// pattern: put it into the mailboxes of those who get it because of this pattern.
    /// (NATS sends a message once for each of a node's patterns that match; each
    /// connection takes the one that it subscribed to first.) `None` if the topic does not
    /// match.
    pub async fn deliver(&self, pattern: &str, topic: &str, bytes: &[u8]) -> Option<Published> {
        let turn = self.turn(topic)?;
        let _turn = turn.lock().await;
        let slice = self.index.read().matching_first(topic, pattern, 0)?;
        let message = Message {
            topic: topic.into(),
            sender: 0,
            bytes: bytes.into(),
        };
        // The last may have unsubscribed between two slices.
        let next = |from| {
            let slice = self.index.read().matching_first(topic, pattern, from);
            slice.unwrap_or_default()
        };
        Some(self.put(slice, next, &[Arc::new(message)]).await)
    }

    fn turn(&self, topic: &str) -> Option<&tokio::sync::Mutex<()>> {
        let turn = self.hasher.hash_one(topic) as usize % TURNS;
        self.turns.get(turn)
    }

    /// Put messages into the mailboxes of a slice and of those after it. Who subscribes or
    /// unsubscribes meanwhile may get them or not.
    async fn put(
        &self,
        mut slice: Slice,
        next: impl Fn(u64) -> Slice,
        messages: &[Arc<Message>],
    ) -> Published {
        let sender = messages.first().map_or(0, |message| message.sender);
        if slice.is_cut {
            self.note_cut(messages.len() as u64);
        }
        let at_once = (SLICE / messages.len().max(1)).max(1);
        let mut published = Published::default();
        loop {
            published.visited += slice.visited;
            for some in slice.subscribers.chunks(at_once) {
                if published.receivers > 0 {
                    let_others_run().await;
                }
                published.receivers += self.put_at_once(some, messages, sender);
            }
            let Some(from) = slice.next else {
                return published;
            };
            if slice.subscribers.is_empty() {
                let_others_run().await;
            }
            slice = next(from);
        }
    }

    /// Returns how many mailboxes those are.
    fn put_at_once(&self, to: &[Subscriber], messages: &[Arc<Message>], sender: u64) -> usize {
        let (mut receivers, mut dropped) = (0, Dropped::default());
        for subscriber in to {
            if subscriber.mailbox.connection() != sender {
                let Dropped { refused, evicted } = subscriber.mailbox.put(messages, subscriber);
                dropped.refused += refused;
                dropped.evicted += evicted;
                receivers += 1;
            }
        }
        self.note_dropped(dropped.refused + dropped.evicted);
        let all = receivers as u64 * messages.len() as u64;
        let delivered = all.saturating_sub(dropped.refused);
        self.counters
            .delivered
            .fetch_add(delivered, Ordering::Relaxed);
        receivers
    }

    fn note_cut(&self, messages: u64) {
        self.note_dropped(messages);
        if let Some(suppressed) = self.cuts.due() {
            tracing::warn!(
                kind = "limit",
                suppressed = suppressed.count(),
                "more patterns match a topic of many tokens than are looked at: some subscribers do not get its messages{suppressed}"
            );
        }
    }

    /// From now on what connections publish is sent there, too, as long as there is room.
    /// Only the first call counts. For `hotsocket test`.
    pub fn observe(&self, observer: SyncSender<Publication>) {
        let _ = self.observer.set(observer);
    }

    /// So many messages were dropped.
    pub fn note_dropped(&self, count: u64) {
        if count > 0 {
            self.counters.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub fn totals(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            published: read(&self.counters.published),
            delivered: read(&self.counters.delivered),
            dropped: read(&self.counters.dropped),
        }
    }

    pub fn size(&self) -> Size {
        self.index.read().size()
    }

    /// The patterns that have subscribers, in alphabetical order, and how many there are.
    /// Of more than so many, any so many of them: connections wait for the index meanwhile,
    /// however large they have made it.
    pub fn list(&self, at_most: usize) -> (Vec<TopicUse>, usize) {
        let (mut all, count) = {
            let index = self.index.read();
            (index.list(at_most), index.size().topics)
        };
        all.sort_unstable_by(|a, b| a.pattern.cmp(&b.pattern));
        (all, count)
    }
}

impl CountSubscribers for Topics {
    fn subscribers(&self, topic: &str) -> u64 {
        self.index.read().count(topic) as u64
    }
}

#[cfg(test)]
mod tests {
    use hotsocket_sandbox::{Delivery, WhenFull};

    use super::*;

    #[tokio::test]
    async fn what_is_refused_is_not_delivered() {
        let topics = Topics::default();
        for (connection, delivery) in [(1, Delivery::Direct), (2, Delivery::Event)] {
            let subscriber = Subscriber {
                mailbox: Mailbox::for_tests(connection),
                delivery,
                when_full: WhenFull::DropOldest,
                number: 1,
            };
            topics.subscribe("t", subscriber);
        }
        // Each mailbox has room for one: the second is refused, or takes its place.
        let messages = vec![vec![0; 800].into(), vec![1; 800].into()];
        let published = topics.publish("t", messages, 0).await;
        assert_eq!(published.receivers, 2);
        let totals = topics.totals();
        assert_eq!((totals.delivered, totals.dropped), (3, 2));
    }
}
