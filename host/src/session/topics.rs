//! What a session has to do with topics: it carries out what its guest has asked for,
//! and takes what is in its mailbox to the peer or to the guest.
//!
//! Subscriptions, mailbox and will belong to the session, so neither a swap nor sleep
//! touches them. A session whose guest has nothing to do with topics has none of this.

use std::sync::Arc;

use hotsocket_sandbox::limit_counters::Limit;
use hotsocket_sandbox::{Publication, TopicRequest, WhenFull};
use tokio::time::Instant;

use super::close::CloseCause;
use super::event::Event;
use super::fan_out::Budget;
use super::log::logged;
use super::state::Session;
use super::subscriptions::Subscriptions;
use crate::topics::{Mail, Mailbox, Message, Published, Subscriber, Topics};

/// Messages for the peer up to this size, in bytes, are put together and sent at once.
const GATHERED: usize = 16 << 10;
/// What a message costs in addition to its bytes, once and for each receiver, as it takes
/// time even if it is empty and nobody gets it; and each node of the patterns' trie that
/// is visited.
const OVERHEAD: usize = 64;
/// See the module's documentation.
pub(super) struct SessionTopics {
    topics: Arc<Topics>,
    connection: u64,
    /// What the guest has asked for, not carried out yet.
    due: Vec<TopicRequest>,
    /// Made with the first subscription.
    mailbox: Option<Arc<Mailbox>>,
    subscriptions: Subscriptions,
    will: Option<Box<Publication>>,
    /// Events were left in the mailbox.
    more: bool,
    /// Made with the first message that is published.
    budget: Option<Box<Budget>>,
}

impl SessionTopics {
    fn new(topics: Arc<Topics>, connection: u64) -> Self {
        SessionTopics {
            topics,
            connection,
            due: Vec::new(),
            mailbox: None,
            subscriptions: Subscriptions::default(),
            will: None,
            more: false,
            budget: None,
        }
    }

    /// Whether something is in the mailbox that can be taken out now.
    fn has_mail(&self, with_event: bool) -> bool {
        let mailbox = self.mailbox.as_ref();
        mailbox.is_some_and(|mailbox| mailbox.is_due()) || (self.more && with_event)
    }

    fn unsubscribe(&mut self, pattern: &str) {
        if self.subscriptions.remove(pattern) {
            self.topics.unsubscribe(pattern, self.connection);
        }
    }
}

impl Drop for SessionTopics {
    fn drop(&mut self) {
        for pattern in self.subscriptions.patterns() {
            self.topics.unsubscribe(pattern, self.connection);
        }
    }
}

impl Session {
    /// Keep what an event has asked for until it can be carried out.
    pub fn request_topics(&mut self, mut requests: Vec<TopicRequest>) {
        if requests.is_empty() {
            return;
        }
        let connection = self.connection().id;
        let topics = self.topics.get_or_insert_with(|| {
            let topics = Arc::clone(&self.service.topics);
            Box::new(SessionTopics::new(topics, connection))
        });
        topics.due.append(&mut requests);
    }

    /// Whether the last events have asked for something that is not carried out.
    pub fn has_requests(&self) -> bool {
        let topics = self.topics.as_ref();
        topics.is_some_and(|topics| !topics.due.is_empty())
    }

    /// Carry out what the last events have asked for, and take what is in the mailbox:
    /// all that is for the peer, and one event at most.
    pub async fn exchange_messages(&mut self) -> Result<(), CloseCause> {
        if self.topics.is_none() {
            return Ok(());
        }
        self.carry_out_requests().await?;
        self.is_held();
        let takes_event = self.takes_messages();
        if !self.has_mail(takes_event) {
            return Ok(());
        }
        match self.take_mail(takes_event)? {
            (0, None) => Ok(()),
            (missed, message) => Box::pin(self.call_subscriber(missed, message)).await,
        }
    }

    /// Carry out what the last events have asked for.
    pub async fn carry_out_requests(&mut self) -> Result<(), CloseCause> {
        match &self.topics {
            Some(topics) if !topics.due.is_empty() => Box::pin(self.carry_out()).await,
            _ => Ok(()),
        }
    }

