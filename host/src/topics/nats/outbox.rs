//! Messages that wait to be handed to NATS. Publishers never wait here: what does not
//! fit is dropped, which [`Health`](crate::nats::Health) counts.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::topics::Message;
use crate::topics::mailbox::size;

/// The most that may wait, in bytes; each message counts as in a mailbox. It is what a
/// node publishes in some seconds, so a NATS server that is restarted loses nothing of it.
pub const MAX_OUTBOX: usize = 8 << 20;

/// See the module's documentation.
#[derive(Default)]
pub struct Outbox {
    waiting: Mutex<Waiting>,
    /// Something was put in.
    filled: Notify,
    /// [`Self::next`] waits.
    pub idle: Notify,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    /// Nothing is here, nor on its way to the client.
    is_idle: bool,
}

impl Outbox {
    /// Put messages in, in order. Returns how many did not fit.
    pub fn put(&self, messages: &[Arc<Message>]) -> u64 {
        let mut waiting = self.waiting.lock();
        let mut dropped = 0;
        for message in messages {
            let bytes = waiting.bytes.saturating_add(size(message));
            if bytes > MAX_OUTBOX {
                dropped += 1;
                continue;
            }
            waiting.bytes = bytes;
            waiting.messages.push_back(Arc::clone(message));
            waiting.is_idle = false;
        }
        drop(waiting);
        self.filled.notify_one();
        dropped
    }

    /// Take the oldest message out, and wait for one if there is none. One task does this.
    pub async fn next(&self) -> Arc<Message> {
        loop {
            if let Some(message) = self.take() {
                return message;
            }
            self.idle.notify_waiters();
            self.filled.notified().await;
        }
    }

    fn take(&self) -> Option<Arc<Message>> {
        let mut waiting = self.waiting.lock();
        let Some(message) = waiting.messages.pop_front() else {
            waiting.is_idle = true;
            return None;
        };
        waiting.bytes = waiting.bytes.saturating_sub(size(&message));
        if waiting.messages.is_empty() {
            // What a burst has taken is given back.
            waiting.messages = VecDeque::new();
        }
        drop(waiting);
        Some(message)
    }

    /// Whether all messages have been handed over.
    pub fn is_idle(&self) -> bool {
        self.waiting.lock().is_idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_is_dropped_and_order_is_kept() {
        let message = |name: String| {
            Arc::new(Message {
                topic: name.into(),
                sender: 0,
                bytes: vec![0; 64 << 10].into(),
            })
        };
        let outbox = Outbox::default();
        let messages: Vec<_> = (0..200).map(|it| message(it.to_string())).collect();
        let dropped = outbox.put(&messages);
        assert!((70..80).contains(&dropped), "{dropped}");
        assert_eq!(&*outbox.next().await.topic, "0");
        assert_eq!(outbox.put(&[message("new".to_owned())]), 0);
        for number in 1..200 - dropped {
            assert_eq!(&*outbox.next().await.topic, number.to_string());
        }
        assert_eq!(&*outbox.next().await.topic, "new");
        assert!(!outbox.is_idle() && outbox.take().is_none());
        assert!(outbox.is_idle());
        assert_eq!(outbox.waiting.lock().bytes, 0);
    }
}
