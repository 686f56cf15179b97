//! What taps see of a session (see [`crate::tap`]).
//!
//! A session asks at the begin of an event whether somebody looks ([`Session::begin_event`]),
//! and only then gathers what there is to see. An event is recorded when it has succeeded
//! or failed, before its effects are applied: what is shown as written is written next. A
//! watched event is lent no socket, so that all of what it writes is in its effects.

use std::borrow::Cow;
use std::time::Instant;

use hotsocket_sandbox::{self as sandbox, Effects, Fault, Instance, Origin, TlsFacts, one_line};

use super::event::Event;
use super::state::{Body, Session};
use crate::channel::Traffic;
use crate::roster::SessionHandle;
use crate::tap::{Bytes, EventRecord, Mark, MarkKind, What, in_words};
use crate::topics::Message;

/// An event in progress that somebody looks at.
pub(super) struct Recording {
    record: EventRecord,
    began: Instant,
}

/// Why a session enters an instance, and what becomes of what its `open` asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entrance {
    pub kind: MarkKind,
    /// It waits for the end of probation.
    pub is_held: bool,
}

impl Entrance {
    /// Generations differ: which is the later one says what this is.
    pub fn of_migration(from: u64, to: u64) -> Self {
        Entrance {
            kind: match to < from {
                true => MarkKind::Rollback,
                false => MarkKind::Swap,
            },
            is_held: true,
        }
    }

    /// What has happened, for people.
    fn text(self, from: u64, to: u64) -> String {
        match self.kind {
            MarkKind::Swap => format!("swapped: generation {to} takes over from {from}"),
            MarkKind::Rollback => format!("rolled back: generation {to} takes over from {from}"),
            MarkKind::Restart => format!("restarted on generation {to}"),
            _ if from != to => format!("awake on generation {to}, asleep it was on {from}"),
            _ => format!("awake on generation {to}"),
        }
    }
}

impl Event<'_> {
    /// The function that is called for it.
    pub fn function(&self) -> sandbox::Event {
        match self {
            Event::Data(_) => sandbox::Event::Data,
            Event::Drained => sandbox::Event::Drained,
            Event::End => sandbox::Event::End,
            Event::Timer(_) => sandbox::Event::Timer,
            Event::Message(_) => sandbox::Event::Message,
            Event::Lagged(_) => sandbox::Event::Lagged,
            Event::Close => sandbox::Event::Close,
        }
    }
}

/// The name of an origin in records, as in the contract.
pub(super) fn origin_name(origin: &Origin) -> &'static str {
    match origin {
        Origin::Accepted => "accepted",
        Origin::Migrated(_) => "migrated",
        Origin::Woken(_) => "woken",
        Origin::Restarted(_) => "restarted",
    }
}

/// The connection is over.
pub(super) fn closed_mark(cause: &'static str, traffic: Traffic) -> Mark {
    let Traffic {
        bytes_in,
        bytes_out,
    } = traffic;
    let text = format!("closed: {cause}; {bytes_in} bytes in, {bytes_out} bytes out");
    Mark {
        cause: Some(cause),
        ..Mark::new(MarkKind::Closed, text)
    }
}

impl Recording {
    #[cold]
    fn new(event: sandbox::Event, generation: u64, instance: Option<&mut Instance>) -> Box<Self> {
        if let Some(instance) = instance {
            instance.measure_next();
        }
        Box::new(Recording {
            record: EventRecord {
                event: event.name(),
                generation,
                ..EventRecord::default()
            },
            began: Instant::now(),
        })
    }

    /// For the `open` of an instance, if somebody looks.
    pub fn of_open(
        session: &SessionHandle,
        generation: u64,
        instance: &mut Instance,
        origin: &Origin,
    ) -> Option<Box<Self>> {
        if !session.begin_event(sandbox::Event::Open) {
            return None;
        }
        let mut recording = Recording::new(sandbox::Event::Open, generation, Some(instance));
        recording.record.origin = Some(origin_name(origin));
        Some(recording)
    }

    /// For the last event, if somebody looks.
    pub fn of_close(
        session: &SessionHandle,
        generation: u64,
        instance: &mut Instance,
        reason: &'static str,
    ) -> Option<Box<Self>> {
        if !session.begin_event(sandbox::Event::Close) {
            return None;
        }
        let mut recording = Recording::new(sandbox::Event::Close, generation, Some(instance));
        recording.record.reason = Some(reason);
        Some(recording)
    }

    /// The event is over; what comes of it is known later.
    pub fn stop(&mut self, instance: &Instance) {
        self.record.wall = self.began.elapsed();
        // Ticks are coarser than what an event takes.
        let cpu = instance.last_cpu();
        self.record.cpu = cpu.map(|cpu| cpu.min(self.record.wall));
    }

    /// It has succeeded, and so much of what it has written goes out.
    pub fn succeeded(mut self: Box<Self>, session: &SessionHandle, effects: &Effects, out: &[u8]) {
        self.record.effects = in_words(effects);
        self.record.output = Bytes::new(out);
        session.record(What::Event(Box::new(self.record)));
    }

