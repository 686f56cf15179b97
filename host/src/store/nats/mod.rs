//! A store in a bucket of NATS JetStream (`--store nats://HOST/BUCKET`), which several
//! servers share.
//!
//! Each call is one or more requests to the leader of the bucket's stream, so what one
//! server has set all others see. A change that depends on what is there names the
//! revision that it depends on, and is made again if that has changed meanwhile. While
//! NATS is away calls fail at once; a server that does not answer is given up after
//! [`ANSWER`].
//!
//! - [`message`]: keys as subjects, and what is kept with a value
//! - [`list`]: the keys of a bucket

mod list;
mod message;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{GetStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::stream::{self, LastRawMessageErrorKind, Stream};
use hotsocket_sandbox::key_value::{
    BucketId, Condition, Found, KeyValue, Life, Listing, Reply, StoreError,
};
use tokio::sync::OnceCell;

use super::buckets::Buckets;
use super::{Store, StoreStatus, sum};
use crate::nats::{self, ANSWER, Health, NatsOptions, OptionsError, Use};
use message::{Current, Write, expires_at, subject};

/// How often a change is tried again because another one came before it.
const MAX_ATTEMPTS: usize = 100;
/// What a guest learns when it does not.
const UNANSWERED: &str = "it does not answer in time";
/// How long what is left of a deleted key stays, where NATS can remove it.
const MARKERS: Duration = Duration::from_secs(60);

/// Where the bucket is.
#[derive(Clone, Debug)]
pub struct StoreNats {
    pub server: NatsOptions,
    pub bucket: String,
}

impl StoreNats {
    /// `nats://HOST/BUCKET`; of several servers, joined by commas, the last one names it.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn parse(url: &str) -> Result<Self, String> {
        let form = || "nats://[USER:PASSWORD@]HOST[:PORT]/BUCKET, or tls://…".to_owned();
        let (servers, bucket) = url.rsplit_once('/').ok_or_else(form)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if servers.ends_with('/') || bucket.is_empty() || !bucket.bytes().all(fits) {
            return Err(form());
        }
        Ok(StoreNats {
            server: NatsOptions::parse(servers).map_err(|error| error.to_string())?,
            bucket: bucket.to_owned(),
        })
    }
}

/// See the module's documentation. Clones are the same store.
#[derive(Clone)]
pub struct NatsStore(Arc<Shared>);

/// What the clones share.
struct Shared {
    client: Client,
    context: Context,
    /// The bucket's name.
    name: String,
    /// For people.
    place: String,
    /// Opened by the first call that reaches NATS.
    opened: OnceCell<Opened>,
    /// Of guests; each is a part of the subjects in the one of NATS.
    buckets: Buckets,
    health: Arc<Health>,
    /// Calls that have failed because of NATS.
    errors: AtomicU64,
}

#[derive(Clone)]
struct Opened {
    stream: Stream,
    /// NATS removes messages whose time is over (2.11). Without that they are only no
    /// longer seen.
    has_ttl: bool,
}

type Result<T, E = StoreError> = std::result::Result<T, E>;

impl NatsStore {
    /// NATS need not be there yet.
    ///
    /// # Errors
    /// When the options are wrong.
    pub async fn connect(place: StoreNats) -> Result<Self, OptionsError> {
        let StoreNats { server, bucket } = place;
        let server = server.prepare()?;
        let health = Arc::new(Health::new(Use::Store, server.show()));
        let client = nats::connect(&server, &health).await?;
        let mut context = async_nats::jetstream::new(client.clone());
        context.set_timeout(ANSWER);
        Ok(NatsStore(Arc::new(Shared {
            client,
            context,
            place: format!("nats://{}/{bucket}", server.show()),
            name: bucket,
            opened: OnceCell::new(),
            buckets: Buckets::default(),
            health,
            errors: AtomicU64::new(0),
        })))
    }

    /// Make a call of what it does with the subject of a key.
    fn call<T, F>(
        &self,
        bucket: BucketId,
        key: &str,
        work: impl FnOnce(Arc<Shared>, String) -> F + Send + 'static,
    ) -> Reply<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let shared = Arc::clone(&self.0);
        let Some(name) = shared.buckets.name(bucket) else {
            return Reply::Ready(Err(StoreError::NoSuchStore));
        };
        let subject = subject(&shared.name, &name, key);
        Reply::Pending(Box::pin(work(shared, subject)))
    }
}

