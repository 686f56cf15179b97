//! The tasks between the topics of this node and NATS.
//!
//! One hands messages to the client that could not be handed over at once, one carries out
//! subscriptions, and each subscription has one that receives. None of them runs in a session, and a burst gives way to
//! sessions after as many deliveries as other long work does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::client::PublishErrorKind;
use async_nats::connection::State;
use async_nats::{Client, Message as NatsMessage, Subscriber};
use futures_util::{FutureExt, StreamExt};
use hotsocket_sandbox::let_others_run;
use hotsocket_sandbox::topics::{MAX_MESSAGE, is_topic};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::interest::{Change, Interest};
use super::outbox::Outbox;
use crate::nats::{self, Health, NatsOptions, NatsStatus, OptionsError, Use};
use crate::topics::slice::SLICE;
use crate::topics::{Message, Published, Topics};

/// What a shutdown waits for the last messages to be sent.
const LAST_MESSAGES: Duration = Duration::from_secs(1);

/// What [`Topics`] knows of NATS.
pub struct Nats {
    client: Client,
    prefix: String,
    outbox: Outbox,
    /// NATS was away when the client took the last message: it may still have it.
    waits_in_client: AtomicBool,
    interest: Interest,
    health: Arc<Health>,
}

/// NATS as the node sees it. [`Link::start`] it before the first connection, and
/// [`Link::stop`] it after the last.
pub struct Link {
    nats: Arc<Nats>,
    tasks: [JoinHandle<()>; 2],
}

impl Nats {
    /// Hand messages to NATS, which have gone to the connections of this node.
    pub fn publish(&self, messages: &[Arc<Message>]) {
        // At once, where nothing waits: it saves the way through another task.
        let sent = match self.outbox.is_idle() {
            true => messages.iter().take_while(|it| self.send_now(it)).count(),
            false => 0,
        };
        let rest = messages.get(sent..).unwrap_or_default();
        if !rest.is_empty() {
            self.health.dropped(self.outbox.put(rest));
        }
    }

    /// Hand a message over if the client has room for it. Returns whether it had.
    fn send_now(&self, message: &Message) -> bool {
        self.send(message).now_or_never().is_some()
    }

    /// Hand a message over, and wait while the client is full or NATS away. If this is
    /// dropped meanwhile, it is as if nothing had happened.
    async fn send(&self, message: &Message) {
        let subject = format!("{}.{}", self.prefix, message.topic);
        let payload = message.bytes.to_vec().into();
        let sent = self.client.publish(subject, payload).await;
        match sent.map_err(|error| error.kind()) {
            Ok(()) => {
                let is_away = self.client.connection_state() != State::Connected;
                self.waits_in_client.store(is_away, Ordering::Relaxed);
                self.health.published(1);
            }
            Err(PublishErrorKind::MaxPayloadExceeded) => {
                self.health.too_large(self.client.max_payload());
            }
            Err(_) => self.health.dropped(1),
        }
    }

    /// Connections of this node have subscribed to a pattern, or none has any more.
    pub fn note_interest(&self, pattern: &str, is_wanted: bool) {
        self.interest.note(pattern, is_wanted);
    }

    pub fn status(&self) -> NatsStatus {
        self.health.status(&self.prefix, self.interest.len())
    }
}

impl Link {
    /// Connect these topics. NATS need not be there yet.
    ///
    /// # Errors
    /// When the options are wrong.
    pub async fn start(options: &NatsOptions, topics: &Arc<Topics>) -> Result<Self, OptionsError> {
        let health = Arc::new(Health::new(Use::Topics, options.show()));
        let client = nats::connect(options, &health).await?;
        let nats = Arc::new(Nats {
            client,
            prefix: options.prefix.clone(),
            outbox: Outbox::default(),
            waits_in_client: AtomicBool::new(false),
            interest: Interest::default(),
            health,
        });
        topics.connect(Arc::clone(&nats));
        let tasks = [
            tokio::spawn(hand_over(Arc::clone(&nats))),
            tokio::spawn(subscribe(Arc::clone(&nats), Arc::clone(topics))),
        ];
        Ok(Link { nats, tasks })
    }

