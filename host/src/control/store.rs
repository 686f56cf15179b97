//! Requests about the store: what `hotsocket store` asks for.

use std::fmt::Write;
use std::time::Duration;

use hotsocket_sandbox::key_value::{
    Condition, Life, Listing, MAX_BUCKET_NAME, MAX_KEY, MAX_KEYS, StoreError,
};

use super::protocol::{Answer, StoreOperation};
use crate::store::Store;

/// Do it, and answer.
///
/// # Errors
/// What is wrong with the request, or why the store has not done it.
pub async fn execute(
    store: &dyn Store,
    bucket: &str,
    operation: StoreOperation,
    body: Vec<u8>,
) -> Result<Answer, String> {
    let failed = |error: StoreError| error.to_string();
    if bucket.len() > MAX_BUCKET_NAME {
        return Err(failed(StoreError::NoSuchStore));
    }
    let known = || store.find(bucket).map_err(failed);
    match operation {
        StoreOperation::Get { key } => {
            let key = checked(&key)?;
            let Some(bucket) = known()? else {
                return Ok(Answer::Value { value: None });
            };
            let found = store.get(bucket, key).wait().await;
            let value = found.map_err(failed)?.map(|found| hex(&found.value));
            Ok(Answer::Value { value })
        }
        StoreOperation::Set { key, life_ms, .. } => {
            let key = checked(&key)?;
            let bucket = store.open(bucket).map_err(failed)?;
            let life = life_ms.map_or(Life::Forever, |life| Life::For(Duration::from_millis(life)));
            let set = store.set(bucket, key, &body, Condition::Always, life);
            set.wait().await.map_err(failed)?;
            Ok(Answer::Set)
        }
        StoreOperation::Delete { key } => {
            let key = checked(&key)?;
            let Some(bucket) = known()? else {
                return Ok(Answer::Deleted { deleted: false });
            };
            let deleted = store.delete(bucket, key).wait().await;
            let deleted = deleted.map_err(failed)?;
            Ok(Answer::Deleted { deleted })
        }
        StoreOperation::List { prefix, cursor } => {
            let Some(bucket) = known()? else {
                let (keys, cursor) = (Vec::new(), None);
                return Ok(Answer::Keys { keys, cursor });
            };
            let listed = store.keys(bucket, &prefix, cursor.as_deref(), MAX_KEYS);
            let Listing { keys, cursor } = listed.wait().await.map_err(failed)?;
            let keys = keys.iter().map(|key| key.to_string()).collect();
            Ok(Answer::Keys { keys, cursor })
        }
    }
}

fn checked(key: &str) -> Result<&str, String> {
    match key.len() {
        1..=MAX_KEY => Ok(key),
        _ => Err("a key has from 1 to 1,024 bytes".to_owned()),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
