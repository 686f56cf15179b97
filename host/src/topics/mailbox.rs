//! What waits for one connection. Others put messages in and wake its session, which
//! alone takes them out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hotsocket_sandbox::{Delivery, WhenFull};
use parking_lot::Mutex;

use super::{Message, Subscriber};
use crate::roster::SessionHandle;

/// What a message counts for, in addition to its bytes: its place in the mailbox and its
/// share of what it is in.
const OVERHEAD: usize = 64;

/// See the module's documentation.
pub struct Mailbox {
    session: Arc<SessionHandle>,
    /// The most that may wait, in bytes.
    max: usize,
    /// Something was put in since it was last emptied, and the session has been woken.
    is_due: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// For the peer, with what happens when its queue is full.
    direct: VecDeque<(Arc<Message>, WhenFull)>,
    /// For the guest.
    events: VecDeque<Arc<Message>>,
    /// Of both.
    bytes: usize,
    /// Events that were dropped before the first that waits.
    missed: u64,
    /// There was no room, and the connection is to be closed.
    is_over: bool,
    /// Also because of a message for the peer.
    misses_direct: bool,
    /// Events that there was no room for since.
    refused: u64,
}

/// What a session takes out at once.
#[derive(Default)]
pub struct Mail {
    /// All that is for the peer.
    pub direct: VecDeque<(Arc<Message>, WhenFull)>,
    /// Events that were dropped before the next one.
    pub missed: u64,
    /// The next event.
    pub event: Option<Arc<Message>>,
    /// More events wait.
    pub more: bool,
    /// The connection is to be closed.
    pub is_over: bool,
}

/// What became of messages that were put into a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Of those: there was no room.
    pub refused: u64,
    /// Older ones, to make room.
    pub evicted: u64,
}

impl Mailbox {
    pub fn new(session: Arc<SessionHandle>, max: usize) -> Self {
        Mailbox {
            session,
            max,
            is_due: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }

    #[cfg(test)]
    pub fn for_tests(connection: u64) -> Arc<Self> {
        let nowhere = hotsocket_sandbox::Endpoint::Unix(None);
        let connection = hotsocket_sandbox::ConnectionInfo {
            id: connection,
            local: nowhere,
            peer: nowhere,
        };
        let session = Arc::new(SessionHandle::new(connection, 1, 0));
        Arc::new(Mailbox::new(session, 1000))
    }

    /// The id of the connection.
    pub fn connection(&self) -> u64 {
        self.session.connection.id
    }

    /// Put messages in, and wake the session.
    pub fn put(&self, messages: &[Arc<Message>], subscriber: &Subscriber) -> Dropped {
        let mut dropped = Dropped::default();
        let mut waiting = self.waiting.lock();
        for message in messages {
            waiting.put(message, subscriber, self.max, &mut dropped);
        }
        drop(waiting);
        // It is awake already, or about to look here.
        if !self.is_due.swap(true, Ordering::SeqCst) {
            self.session.wake();
        }
        dropped
    }

    /// Drop all events if there was no room for another: nobody misses them as long as the
    /// code takes none. Returns how many.
    pub fn make_room(&self) -> u64 {
        let mut waiting = self.waiting.lock();
        if !waiting.is_over || waiting.misses_direct {
            return 0;
        }
        waiting.is_over = false;
        let events = std::mem::take(&mut waiting.events);
        for message in &events {
            waiting.forget(message);
        }
        waiting.missed += events.len() as u64 + std::mem::take(&mut waiting.refused);
        events.len() as u64
    }

    /// Whether something was put in since [`Self::take`].
    pub fn is_due(&self) -> bool {
        self.is_due.load(Ordering::SeqCst)
    }

    /// Take out what is for the peer and, if it is to be called now, the next event.
    pub fn take(&self, with_event: bool) -> Mail {
        self.is_due.store(false, Ordering::SeqCst);
        let mut waiting = self.waiting.lock();
        let mut mail = Mail {
            direct: std::mem::take(&mut waiting.direct),
            is_over: waiting.is_over,
            ..Mail::default()
        };
        for (message, _) in &mail.direct {
            waiting.forget(message);
        }
        if with_event {
            mail.missed = std::mem::take(&mut waiting.missed);
            mail.event = waiting.events.pop_front();
            if let Some(message) = &mail.event {
                waiting.forget(message);
            }
        }
        mail.more = !waiting.events.is_empty() || waiting.missed > 0;
        if waiting.events.is_empty() {
            waiting.events = VecDeque::new();
        }
        mail
    }
}

impl Waiting {
    fn put(
        &mut self,
        message: &Arc<Message>,
        subscriber: &Subscriber,
        max: usize,
        dropped: &mut Dropped,
    ) {
        let size = size(message);
        let is_full = |bytes: usize| bytes.saturating_add(size) > max;
        if is_full(self.bytes) {
            match (subscriber.when_full, subscriber.delivery) {
                (WhenFull::Close, delivery) => {
                    self.is_over = true;
                    match delivery {
                        Delivery::Direct => self.misses_direct = true,
                        Delivery::Event => self.refused += 1,
                    }
                }
                (WhenFull::DropOldest, Delivery::Event) if !self.is_over => {
                    while is_full(self.bytes)
                        && let Some(oldest) = self.events.pop_front()
                    {
                        self.forget(&oldest);
                        self.missed += 1;
                        dropped.evicted += 1;
                    }
                    // What waits for the peer may take all the room.
                    self.missed += u64::from(is_full(self.bytes));
                }
                (WhenFull::DropOldest, _) => {}
            }
            if is_full(self.bytes) {
                dropped.refused += 1;
                return;
            }
        }
        self.bytes += size;
        match subscriber.delivery {
            Delivery::Direct => {
                let direct = (Arc::clone(message), subscriber.when_full);
                self.direct.push_back(direct);
            }
            Delivery::Event => self.events.push_back(Arc::clone(message)),
        }
    }