    /// Send what is left, for a second at most, and end the tasks.
    pub async fn stop(self) {
        let outbox = &self.nats.outbox;
        let sent = async {
            loop {
                let idle = outbox.idle.notified();
                if outbox.is_idle() {
                    break;
                }
                idle.await;
            }
            self.nats.client.flush().await.is_ok()
        };
        let is_sent = match self.nats.client.connection_state() {
            State::Connected => timeout(LAST_MESSAGES, sent).await == Ok(true),
            State::Pending | State::Disconnected => {
                outbox.is_idle() && !self.nats.waits_in_client.load(Ordering::Relaxed)
            }
        };
        if !is_sent {
            tracing::warn!(
                kind = "nats",
                "topics: the last messages did not reach NATS"
            );
        }
        for task in self.tasks {
            task.abort();
        }
        for task in self.nats.interest.tasks() {
            task.abort();
        }
    }
}

async fn hand_over(nats: Arc<Nats>) {
    loop {
        let message = nats.outbox.next().await;
        nats.send(&message).await;
    }
}

async fn subscribe(nats: Arc<Nats>, topics: Arc<Topics>) {
    loop {
        match nats.interest.next().await {
            Change::Unsubscribe(task) => {
                if let Some(task) = task {
                    // With the task the subscription goes.
                    task.abort();
                }
            }
            Change::Subscribe(pattern) => {
                let subject = format!("{}.{pattern}", nats.prefix);
                let Ok(subscription) = nats.client.subscribe(subject).await else {
                    continue;
                };
                let (link, topics) = (Arc::clone(&nats), Arc::clone(&topics));
                let name = pattern.clone();
                let task = tokio::spawn(receive(subscription, name, link, topics));
                nats.interest.received_by(&pattern, task.abort_handle());
            }
        }
    }
}

/// Deliver what comes under one pattern. The client drops what comes while
/// too many messages wait for this.
async fn receive(
    mut subscription: Subscriber,
    pattern: Box<str>,
    nats: Arc<Nats>,
    topics: Arc<Topics>,
) {
    let mut filled = 0;
    while let Some(message) = subscription.next().await {
        let NatsMessage {
            subject, payload, ..
        } = message;
        let (health, prefix) = (&nats.health, nats.prefix.as_str());
        let Published { receivers, visited } = match topic(prefix, &subject, payload.len()) {
            Some(topic) => take(health, &topics, &pattern, topic, &payload).await,
            None => {
                health.invalid(&subject, payload.len());
                Published::default()
            }
        };
        filled += 1 + receivers + visited;
        if filled >= SLICE {
            filled = 0;
            let_others_run().await;
        }
    }
}

/// The topic of a message under this subject, of so many bytes; `None` if it is none here.
fn topic<'a>(prefix: &str, subject: &'a str, bytes: usize) -> Option<&'a str> {
    let topic = subject.strip_prefix(prefix)?.strip_prefix('.')?;
    (is_topic(topic) && bytes <= MAX_MESSAGE).then_some(topic)
}

/// Deliver a message. The last who has subscribed may have left while it was on its way: then
/// nothing comes of it, and nothing is wrong with it.
async fn take(
    health: &Health,
    topics: &Topics,
    pattern: &str,
    topic: &str,
    payload: &[u8],
) -> Published {
    match topics.deliver(pattern, topic, payload).await {
        Some(published) => {
            health.received();
            published
        }
        None => Published::default(),
    }
}

#[cfg(test)]
mod tests {
    use hotsocket_sandbox::{Delivery, WhenFull};

    use super::*;
    use crate::topics::{Mailbox, Subscriber};

    #[test]
    fn what_is_none_here_has_no_topic() {
        assert_eq!(topic("a.b", "a.b.t.x", MAX_MESSAGE), Some("t.x"));
        for (subject, bytes) in [
            ("a.b.t", MAX_MESSAGE + 1),
            ("a.b.", 0),
            ("a.bt", 0),
            ("b.t", 0),
            ("a.b.t\u{7}", 0),
        ] {
            assert_eq!(topic("a.b", subject, bytes), None, "{subject:?}");
        }
    }

    #[tokio::test]
    async fn a_message_whose_last_subscriber_has_left_is_not_invalid() {
        let (health, topics) = (Health::new(Use::Topics, String::new()), Topics::default());
        let subscriber = Subscriber {
            mailbox: Mailbox::for_tests(1),
            delivery: Delivery::Event,
            when_full: WhenFull::Close,
            number: 1,
        };
        topics.subscribe("t", subscriber);
        assert_eq!(take(&health, &topics, "t", "t", b"x").await.receivers, 1);
        topics.unsubscribe("t", 1);
        assert_eq!(take(&health, &topics, "t", "t", b"x").await.receivers, 0);
        let status = health.status("", 0);
        assert_eq!((status.received, status.invalid), (1, 0));
    }
}