    /// It has failed, and nothing goes out.
    pub fn failed(mut self: Box<Self>, session: &SessionHandle, fault: &Fault) {
        let fault = fault.to_string();
        self.record.fault = Some(one_line(&fault));
        session.record(What::Event(Box::new(self.record)));
    }
}

impl Session {
    /// The guest is about to be called for an event: record it if somebody looks, until
    /// [`Self::record_success`] or [`Self::record_fault`].
    pub fn begin_event(&mut self, event: Event<'_>) {
        if self.entry.handle().begin_event(event.function()) {
            self.begin_recording(event);
        }
    }

    #[cold]
    fn begin_recording(&mut self, event: Event<'_>) {
        let generation = self.generation.generation().number;
        let instance = match &mut self.body {
            Body::Awake(instance) => Some(instance),
            Body::Asleep(_) => None,
        };
        let mut recording = Recording::new(event.function(), generation, instance);
        let record = &mut recording.record;
        match event {
            Event::Data(bytes) => record.input = Bytes::new(bytes),
            Event::Timer(id) => record.timer = Some(id),
            Event::Message(message) => {
                record.topic = Some((*message.topic).into());
                record.sender = Some(message.sender);
                record.input = Bytes::new(&message.bytes);
            }
            Event::Lagged(missed) => record.missed = Some(missed),
            Event::Drained | Event::End | Event::Close => {}
        }
        self.recording = Some(recording);
    }

    /// The event has succeeded; its effects are applied next.
    #[inline]
    pub fn record_success(&mut self, effects: &Effects) {
        if self.recording.is_some() {
            self.end_recording(effects);
        }
    }

    #[cold]
    fn end_recording(&mut self, effects: &Effects) {
        if let Some(recording) = self.recording.take() {
            let out = self.goes_out(effects);
            recording.succeeded(self.entry.handle(), effects, &out);
        }
    }

    pub fn record_fault(&mut self, fault: &Fault) {
        if let Some(recording) = self.recording.take() {
            recording.failed(self.entry.handle(), fault);
        }
    }

    /// What of the effects is written once they are applied, also what follows under TLS:
    /// nothing if that ends the session.
    pub fn goes_out<'a>(&self, effects: &'a Effects) -> Cow<'a, [u8]> {
        let ends = effects.abort
            || effects.failed.is_some()
            || !self.timers.admit(&effects.timers, self.limits.max_timers);
        let session = effects.session.as_deref();
        match session.and_then(|requests| requests.start_tls.as_ref()) {
            _ if ends => Cow::Borrowed(&[]),
            Some(under_tls) if !under_tls.is_empty() => {
                Cow::Owned([&effects.written[..], under_tls].concat())
            }
            _ => Cow::Borrowed(&effects.written),
        }
    }

    /// Something has happened besides an event.
    pub fn record_mark(&self, mark: impl FnOnce() -> Mark) {
        let session = self.entry.handle();
        if session.is_tapped() {
            session.record(What::Mark(mark()));
        }
    }

    /// An instance of another generation, or a fresh one, has opened.
    pub fn record_entrance(&self, entrance: Entrance, from: u64, to: u64) {
        self.record_mark(|| Mark {
            from: Some(from),
            to: Some(to),
            ..Mark::new(entrance.kind, entrance.text(from, to))
        });
    }

    /// Its `open` has succeeded.
    pub fn record_open(
        &self,
        mut recording: Box<Recording>,
        effects: &Effects,
        entrance: Entrance,
    ) {
        recording.record.is_held = entrance.is_held;
        let out = self.goes_out(effects);
        recording.succeeded(self.entry.handle(), effects, &out);
    }

    /// What the successor has held back is applied next.
    pub fn record_end_of_probation(&self, out: &[u8]) {
        self.record_mark(|| {
            let kind = MarkKind::ProbationEnded;
            let text = match out.len() {
                0 => "the new code has stood its first event".to_owned(),
                count => format!("the new code has stood its first event: {count} bytes held back"),
            };
            Mark {
                out: Some(Bytes::new(out)),
                ..Mark::new(kind, text)
            }
        });
    }

    /// The transport is one under TLS from now on.
    pub fn record_secured(&self, tls: &TlsFacts) {
        self.record_mark(|| {
            let text = format!("TLS has begun: {}", tls.version);
            Mark::new(MarkKind::Secured, one_line(&text))
        });
    }

    /// The host writes a message to the peer by itself.
    pub fn record_direct(&self, message: &Message) {
        let session = self.entry.handle();
        if session.is_tapped() {
            session.record(What::Direct {
                topic: (*message.topic).into(),
                out: Bytes::new(&message.bytes),
            });
        }
    }

    /// What the last events took, for those who look at all connections.
    pub fn note_cpu(&mut self) {
        if let Body::Awake(instance) = &mut self.body {
            let used = instance.take_cpu();
            if !used.is_zero() {
                self.entry.handle().add_cpu(used);
            }
        }
    }
}
