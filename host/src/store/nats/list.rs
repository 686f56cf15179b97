//! The keys of a bucket: NATS sends the last message of each without its value, and those
//! that are asked for are picked.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_nats::Client;
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy, push::OrderedConfig};
use async_nats::jetstream::stream::Stream;
use futures_util::StreamExt;
use hotsocket_sandbox::key_value::Listing;
use tokio::time::timeout;

use super::message::{decode, life_of};
use crate::nats::ANSWER;

/// At most so many keys with this prefix, in order, that come after the cursor: the last
/// key of the part before. Subjects of the bucket begin with `start`.
///
/// No more are kept than are given, but all of the bucket are looked at.
pub async fn keys(
    client: &Client,
    stream: &Stream,
    start: &str,
    prefix: &str,
    cursor: Option<String>,
    most: usize,
) -> Result<Listing, String> {
    let config = OrderedConfig {
        deliver_subject: client.new_inbox(),
        filter_subject: format!("{start}*"),
        headers_only: true,
        replay_policy: ReplayPolicy::Instant,
        deliver_policy: DeliverPolicy::LastPerSubject,
        ..OrderedConfig::default()
    };
    let error = |error: &dyn std::fmt::Display| error.to_string();
    let consumer = stream.create_consumer(config).await;
    let consumer = consumer.map_err(|it| error(&it))?;
    let mut left = consumer.cached_info().num_pending;
    let mut messages = consumer.messages().await.map_err(|it| error(&it))?;
    let mut found = BTreeSet::new();
    while left > 0 {
        let message = timeout(ANSWER, messages.next()).await;
        let message = message.map_err(|_| "it does not answer in time".to_owned())?;
        let message = message
            .ok_or("it ended the list")?
            .map_err(|it| error(&it))?;
        left = message.info().map_err(|it| error(&it))?.pending;
        let is_there = message
            .headers
            .as_ref()
            .is_none_or(|it| life_of(it).is_some());
        let key = message.subject.strip_prefix(start).and_then(decode);
        let Some(key) = key.filter(|key| is_there && key.starts_with(prefix)) else {
            continue;
        };
        if cursor.as_ref().is_none_or(|cursor| key > *cursor) {
            found.insert(key);
            if found.len() > most + 1 {
                found.pop_last();
            }
        }
    }
    let more = found.len() > most;
    let keys: Vec<Arc<str>> = found.into_iter().take(most).map(Arc::from).collect();
    let cursor = keys.last().filter(|_| more).map(ToString::to_string);
    Ok(Listing { keys, cursor })
}