    fn has_mail(&self, with_event: bool) -> bool {
        let topics = self.topics.as_ref();
        topics.is_some_and(|topics| topics.has_mail(with_event))
    }

    /// Whether the guest may be called with a message now.
    pub fn takes_messages(&self) -> bool {
        let waits = self.held_until().is_some() || self.channel.awaits_drained();
        !waits && !self.keeps_messages()
    }

    /// New code that takes no messages has not had its first event with one: its
    /// predecessor may still get it.
    fn keeps_messages(&self) -> bool {
        self.probation.is_some() && !self.is_subscriber()
    }

    fn is_subscriber(&self) -> bool {
        self.generation.generation().guest.is_subscriber()
    }

    /// Whether a message may still come without the guest doing anything.
    pub fn may_get_message(&self) -> bool {
        let topics = self.topics.as_ref();
        topics.is_some_and(|topics| topics.subscriptions.has_events()) && self.is_subscriber()
    }

    /// Whether [`Self::exchange_messages`] would do something.
    pub fn may_exchange(&self, with_event: bool) -> bool {
        let topics = self.topics.as_ref();
        topics.is_some_and(|topics| !topics.due.is_empty() || topics.has_mail(with_event))
    }

    /// Until when no event may come, because the guest has published much.
    pub fn held_until(&self) -> Option<Instant> {
        self.topics.as_ref()?.budget.as_ref()?.held_until
    }

    /// Whether events may come now.
    pub fn is_held(&mut self) -> bool {
        let budget = self
            .topics
            .as_mut()
            .and_then(|topics| topics.budget.as_mut());
        let Some(budget) = budget else {
            return false;
        };
        if budget
            .held_until
            .is_some_and(|until| until <= Instant::now())
        {
            budget.held_until = None;
        }
        budget.held_until.is_some()
    }

    async fn carry_out(&mut self) -> Result<(), CloseCause> {
        let Some(topics) = &mut self.topics else {
            return Ok(());
        };
        let mut requests = std::mem::take(&mut topics.due).into_iter().peekable();
        let mut carried_out = Ok(());
        while let Some(request) = requests.next() {
            let Some(topics) = &mut self.topics else {
                return Ok(());
            };
            match request {
                TopicRequest::Subscribe {
                    pattern,
                    delivery,
                    when_full,
                } => {
                    let max = self.limits.max_subscriptions;
                    if let Some(number) = topics.subscriptions.add(&pattern, delivery, max) {
                        let max = self.limits.max_mailbox;
                        let mailbox = topics.mailbox.get_or_insert_with(|| {
                            let session = Arc::clone(self.entry.handle());
                            Arc::new(Mailbox::new(session, max))
                        });
                        let subscriber = Subscriber {
                            mailbox: Arc::clone(mailbox),
                            delivery,
                            when_full,
                            number,
                        };
                        self.service.topics.subscribe(&pattern, subscriber);
                    } else {
                        // The connection is over, but what it says to others is not.
                        carried_out = Err(CloseCause::TooManySubscriptions);
                    }
                }
                TopicRequest::Unsubscribe(pattern) => topics.unsubscribe(&pattern),
                TopicRequest::SetWill(will) => topics.will = will.map(Box::new),
                TopicRequest::Publish(Publication { topic, bytes }) => {
                    // Messages under one topic go to each subscriber together, and so
                    // with one system call.
                    let mut messages = vec![bytes];
                    let is_same = |next: &TopicRequest| matches!(next, TopicRequest::Publish(next) if next.topic == topic);
                    while let Some(TopicRequest::Publish(next)) = requests.next_if(is_same) {
                        messages.push(next.bytes);
                    }
                    self.publish(&topic, messages).await;
                }
            }
            // Thousands may follow.
            if requests.peek().is_some() {
                self.pace.begin_event();
                self.give_way().await;
            }
        }
        carried_out
    }

