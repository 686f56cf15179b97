//! The functions that a guest imports from `hotsocket:topics`, and what a topic is.
//!
//! None of them reaches another connection: they record requests, which the session
//! carries out when the event has succeeded.

use std::sync::Arc;

use wasmtime::component::{LinkerInstance, WasmList, WasmStr};
use wasmtime::{AsContext, StoreContextMut};

use crate::bindings::topics::hotsocket::topics::topics::{self as wit, TopicError};
use crate::bounded_text::BoundedText;
use crate::store_data::StoreData;

/// The longest topic or pattern, in bytes.
pub const MAX_TOPIC: usize = 256;
/// The longest message, in bytes.
pub const MAX_MESSAGE: usize = 64 << 10;
/// What one event may publish, in bytes: the host keeps it until the event is over.
const MAX_PUBLISHED: usize = 1 << 20;
/// How often one event may ask for something.
const MAX_REQUESTS: usize = 4096;

/// How a message reaches a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The guest's `message` is called.
    Event,
    /// The host writes it to the peer.
    Direct,
}

/// What happens when there is no room for another message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The connection is closed.
    Close,
    DropOldest,
}

/// What an event has asked for. Names have been checked.
#[derive(Clone, Debug)]
pub enum TopicRequest {
    Subscribe {
        pattern: Box<str>,
        delivery: Delivery,
        when_full: WhenFull,
    },
    Unsubscribe(Box<str>),
    Publish(Publication),
    /// `None`: nothing is published at the end.
    SetWill(Option<Publication>),
}

/// Bytes and the topic that they are published under.
#[derive(Clone, Debug)]
pub struct Publication {
    pub topic: Box<str>,
    pub bytes: Box<[u8]>,
}

/// Knows who has subscribed to what: the service.
pub trait CountSubscribers: Send + Sync {
    fn subscribers(&self, topic: &str) -> u64;
}

/// What [`is_topic`] accepts, for messages.
pub const TOPIC_FORM: &str =
    "tokens without spaces, `*` and `>`, joined by dots, 256 bytes at most";

/// Whether it can be published under: see `wit/topics`.
pub fn is_topic(topic: &str) -> bool {
    is_short(topic) && topic.split('.').all(is_literal)
}

/// Whether it can be subscribed to.
pub fn is_pattern(pattern: &str) -> bool {
    let mut tokens = pattern.split('.').rev();
    let last_fits = |token: &str| token == ">" || token == "*" || is_literal(token);
    is_short(pattern)
        && tokens.next().is_some_and(last_fits)
        && tokens.all(|token| token == "*" || is_literal(token))
}

fn is_short(topic: &str) -> bool {
    topic.len() <= MAX_TOPIC
}

fn is_literal(token: &str) -> bool {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || c == '*' || c == '>';
    !token.is_empty() && !token.contains(is_bad)
}

