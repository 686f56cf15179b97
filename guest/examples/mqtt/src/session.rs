//! What the server knows of a client while it is connected, which a swap does not lose.

use std::time::Duration;

use hotsocket_guest::state;

use crate::packet::Publish;
use crate::topic;

/// What the host may count the filters of a client as ([`topic::weight`]): it closes a
/// connection with more than 128 (`--max-subscriptions`), and we have one of our own.
pub const MAX_WEIGHT: usize = 127;
/// Messages that a client has not acknowledged, and their bytes with 64 for each.
const MAX_UNACKNOWLEDGED: usize = 1000;
const MAX_UNACKNOWLEDGED_BYTES: usize = 512 << 10;
/// A message that was not acknowledged for this long is sent again.
pub const RETRY: Duration = Duration::from_secs(20);

state! {
    #[derive(Debug, Default, PartialEq, Eq)]
    pub struct Session {
        pub phase: Phase,
        /// What the client calls itself.
        pub client: String,
        /// Which of two connections with the same client is newer: see `takeover`.
        pub stamp: (u64, u64),
        /// Published by the host, with its topic there; here to be retained.
        pub retained_will: Option<(String, u8, Vec<u8>)>,
        /// How long the client may be silent, in milliseconds; 0 for ever.
        pub silence_ms: u64,
        /// When it last sent a packet, on the server's clock.
        pub heard_ms: u64,
        pub filters: Vec<Filter>,
        pub unacknowledged: Vec<Unacknowledged>,
        pub last_id: u16,
    }

    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Phase {
        /// CONNECT has not come yet.
        #[default]
        New,
        Connected,
        /// Nothing is read any more.
        Over,
    }

    #[derive(Debug, PartialEq, Eq)]
    pub struct Filter {
        pub filter: String,
        /// Granted: 0 or 1.
        pub qos: u8,
    }

    #[derive(Debug, PartialEq, Eq)]
    pub struct Unacknowledged {
        pub id: u16,
        pub topic: String,
        pub payload: Vec<u8>,
        pub retain: bool,
        pub sent_ms: u64,
    }
}

/// What a message that waits for its acknowledgement counts as.
fn size(topic: &str, payload: &[u8]) -> usize {
    topic.len() + payload.len() + 64
}

impl Session {
    /// The QoS at which a message under this topic goes to the client: the highest of the
    /// filters that match. `None` if none does.
    pub fn granted(&self, topic: &str) -> Option<u8> {
        let matching = self
            .filters
            .iter()
            .filter(|it| topic::matches(&it.filter, topic));
        matching.map(|filter| filter.qos).max()
    }

    /// What the host counts the filters as, at most: several may share a pattern.
    pub fn weight(&self) -> usize {
        self.filters
            .iter()
            .map(|it| topic::weight(&it.filter))
            .sum()
    }

    /// Whether one more message can be kept.
    fn has_room(&self, message: &Publish) -> bool {
        let size = size(&message.topic, &message.payload);
        self.unacknowledged.len() < MAX_UNACKNOWLEDGED
            && self.unacknowledged_bytes() + size <= MAX_UNACKNOWLEDGED_BYTES
    }

    /// Whether the client is to acknowledge some messages before it gets retained ones: what
    /// is published meanwhile needs room, too.
    pub fn is_half_full(&self) -> bool {
        self.unacknowledged.len() >= MAX_UNACKNOWLEDGED / 2
            || self.unacknowledged_bytes() >= MAX_UNACKNOWLEDGED_BYTES / 2
    }

    fn unacknowledged_bytes(&self) -> usize {
        let kept = self.unacknowledged.iter();
        kept.map(|it| size(&it.topic, &it.payload)).sum()
    }

    /// Give a message an id, and keep it until it is acknowledged.
    ///
    /// # Errors
    /// The client acknowledges too little.
    pub fn keep(&mut self, message: &mut Publish, now: Duration) -> Result<(), String> {
        if !self.has_room(message) {
            return Err("it does not acknowledge messages".to_owned());
        }
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.unacknowledged.iter().all(|it| it.id != self.last_id) {
                break;
            }
        }
        message.id = self.last_id;
        self.unacknowledged.push(Unacknowledged {
            id: message.id,
            topic: message.topic.clone(),
            payload: message.payload.clone(),
            retain: message.retain,
            sent_ms: milliseconds(now),
        });
        Ok(())
    }

    pub fn acknowledged(&mut self, id: u16) {
        self.unacknowledged.retain(|it| it.id != id);
    }

    /// The client has taken what waited for it: only from now on can it answer.
    pub fn note_taken(&mut self, now: Duration) {
        let now = milliseconds(now);
        self.heard_ms = now;
        for message in &mut self.unacknowledged {
            message.sent_ms = now;
        }
    }

    /// The messages that are to be sent again now.
    pub fn retries(&mut self, now: Duration) -> Vec<Publish> {
        let now = milliseconds(now);
        let due = self.unacknowledged.iter_mut();
        let due = due.filter(|it| it.sent_ms + milliseconds(RETRY) <= now);
        due.map(|it| {
            it.sent_ms = now;
            Publish {
                topic: it.topic.clone(),
                payload: it.payload.clone(),
                qos: 1,
                retain: it.retain,
                id: it.id,
                dup: true,
            }
        })
        .collect()
    }
}

pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_free_and_what_is_kept_is_bounded() {
        let mut session = Session {
            last_id: u16::MAX - 1,
            ..Session::default()
        };
        let mut ids = Vec::new();
        for _ in 0..3 {
            let mut message = Publish::default();
            session.keep(&mut message, Duration::ZERO).expect("room");
            ids.push(message.id);
        }
        assert_eq!(ids, [65_535, 1, 2]);
        session.last_id = 0;
        let mut message = Publish::default();
        session.keep(&mut message, Duration::ZERO).expect("room");
        assert_eq!(message.id, 3);
        session.acknowledged(1);
        assert_eq!(session.unacknowledged.len(), 3);
        let mut large = Publish {
            payload: vec![0; 64 << 10],
            ..Publish::default()
        };
        let kept = (0..20).take_while(|_| session.keep(&mut large, Duration::ZERO).is_ok());
        assert_eq!(kept.count(), 7);
    }

    #[test]
    fn the_highest_qos_of_the_filters_that_match_counts() {
        let filter = |filter: &str, qos| Filter {
            filter: filter.to_owned(),
            qos,
        };
        let session = Session {
            filters: vec![filter("a/#", 0), filter("a/+", 1)],
            ..Session::default()
        };
        assert_eq!(session.granted("a/b"), Some(1));
        assert_eq!(session.granted("a/b/c"), Some(0));
        assert_eq!(session.granted("b"), None);
    }
}