impl Shared {
    /// A call has failed because of NATS: why, for the guest.
    fn failed(&self, why: impl std::fmt::Display) -> StoreError {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let why = why.to_string();
        let why = match why.contains("timed out") {
            true => UNANSWERED,
            false => &why,
        };
        StoreError::other(format!("NATS: {why}"))
    }

    async fn stream(&self) -> Result<&Opened> {
        if self.client.connection_state() != State::Connected {
            return Err(self.failed("cannot be reached"));
        }
        self.opened.get_or_try_init(|| self.open()).await
    }

    /// Open the bucket, or make it if it is not there, as any client of key-value buckets
    /// does (ADR-8 of NATS: <https://github.com/nats-io/nats-architecture-and-design>). If
    /// another server makes it at the same moment, it is the same.
    async fn open(&self) -> Result<Opened> {
        let name = format!("KV_{}", self.name);
        let stream = match self.context.get_stream(&name).await {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(_)) => {
                let made = self.context.create_stream(stream::Config {
                    subjects: vec![format!("$KV.{}.>", self.name)],
                    name,
                    description: Some("a store of hotsocket".to_owned()),
                    max_messages_per_subject: 1,
                    discard: stream::DiscardPolicy::New,
                    allow_rollup: true,
                    deny_delete: true,
                    allow_direct: true,
                    num_replicas: 1,
                    // Servers before 2.11 know neither, and ignore them.
                    allow_message_ttl: true,
                    subject_delete_marker_ttl: Some(MARKERS),
                    ..stream::Config::default()
                });
                made.await.map_err(|error| self.failed(error))?
            }
            Err(error) => return Err(self.failed(error)),
        };
        Ok(Opened {
            has_ttl: stream.cached_info().config.allow_message_ttl,
            stream,
        })
    }

    /// What a key has now, as the stream's leader knows it.
    async fn current(&self, subject: &str) -> Result<Current> {
        let stream = &self.stream().await?.stream;
        match stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(Current::of(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                Ok(Current::default())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Write to a key, if the last message of its subject is still this one. Returns
    /// whether it was.
    async fn write(&self, subject: &str, write: Write, after: Option<u64>) -> Result<bool> {
        let has_ttl = self.stream().await?.has_ttl;
        let (headers, payload) = write.message(after, has_ttl.then_some(MARKERS));
        let context = &self.context;
        let sent = context.publish_with_headers(subject.to_owned(), headers, payload.into());
        let acknowledged = match sent.await {
            Ok(acknowledgement) => acknowledgement.await,
            Err(error) => Err(error),
        };
        match acknowledged.map_err(|error| (error.kind(), error)) {
            Ok(_) => Ok(true),
            Err((PublishErrorKind::WrongLastSequence, _)) if after.is_some() => Ok(false),
            Err((PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe, _)) => {
                Err(self.failed("it does not answer in time; the change may have been made"))
            }
            Err((PublishErrorKind::MaxPayloadExceeded, _)) => {
                Err(self.failed("the value is larger than its max_payload"))
            }
            Err((_, error)) => Err(self.failed(error)),
        }
    }

    /// Change a key that may be changed by others at the same time: `change` says what to
    /// write, if anything, and what the call gives.
    async fn update<T>(
        &self,
        subject: &str,
        change: impl Fn(&Current) -> Result<(Option<Write>, T)>,
    ) -> Result<T> {
        for _ in 0..MAX_ATTEMPTS {
            let current = self.current(subject).await?;
            let (write, result) = change(&current)?;
            let Some(write) = write else {
                return Ok(result);
            };
            if self.write(subject, write, Some(current.sequence)).await? {
                return Ok(result);
            }
        }
        Err(self.failed("too many others change this key"))
    }
}

impl KeyValue for NatsStore {
    fn may_wait(&self) -> bool {
        true
    }

    fn open(&self, name: &str) -> Result<BucketId> {
        self.0.buckets.open(name)
    }

    fn get(&self, bucket: BucketId, key: &str) -> Reply<Option<Found>> {
        self.call(bucket, key, |shared, subject| async move {
            Ok(shared.current(&subject).await?.found())
        })
    }

    fn set(
        &self,
        bucket: BucketId,
        key: &str,
        value: &[u8],
        when: Condition,
        life: Life,
    ) -> Reply<bool> {
        let value: Arc<[u8]> = Arc::from(value);
        self.call(bucket, key, move |shared, subject| async move {
            let put = |expires| Write::Put {
                value: Arc::clone(&value),
                expires,
            };
            if when == Condition::Always && life != Life::Unchanged {
                let write = put(expires_at(life, None));
                return shared.write(&subject, write, None).await;
            }
            let change = |current: &Current| {
                let exists = current.value.is_some();
                let holds = match when {
                    Condition::Always => true,
                    Condition::IfAbsent | Condition::IfRevision(0) => !exists,
                    Condition::IfPresent => exists,
                    Condition::IfRevision(revision) => exists && current.sequence == revision,
                };
                let write = holds.then(|| put(expires_at(life, current.expires)));
                Ok((write, holds))
            };
            shared.update(&subject, change).await
        })
    }

    fn delete(&self, bucket: BucketId, key: &str) -> Reply<bool> {
        self.call(bucket, key, |shared, subject| async move {
            let change = |current: &Current| {
                let exists = current.value.is_some();
                Ok((exists.then_some(Write::Delete), exists))
            };
            shared.update(&subject, change).await
        })
    }

    fn increment(&self, bucket: BucketId, key: &str, delta: i64) -> Reply<i64> {
        self.call(bucket, key, move |shared, subject| async move {
            let change = |current: &Current| {
                let sum = sum(current.value.as_deref(), delta)?;
                let write = Write::Put {
                    value: sum.to_string().into_bytes().into(),
                    expires: current.expires,
                };
                Ok((Some(write), sum))
            };
            shared.update(&subject, change).await
        })
    }

    fn life(&self, bucket: BucketId, key: &str) -> Reply<Option<Life>> {
        self.call(bucket, key, |shared, subject| async move {
            Ok(shared.current(&subject).await?.life())
        })
    }

    fn set_life(&self, bucket: BucketId, key: &str, life: Life) -> Reply<bool> {
        self.call(bucket, key, move |shared, subject| async move {
            let change = |current: &Current| {
                let Some(value) = &current.value else {
                    return Ok((None, false));
                };
                let write = Write::Put {
                    value: Arc::clone(value),
                    expires: expires_at(life, current.expires),
                };
                Ok(((life != Life::Unchanged).then_some(write), true))
            };
            shared.update(&subject, change).await
        })
    }

    fn keys(
        &self,
        bucket: BucketId,
        prefix: &str,
        cursor: Option<&str>,
        most: usize,
    ) -> Reply<Listing> {
        let (prefix, cursor) = (prefix.to_owned(), cursor.map(str::to_owned));
        self.call(bucket, "", move |shared, start| async move {
            let stream = &shared.stream().await?.stream;
            let keys = list::keys(&shared.client, stream, &start, &prefix, cursor, most.max(1));
            keys.await.map_err(|why| shared.failed(why))
        })
    }
}

impl Store for NatsStore {
    fn status(&self) -> StoreStatus {
        StoreStatus {
            file: Some(PathBuf::from(&self.0.place)),
            errors: self.0.errors.load(Ordering::Relaxed),
            nats: Some(self.0.health.show()),
            ..StoreStatus::default()
        }
    }

    /// Each change is there when its call has returned.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        let place = StoreNats::parse("nats://u:p@a,b:1/my_bucket").expect("valid");
        assert_eq!(
            (place.server.show(), place.bucket),
            ("a:4222,b:1".to_owned(), "my_bucket".to_owned())
        );
        for bad in [
            "nats://a",
            "nats://a/",
            "nats://a/b.c",
            "nats:///b",
            "http://a/b",
        ] {
            assert!(StoreNats::parse(bad).is_err(), "{bad}");
        }
    }
}