    fn forget(&mut self, message: &Message) {
        self.bytes = self.bytes.saturating_sub(size(message));
    }
}

/// What a message counts for, in bytes.
pub fn size(message: &Message) -> usize {
    message.bytes.len() + message.topic.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Arc<Message> {
        Arc::new(Message {
            topic: "t".into(),
            sender: 1,
            bytes: vec![0; length].into(),
        })
    }

    fn subscriber(delivery: Delivery, when_full: WhenFull) -> Subscriber {
        Subscriber {
            mailbox: Mailbox::for_tests(1),
            delivery,
            when_full,
            number: 0,
        }
    }

    #[test]
    fn the_oldest_events_are_dropped_and_counted() {
        let subscriber = subscriber(Delivery::Event, WhenFull::DropOldest);
        let mailbox = &subscriber.mailbox;
        let sent: Vec<_> = [100, 200, 300, 400].into_iter().map(message).collect();
        let dropped = mailbox.put(&sent, &subscriber);
        assert_eq!((dropped.refused, dropped.evicted), (0, 2));
        assert!(mailbox.is_due());
        let mail = mailbox.take(true);
        assert!(!mailbox.is_due());
        assert_eq!((mail.missed, mail.more, mail.is_over), (2, true, false));
        assert_eq!(mail.event.map(|it| it.bytes.len()), Some(300));
        let mail = mailbox.take(false);
        assert!(mail.event.is_none() && mail.more);
        let mail = mailbox.take(true);
        assert_eq!(mail.event.map(|it| it.bytes.len()), Some(400));
        assert!(!mail.more && mail.missed == 0);
        assert_eq!(mailbox.waiting.lock().bytes, 0);
    }

    #[test]
    fn too_much_ends_the_connection_if_it_wants_all() {
        for delivery in [Delivery::Event, Delivery::Direct] {
            let subscriber = subscriber(delivery, WhenFull::Close);
            let mailbox = &subscriber.mailbox;
            assert_eq!(mailbox.put(&[message(800)], &subscriber).refused, 0);
            assert_eq!(mailbox.put(&[message(800)], &subscriber).refused, 1);
            assert_eq!(mailbox.put(&[message(1)], &subscriber).refused, 0);
            assert!(mailbox.take(false).is_over);
        }
    }

    #[test]
    fn a_new_direct_message_is_dropped_where_there_is_no_room() {
        let subscriber = subscriber(Delivery::Direct, WhenFull::DropOldest);
        let mailbox = &subscriber.mailbox;
        assert_eq!(mailbox.put(&[message(800)], &subscriber).refused, 0);
        assert_eq!(mailbox.put(&[message(801)], &subscriber).refused, 1);
        let mail = mailbox.take(true);
        assert_eq!(mail.direct.len(), 1);
        assert!(!mail.is_over && mail.missed == 0);
    }
}
