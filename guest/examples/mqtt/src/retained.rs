//! The last message of a topic, for those who subscribe later: in the store, so that it
//! outlives the client.
//!
//! A key is a topic as tokens; a value is the QoS, as a byte, and the payload.

use hotsocket_guest::environment::{Level, log};
use hotsocket_guest::store::{Bucket, StoreError};

use crate::packet::Publish;
use crate::topic;

/// Messages that one filter brings at most.
const MAX_FOUND: usize = 1000;

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
        report("cannot retain a message", topic, &error);
    }
}

/// The messages that a filter brings to who subscribes now.
pub fn find(filter: &str) -> Vec<Publish> {
    find_in_store(filter).unwrap_or_else(|error| {
        report("cannot read retained messages", filter, &error);
        Vec::new()
    })
}

fn find_in_store(filter: &str) -> Result<Vec<Publish>, StoreError> {
    let bucket = bucket()?;
    let start = topic::common_start(filter);
    let keys = match topic::is_topic(filter) {
        true => vec![start],
        false => bucket.keys(&start)?,
    };
    let mut found = Vec::new();
    for key in keys {
        let Some(topic) = topic::from_tokens(&key).filter(|it| topic::matches(filter, it)) else {
            continue;
        };
        if found.len() == MAX_FOUND {
            let fields = [("filter", filter.into())];
            log(
                Level::Warn,
                "more than 1000 retained messages; the others are left out",
                &fields,
            );
            break;
        }
        if let Some((&qos, payload)) = bucket.get(&key)?.as_deref().and_then(<[u8]>::split_first) {
            found.push(Publish {
                topic,
                payload: payload.to_vec(),
                qos: qos.min(1),
                retain: true,
                ..Publish::default()
            });
        }
    }
    Ok(found)
}

fn bucket() -> Result<Bucket, StoreError> {
    Bucket::open("mqtt-retained")
}

fn report(what: &str, topic: &str, error: &StoreError) {
    let error = error.to_string();
    log(
        Level::Warn,
        what,
        &[("topic", topic.into()), ("error", error.as_str().into())],
    );
}
