//! The last message of a topic, for those who subscribe later: in the store, so that it
//! outlives the client.
//!
//! A key is a topic as tokens; a value is the QoS, as a byte, and the payload.

use std::fmt::Display;
use std::time::Duration;

use hotsocket_guest::environment::{Level, log};
use hotsocket_guest::store::{Bucket, Page, StoreError};
use hotsocket_guest::{Connection, state};

use crate::packet::Publish;
use crate::{Mqtt, RETAINED, topic};

/// Keys that one event looks at. Those that match are part of the state until their messages
/// have been sent: with the rest of it they fit into a snapshot.
const PAGE: usize = 500;

state! {
    /// Retained messages that a client is still to get.
    #[derive(Debug, Default, PartialEq, Eq)]
    pub struct Replay {
        /// Keys of the next ones.
        keys: Vec<String>,
        /// Filters whose keys have not all been looked at.
        filters: Vec<String>,
        /// Where the list of the first filter's keys goes on.
        cursor: Option<String>,
    }
}

impl Replay {
    /// Bring what this filter matches, from the beginning.
    pub fn add(&mut self, filter: &str) {
        self.forget(filter);
        self.filters.push(filter.to_owned());
    }

    pub fn forget(&mut self, filter: &str) {
        if let Some(at) = self.filters.iter().position(|it| it == filter) {
            self.filters.remove(at);
            if at == 0 {
                self.cursor = None;
            }
        }
    }

    /// Whether everything has been sent.
    pub fn is_over(&self) -> bool {
        self.keys.is_empty() && self.filters.is_empty()
    }

    /// Look at some keys more, if all that were found have been sent.
    fn find(&mut self, bucket: &Bucket) -> Result<(), StoreError> {
        let Some(filter) = self.filters.first().filter(|_| self.keys.is_empty()) else {
            return Ok(());
        };
        let page = page(bucket, filter, self.cursor.as_deref())?;
        self.keys = page.keys;
        self.cursor = page.cursor;
        if self.cursor.is_none() {
            self.filters.remove(0);
        }
        Ok(())
    }
}

impl Mqtt {
    /// Send retained messages until the client has to take them first, or all that one
    /// event looks at have been sent. The rest comes in other events.
    pub fn send_retained(&mut self, conn: &Connection) {
        if let Err(error) = self.try_send_retained(conn) {
            let client = ("client", self.session.client.as_str());
            report("cannot read retained messages", client, &error);
            self.replay = Replay::default();
        }
        self.go_on_with_retained(conn);
    }

    /// Send more of them in another event, if there are more and the client can take them.
    pub fn go_on_with_retained(&self, conn: &Connection) {
        if self.may_send_retained() && !self.replay.is_over() {
            conn.set_timer(RETAINED, Duration::ZERO);
        }
    }

    fn may_send_retained(&self) -> bool {
        !self.waits && !self.session.is_half_full()
    }

    fn try_send_retained(&mut self, conn: &Connection) -> Result<(), StoreError> {
        let bucket = bucket()?;
        self.replay.find(&bucket)?;
        while self.may_send_retained()
            && let Some(key) = self.replay.keys.pop()
        {
            if let Some(message) = read(&bucket, &key)? {
                self.send_one(conn, &key, message);
            }
        }
        Ok(())
    }

    fn send_one(&mut self, conn: &Connection, key: &str, message: Publish) {
        // The client may have unsubscribed meanwhile.
        let Some(granted) = self.session.granted(&message.topic) else {
            return;
        };
        let qos = granted.min(message.qos);
        if let Err(why) = self.send(conn, Publish { qos, ..message }) {
            report("cannot send a retained message", ("key", key), &why);
        }
    }
}

/// Keep a message, or forget the one of its topic if it is empty.
pub fn retain(topic: &str, qos: u8, payload: &[u8]) {
    let Some(key) = topic::tokens(topic) else {
        return;
    };
    let kept = bucket().and_then(|bucket| match payload {
        [] => bucket.delete(&key).map(drop),
        _ => bucket.set(&key, [&[qos], payload].concat()),
    });
    if let Err(error) = kept {
        report("cannot retain a message", ("topic", topic), &error);
    }
}

/// Some of the keys that a filter matches.
fn page(bucket: &Bucket, filter: &str, cursor: Option<&str>) -> Result<Page, StoreError> {
    let start = topic::common_start(filter);
    if topic::is_topic(filter) {
        return Ok(Page {
            keys: vec![start],
            cursor: None,
        });
    }
    let mut page = bucket.page(&start, cursor, PAGE)?;
    page.keys.retain(|key| {
        let topic = topic::from_tokens(key);
        topic.is_some_and(|topic| topic::matches(filter, &topic))
    });
    Ok(page)
}

/// The message with a key, if it is still there.
fn read(bucket: &Bucket, key: &str) -> Result<Option<Publish>, StoreError> {
    let value = bucket.get(key)?;
    let value = value.as_deref().and_then(<[u8]>::split_first);
    let found = topic::from_tokens(key).zip(value);
    Ok(found.map(|(topic, (&qos, payload))| Publish {
        topic,
        payload: payload.to_vec(),
        qos: qos.min(1),
        retain: true,
        ..Publish::default()
    }))
}

fn bucket() -> Result<Bucket, StoreError> {
    Bucket::open("mqtt-retained")
}

fn report(what: &str, (name, value): (&str, &str), error: &dyn Display) {
    let error = error.to_string();
    log(
        Level::Warn,
        what,
        &[(name, value.into()), ("error", error.as_str().into())],
    );
}
