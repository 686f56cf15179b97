//! Connections meet: what one publishes under a topic, those get that have subscribed
//! to it.
//!
//! ```
//! use hotsocket_guest::topics::{self, Message, Subscriber};
//! use hotsocket_guest::{Connection, Handler, export};
//!
//! #[derive(Default)]
//! struct Party;
//!
//! impl Handler for Party {
//!     fn open(&mut self, _: &Connection) -> Result<(), String> {
//!         topics::subscribe("party").map_err(|error| error.to_string())
//!     }
//!
//!     fn data(&mut self, _: &Connection, bytes: &[u8]) {
//!         let _ = topics::publish("party", bytes);
//!     }
//! }
//!
//! impl Subscriber for Party {
//!     fn message(&mut self, conn: &Connection, message: Message<'_>) {
//!         conn.write(message.bytes);
//!     }
//! }
//!
//! export!(Party, Subscriber);
//! ```
//!
//! What is asked for takes effect when the event has succeeded, and belongs to the
//! connection: swap, rollback, sleep and restart change nothing about subscriptions,
//! messages that wait, and the will. `wit/topics` has the rules and the limits.

use std::fmt;

use crate::{Connection, Handler};

/// A guest that is called with messages. Export it with `export!(Type, Subscriber)`.
pub trait Subscriber: Handler {
    /// A message under a topic that this connection has subscribed to.
    fn message(&mut self, conn: &Connection, message: Message<'_>);

    /// So many messages were dropped before the next one, because too many waited
    /// ([`WhenFull::DropOldest`]).
    fn lagged(&mut self, conn: &Connection, missed: u64) {
        let _ = (conn, missed);
    }
}

/// What another connection has published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub topic: &'a str,
    /// The id of the connection that has published it; 0 if it came from elsewhere.
    pub sender: u64,
    pub bytes: &'a [u8],
}

/// How a message reaches a subscriber.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// [`Subscriber::message`] is called.
    #[default]
    Event,
    /// The host writes the bytes to the peer itself and calls no guest.
    Direct,
}

/// What happens when there is no room for another message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The connection is closed.
    #[default]
    Close,
    /// The oldest messages are dropped; with [`Delivery::Direct`] the new one.
    DropOldest,
}

/// Why nothing was published or subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicError {
    /// It is no topic, or no pattern.
    Invalid,
    /// A message has more than 64 KiB.
    TooLarge,
    /// This event has published 1 MiB already, or asked for something 4,096 times.
    TooMuch,
    /// The guest is exported without `Subscriber`.
    NoSubscriber,
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "not a topic or pattern: tokens joined by dots",
            Self::TooLarge => "the message has more than 64 KiB",
            Self::TooMuch => "this event has published too much",
            Self::NoSubscriber => "export the handler with `export!(Type, Subscriber)`",
        })
    }
}

impl std::error::Error for TopicError {}

/// Send bytes to all other connections that have subscribed to the topic. A publisher
/// never waits for a subscriber and learns nothing about one.
///
/// # Errors
/// See [`TopicError`].
pub fn publish(topic: &str, bytes: impl AsRef<[u8]>) -> Result<(), TopicError> {
    sys::publish(topic, bytes.as_ref())
}

/// Be called with what is published under all topics that match a pattern: a topic, in
/// which `*` may stand for one token and `>`, at the end, for one or more. With too many
/// messages that wait the connection is closed.
///
/// # Errors
/// See [`TopicError`].
pub fn subscribe(pattern: &str) -> Result<(), TopicError> {
    subscribe_with(pattern, Delivery::Event, WhenFull::Close)
}

/// The same, in another way. Subscribing again to the same pattern changes it.
///
/// # Errors
/// See [`TopicError`].
pub fn subscribe_with(
    pattern: &str,
    delivery: Delivery,
    when_full: WhenFull,
) -> Result<(), TopicError> {
    sys::subscribe(pattern, delivery, when_full)
}

/// Messages that wait still come. If the connection has not subscribed to this pattern,
/// nothing happens.
pub fn unsubscribe(pattern: &str) {
    sys::unsubscribe(pattern);
}

/// How many connections have subscribed to a topic now, this one included.
#[must_use]
pub fn subscribers(topic: &str) -> u64 {
    sys::subscribers(topic)
}

/// What the host publishes when this connection is over, however it ends; not when it
/// migrates. The last one counts.
///
/// # Errors
/// See [`TopicError`].
pub fn set_will(topic: &str, bytes: impl AsRef<[u8]>) -> Result<(), TopicError> {
    sys::set_will(topic, Some(bytes.as_ref()))
}

/// Nothing is published when this connection is over.
pub fn clear_will() {
    let _ = sys::set_will("none", None);
}

#[cfg(target_family = "wasm")]
mod sys {
    use super::{Delivery, TopicError, WhenFull};
    use crate::bindings::topics::hotsocket::topics::topics as wit;

    pub(super) use wit::{subscribers, unsubscribe};

    fn error(error: wit::TopicError) -> TopicError {
        match error {
            wit::TopicError::Invalid => TopicError::Invalid,
            wit::TopicError::TooLarge => TopicError::TooLarge,
            wit::TopicError::TooMuch => TopicError::TooMuch,
            wit::TopicError::NoSubscriber => TopicError::NoSubscriber,
        }
    }

    pub(super) fn publish(topic: &str, bytes: &[u8]) -> Result<(), TopicError> {
        wit::publish(topic, bytes).map_err(error)
    }

    pub(super) fn set_will(topic: &str, bytes: Option<&[u8]>) -> Result<(), TopicError> {
        wit::set_will(topic, bytes).map_err(error)
    }

    pub(super) fn subscribe(
        pattern: &str,
        delivery: Delivery,
        when_full: WhenFull,
    ) -> Result<(), TopicError> {
        let delivery = match delivery {
            Delivery::Event => wit::Delivery::Event,
            Delivery::Direct => wit::Delivery::Direct,
        };
        let when_full = match when_full {
            WhenFull::Close => wit::WhenFull::Close,
            WhenFull::DropOldest => wit::WhenFull::DropOldest,
        };
        wit::subscribe(pattern, delivery, when_full).map_err(error)
    }
}

#[cfg(not(target_family = "wasm"))]
use crate::testing::recorder::topics as sys;
