//! A key as a subject of NATS, and a value with what is kept with it as a message.
//!
//! As for any client of JetStream's key-value buckets, a key `K` of the bucket `B` is the
//! subject `$KV.B.K`, and a deleted one has a message with `KV-Operation: DEL`. A key here
//! is two tokens, that of the guest's bucket and its own; bytes that keys in NATS cannot
//! have are written as `=` and two digits.
//!
//! When a value's time is over stands in a header of our own, to the millisecond. NATS'
//! own `Nats-TTL` has seconds, and gives back the space.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::HeaderMap;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_TTL};
use async_nats::jetstream::message::StreamMessage;
use hotsocket_sandbox::key_value::{Found, Life};

/// When a value's time is over, in milliseconds since 1970.
const EXPIRES: &str = "Hotsocket-Expires";
/// The longest time to live that is passed to NATS, in seconds: ten years. It counts in
/// nanoseconds.
const LONGEST: u64 = 10 * 365 * 24 * 3600;
const OPERATION: &str = "KV-Operation";
/// Written by NATS when it has removed a message.
const MARKER: &str = "Nats-Marker-Reason";

/// What the last message of a subject says.
#[derive(Clone, Debug, Default)]
pub struct Current {
    /// Of the last message, whatever it is; 0 if there is none.
    pub sequence: u64,
    pub value: Option<Arc<[u8]>>,
    /// Of the value.
    pub expires: Option<u64>,
}

impl Current {
    pub fn of(message: StreamMessage) -> Self {
        let mut current = Current {
            sequence: message.sequence,
            ..Current::default()
        };
        if let Some(expires) = life_of(&message.headers) {
            current.expires = expires;
            current.value = Some(Arc::from(&*message.payload));
        }
        current
    }

    pub fn found(self) -> Option<Found> {
        Some(Found {
            value: self.value?.into(),
            revision: self.sequence,
        })
    }

    pub fn life(&self) -> Option<Life> {
        self.value.as_ref()?;
        Some(match self.expires {
            None => Life::Forever,
            Some(expires) => Life::For(Duration::from_millis(expires.saturating_sub(now()))),
        })
    }
}

/// When the value of a message is over, if at all; `None` if it has none, or it is over.
pub fn life_of(headers: &HeaderMap) -> Option<Option<u64>> {
    let operation = headers.get(OPERATION).map(|it| it.as_str());
    if matches!(operation, Some("DEL" | "PURGE")) || headers.get(MARKER).is_some() {
        return None;
    }
    let expires = headers.get(EXPIRES);
    let expires = expires.and_then(|it| it.as_str().parse::<u64>().ok());
    match expires {
        Some(expires) if expires <= now() => None,
        expires => Some(expires),
    }
}

/// What is written to a key.
#[derive(Clone, Debug)]
pub enum Write {
    Put {
        value: Arc<[u8]>,
        expires: Option<u64>,
    },
    Delete,
}

impl Write {
    /// The message, which comes after this one of its subject, if it must. Where NATS
    /// removes what is over, so long after it was deleted.
    pub fn message(self, after: Option<u64>, markers: Option<Duration>) -> (HeaderMap, Vec<u8>) {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, after.to_string());
        }
        let (payload, ttl) = match self {
            Write::Put { value, expires } => {
                if let Some(expires) = expires {
                    headers.insert(EXPIRES, expires.to_string());
                }
                // Whole seconds, and not before its time.
                let left = expires.map(|expires| expires.saturating_sub(now()));
                let seconds = left.map(|left| left.div_ceil(1000) + 1);
                let seconds = seconds.filter(|seconds| *seconds <= LONGEST);
                (value.to_vec(), seconds.filter(|_| markers.is_some()))
            }
            Write::Delete => {
                headers.insert(OPERATION, "DEL");
                (Vec::new(), markers.map(|markers| markers.as_secs()))
            }
        };
        if let Some(seconds) = ttl {
            headers.insert(NATS_MESSAGE_TTL, seconds.to_string());
        }
        (headers, payload)
    }
}

/// When what is set now is over.
pub fn expires_at(life: Life, current: Option<u64>) -> Option<u64> {
    match life {
        Life::Forever => None,
        Life::Unchanged => current,
        Life::For(time) => {
            let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            Some(now().saturating_add(time))
        }
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// The subject of a key; without one, what those of the bucket's keys begin with.
pub fn subject(place: &str, bucket: &str, key: &str) -> String {
    let mut subject = format!("$KV.{place}.");
    encode(bucket, &mut subject);
    subject.push('.');
    encode(key, &mut subject);
    subject
}

fn encode(text: &str, token: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'-' | b'_' | b'/' => token.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => token.push(char::from(byte)),
            // Writing to a string does not fail.
            byte => drop(write!(token, "={byte:02X}")),
        }
    }
}

/// The key that a token stands for, if we have written it.
pub fn decode(token: &str) -> Option<String> {
    let mut key = Vec::with_capacity(token.len());
    let mut bytes = token.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'=' {
            key.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        key.push(u8::try_from(high << 4 | low).ok()?);
    }
    String::from_utf8(key).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_tokens_and_back() {
        for key in ["plain/key_1-2", "a.b", "größe", " *>=%\n", "."] {
            let subject = subject("place", "my bucket", key);
            let token = subject.strip_prefix("$KV.place.my=20bucket.").expect(key);
            assert!(!token.contains(['.', ' ', '*', '>']), "{token}");
            assert_eq!(decode(token).as_deref(), Some(key));
        }
        assert_eq!(decode("a=2"), None);
        assert_eq!(decode("a=FF"), None);
    }

    #[test]
    fn what_is_over_is_not_there() {
        let headers = |name: &'static str, value: String| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value);
            headers
        };
        assert_eq!(life_of(&HeaderMap::new()), Some(None));
        let later = now() + 60_000;
        assert_eq!(
            life_of(&headers(EXPIRES, later.to_string())),
            Some(Some(later))
        );
        assert_eq!(life_of(&headers(EXPIRES, now().to_string())), None);
        assert_eq!(life_of(&headers(OPERATION, "DEL".to_owned())), None);
        assert_eq!(life_of(&headers(MARKER, "MaxAge".to_owned())), None);
    }
}
