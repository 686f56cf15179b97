//! The functions that a guest imports from `hotsocket:store`: what `wasi:keyvalue` lacks.

use std::time::Duration;

use wasmtime::component::LinkerInstance;

use super::batch::get_values;
use super::imports::{as_is, call, key_response, list};
use super::parameters::{Bytes, In, Text, at, change, value_of};
use super::{Condition, Life, MAX_KEYS};
use crate::bindings::store::hotsocket::store::store as wit;
use crate::store_data::StoreData;

/// Link `hotsocket:store/store`.
pub fn link(store: &mut LinkerInstance<'_, StoreData>, may_wait: bool) -> wasmtime::Result<()> {
    type Set = (In, Text, Bytes, wit::Condition, wit::Lifetime);
    call(
        store,
        may_wait,
        "set",
        |caller, (bucket, key, value, when, life): Set| {
            let value = value_of(caller, &value)?;
            let when = match when {
                wit::Condition::Always => Condition::Always,
                wit::Condition::IfAbsent => Condition::IfAbsent,
                wit::Condition::IfPresent => Condition::IfPresent,
            };
            change(caller, &bucket, &key, |store, bucket, key| {
                store.set(bucket, key, value, when, Life::from(life))
            })
        },
        as_is,
    )?;
    call(
        store,
        may_wait,
        "delete",
        |caller, (bucket, key): (In, Text)| {
            change(caller, &bucket, &key, |store, bucket, key| {
                store.delete(bucket, key)
            })
        },
        as_is,
    )?;
    call(
        store,
        may_wait,
        "life",
        |caller, (bucket, key): (In, Text)| {
            let reply = at(caller, &bucket, &key, |store, bucket, key| {
                store.life(bucket, key)
            })?;
            Ok(reply.map(|life| life.map(wit::Lifetime::from)))
        },
        as_is,
    )?;
    call(
        store,
        may_wait,
        "set-life",
        |caller, (bucket, key, life): (In, Text, wit::Lifetime)| {
            change(caller, &bucket, &key, |store, bucket, key| {
                store.set_life(bucket, key, Life::from(life))
            })
        },
        as_is,
    )?;
    type Keys = (In, Text, Option<Text>, u32);
    call(
        store,
        may_wait,
        "keys",
        |caller, (bucket, prefix, cursor, most): Keys| {
            let prefix = prefix.text.to_str(&caller)?.into_owned();
            let most = usize::try_from(most).unwrap_or(MAX_KEYS);
            list(
                caller,
                &bucket,
                &prefix,
                cursor.as_ref(),
                most.min(MAX_KEYS),
            )
        },
        key_response,
    )?;
    call(store, may_wait, "get-values", get_values, as_is)
}

impl From<wit::Lifetime> for Life {
    fn from(life: wit::Lifetime) -> Self {
        match life {
            wit::Lifetime::Forever => Life::Forever,
            wit::Lifetime::Milliseconds(time) => Life::For(Duration::from_millis(time)),
            wit::Lifetime::Unchanged => Life::Unchanged,
        }
    }
}

impl From<Life> for wit::Lifetime {
    fn from(life: Life) -> Self {
        match life {
            Life::Forever | Life::Unchanged => wit::Lifetime::Forever,
            Life::For(time) => {
                let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                wit::Lifetime::Milliseconds(time)
            }
        }
    }
}
