//! What the connections of a service say to each other: who has subscribed to what,
//! and how a message reaches them.
//!
//! Publishing puts one shared message into the [`Mailbox`] of each subscriber and wakes
//! its session, which does the rest in its own task (`session::topics`). So a publisher
//! waits for no subscriber, and a slow one delays no other. Nothing here calls a guest
//! or touches a socket.
//!
//! - [`index`]: exact topics in a hash map, patterns in a trie
//! - [`mailbox`]: what waits for one connection, and what happens when it is too much

mod index;
mod mailbox;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, OnceLock};

use hotsocket_sandbox::{CountSubscribers, Publication, let_others_run};
use parking_lot::RwLock;

pub use index::{Subscriber, TopicUse};
pub use mailbox::{Mail, Mailbox};

use index::Index;

/// Mailboxes that a publish fills before others run: about 50 µs.
const SLICE: usize = 256;
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

/// The topics of a service.
#[derive(Default)]
pub struct Topics {
    index: RwLock<Index>,
    /// Held while a message is put into mailboxes, so that all subscribers of a topic
    /// get its messages in the same order.
    turns: [tokio::sync::Mutex<()>; TURNS],
    hasher: RandomState,
    counters: Counters,
    /// Gets a copy of what connections publish, also what nobody has subscribed to.
    observer: OnceLock<SyncSender<Publication>>,
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
        self.index.write().insert(pattern, subscriber);
    }

    /// The connection with this id doesn't any more.
    pub fn unsubscribe(&self, pattern: &str, connection: u64) {
        self.index.write().remove(pattern, connection);
    }

    /// Put messages into the mailboxes of all who have subscribed to a topic, but for the
    /// sender's. Returns how many those are.
    pub async fn publish(&self, topic: &str, messages: Vec<Box<[u8]>>, sender: u64) -> usize {
        let turn = self.hasher.hash_one(topic) as usize % TURNS;
        let Some(turn) = self.turns.get(turn) else {
            return 0;
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
        let subscribers = self.index.read().matching(topic, sender, count);
        if subscribers.is_empty() {
            return 0;
        }
        let topic: Arc<str> = topic.into();
        let message = |bytes: Box<[u8]>| Message {
            topic: Arc::clone(&topic),
            sender,
            bytes: bytes.into(),
        };
        let messages: Vec<_> = messages.into_iter().map(message).map(Arc::new).collect();
        for (number, slice) in subscribers.chunks(SLICE).enumerate() {
            if number > 0 {
                let_others_run().await;
            }
            let put = |subscriber: &Subscriber| subscriber.mailbox.put(&messages, subscriber);
            self.note_dropped(slice.iter().map(put).sum());
            let delivered = slice.len() as u64 * count;
            self.counters
                .delivered
                .fetch_add(delivered, Ordering::Relaxed);
        }
        subscribers.len()
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

    /// At most so many of the patterns that have subscribers, in alphabetical order, and
    /// how many there are.
    pub fn list(&self, at_most: usize) -> (Vec<TopicUse>, usize) {
        let mut all = self.index.read().list();
        let count = all.len();
        all.sort_unstable_by(|a, b| a.pattern.cmp(&b.pattern));
        all.truncate(at_most);
        (all, count)
    }
}

impl CountSubscribers for Topics {
    fn subscribers(&self, topic: &str) -> u64 {
        self.index.read().count(topic) as u64
    }
}