    async fn publish(&mut self, topic: &str, messages: Vec<Box<[u8]>>) {
        let length: usize = messages.iter().map(|bytes| bytes.len() + OVERHEAD).sum();
        let count = messages.len();
        let connection = self.connection();
        let topics = &self.service.topics;
        let Published { receivers, visited } = topics.publish(topic, messages, connection.id).await;
        // NATS is one more, whoever is behind it.
        let receivers = receivers + usize::from(topics.has_nats());
        let to_find = OVERHEAD.saturating_mul(count + visited) as u64;
        let cost = (length as u64).saturating_mul(receivers as u64);
        let cost = cost.saturating_add(to_find);
        let Some(topics) = &mut self.topics else {
            return;
        };
        let each_second = self.limits.max_fan_out as u64;
        let budget = topics.budget.get_or_insert_default();
        if budget.charge(cost, each_second, Instant::now()) {
            let number = self.generation.generation().number;
            self.service.limit_counters.warn(
                Limit::FanOut,
                logged(connection, number, self.label.as_deref()),
                "it publishes more than it may, and waits",
            );
        }
    }

    /// Write what is for the peer. Returns what is for the guest: how many messages it
    /// has missed, and the next one.
    fn take_mail(&mut self, with_event: bool) -> Result<(u64, Option<Arc<Message>>), CloseCause> {
        let keeps_messages = self.keeps_messages();
        let topics = self.topics.as_mut();
        let Some((topics, mailbox)) = topics.and_then(|topics| {
            let mailbox = topics.mailbox.as_ref()?;
            if keeps_messages {
                // For the code that is awake they would be lost anyway.
                self.service.topics.note_dropped(mailbox.make_room());
            }
            let mail = mailbox.take(with_event);
            Some((topics, mail))
        }) else {
            return Ok((0, None));
        };
        let Mail {
            direct,
            missed,
            event,
            more,
            is_over,
        } = mailbox;
        topics.more = more;
        if !direct.is_empty() {
            self.write_direct(direct)?;
        }
        match is_over {
            true => Err(CloseCause::MailboxFull),
            false => Ok((missed, event)),
        }
    }

    async fn call_subscriber(
        &mut self,
        missed: u64,
        message: Option<Arc<Message>>,
    ) -> Result<(), CloseCause> {
        if missed > 0 {
            self.deliver(Event::Lagged(missed)).await?;
        }
        match message {
            Some(message) => self.deliver(Event::Message(&message)).await,
            None => Ok(()),
        }
    }

    /// Write messages to the peer, whole and in order.
    fn write_direct(
        &mut self,
        messages: impl IntoIterator<Item = (Arc<Message>, WhenFull)>,
    ) -> Result<(), CloseCause> {
        let mut gathered = Vec::new();
        let mut messages = messages.into_iter().peekable();
        while let Some((message, when_full)) = messages.next() {
            let window = self.channel.window(gathered.len(), self.limits.max_queue);
            if !window.writable {
                return Ok(());
            }
            if !window.admits(message.bytes.len()) {
                self.service.topics.note_dropped(1);
                match when_full {
                    WhenFull::Close => return Err(CloseCause::QueueFull),
                    WhenFull::DropOldest => continue,
                }
            }
            self.record_direct(&message);
            let is_alone = gathered.is_empty() && messages.peek().is_none();
            if message.bytes.len() <= GATHERED && !is_alone {
                gathered.extend_from_slice(&message.bytes);
                continue;
            }
            self.send_direct(std::mem::take(&mut gathered))?;
            let sent = self.channel.write_shared(&message.bytes);
            sent.map_err(CloseCause::PeerGone)?;
        }
        self.send_direct(gathered)?;
        self.channel.note_sent(&self.limits);
        Ok(())
    }

    fn send_direct(&mut self, bytes: Vec<u8>) -> Result<(), CloseCause> {
        match bytes.is_empty() {
            true => Ok(()),
            false => self
                .channel
                .write_between(bytes)
                .map_err(CloseCause::PeerGone),
        }
    }

    /// The session is over: publish what is left to be published, and the will.
    pub async fn leave_topics(&mut self) {
        if self.topics.is_none() {
            return;
        }
        // What cannot be carried out any more is no reason to end what is over.
        let _ = Box::pin(self.carry_out()).await;
        let Some(mut topics) = self.topics.take() else {
            return;
        };
        let will = topics.will.take();
        drop(topics);
        if let Some(will) = will {
            let Publication { topic, bytes } = *will;
            let sender = self.connection().id;
            self.service
                .topics
                .publish(&topic, vec![bytes], sender)
                .await;
        }
    }
}