/// Link the functions.
pub fn link(topics: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    topics.func_wrap(
        "subscribe",
        |mut store: StoreContextMut<StoreData>,
         (pattern, how, full): (BoundedText<WasmStr>, wit::Delivery, wit::WhenFull)| {
            let delivery = match how {
                wit::Delivery::Event => Delivery::Event,
                wit::Delivery::Direct => Delivery::Direct,
            };
            let when_full = match full {
                wit::WhenFull::Close => WhenFull::Close,
                wit::WhenFull::DropOldest => WhenFull::DropOldest,
            };
            let Some(pattern) = name(&store, &pattern, is_pattern)? else {
                return Ok((Err(TopicError::Invalid),));
            };
            if delivery == Delivery::Event && !store.data().is_subscriber {
                return Ok((Err(TopicError::NoSubscriber),));
            }
            Ok((record(
                &mut store,
                TopicRequest::Subscribe {
                    pattern,
                    delivery,
                    when_full,
                },
            ),))
        },
    )?;
    topics.func_wrap(
        "unsubscribe",
        |mut store: StoreContextMut<StoreData>, (pattern,): (BoundedText<WasmStr>,)| {
            if let Some(pattern) = name(&store, &pattern, is_pattern)? {
                // There is no result to say that it was too much.
                let _ = record(&mut store, TopicRequest::Unsubscribe(pattern));
            }
            Ok(())
        },
    )?;
    topics.func_wrap(
        "publish",
        |mut store: StoreContextMut<StoreData>,
         (topic, bytes): (BoundedText<WasmStr>, WasmList<u8>)| {
            let publication = match publication(&store, &topic, &bytes)? {
                Ok(publication) => publication,
                Err(error) => return Ok((Err(error),)),
            };
            Ok((record(&mut store, TopicRequest::Publish(publication)),))
        },
    )?;
    topics.func_wrap(
        "subscribers",
        |store: StoreContextMut<StoreData>, (topic,): (BoundedText<WasmStr>,)| {
            let topic = name(&store, &topic, is_topic)?;
            let count = topic.map_or(0, |topic| store.data().subscribers(&topic));
            Ok((count,))
        },
    )?;
    topics.func_wrap(
        "set-will",
        |mut store: StoreContextMut<StoreData>,
         (topic, bytes): (BoundedText<WasmStr>, Option<WasmList<u8>>)| {
            let will = match bytes {
                None => None,
                Some(bytes) => match publication(&store, &topic, &bytes)? {
                    Ok(publication) => Some(publication),
                    Err(error) => return Ok((Err(error),)),
                },
            };
            Ok((record(&mut store, TopicRequest::SetWill(will)),))
        },
    )
}

/// The name, if it is one.
fn name(
    store: &StoreContextMut<StoreData>,
    name: &BoundedText<WasmStr>,
    is_valid: impl Fn(&str) -> bool,
) -> wasmtime::Result<Option<Box<str>>> {
    if name.is_cut {
        return Ok(None);
    }
    let name = name.text.to_str(store)?;
    Ok(is_valid(&name).then(|| Box::from(&*name)))
}

fn publication(
    store: &StoreContextMut<StoreData>,
    topic: &BoundedText<WasmStr>,
    bytes: &WasmList<u8>,
) -> wasmtime::Result<Result<Publication, TopicError>> {
    if bytes.len() > MAX_MESSAGE {
        return Ok(Err(TopicError::TooLarge));
    }
    let Some(topic) = name(store, topic, is_topic)? else {
        return Ok(Err(TopicError::Invalid));
    };
    let bytes = Box::from(bytes.as_le_slice(store.as_context()));
    Ok(Ok(Publication { topic, bytes }))
}

fn record(store: &mut StoreContextMut<StoreData>, request: TopicRequest) -> Result<(), TopicError> {
    let size = match &request {
        TopicRequest::Publish(publication) | TopicRequest::SetWill(Some(publication)) => {
            publication.bytes.len()
        }
        _ => 0,
    };
    let data = store.data_mut();
    if data.connection.is_none() {
        return Ok(());
    }
    let requests = data.effects.session.get_or_insert_default();
    if requests.topics.len() >= MAX_REQUESTS || requests.published + size > MAX_PUBLISHED {
        return Err(TopicError::TooMuch);
    }
    requests.published += size;
    requests.topics.push(request);
    Ok(())
}

/// Where a guest's `subscribers` looks; nothing until a service has set it.
pub(crate) type Lookup = parking_lot::RwLock<Option<Arc<dyn CountSubscribers>>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_patterns() {
        for topic in ["a", "a.b", "rooms.lobby", "$SYS.x", "é.ü"] {
            assert!(is_topic(topic) && is_pattern(topic), "{topic}");
        }
        for pattern in ["*", ">", "a.*", "*.b.*", "a.>", "*.>"] {
            assert!(!is_topic(pattern) && is_pattern(pattern), "{pattern}");
        }
        let long = "a".repeat(MAX_TOPIC + 1);
        for neither in [
            "", ".", "a.", ".a", "a..b", "a b", "a\n", "a*", "*a.b", ">.a", "a.>.b", ">>", &long,
        ] {
            assert!(!is_topic(neither) && !is_pattern(neither), "{neither}");
        }
    }
}
