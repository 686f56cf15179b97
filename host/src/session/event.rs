//! One event: call the guest, then apply what it asked for, or deal with its
//! trap.

use hotsocket_sandbox::limit_counters::Limit;
use hotsocket_sandbox::{Cause, Effects, Fault, Origin, SessionRequests, recycle};

use super::close::CloseCause;
use super::record::Recording;
use super::state::{Body, Session};
use crate::topics::Message;

/// An event for the guest, with what it takes to deliver it again to another
/// instance.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'a> {
    Data(&'a [u8]),
    Drained,
    End,
    Timer(u32),
    Message(&'a Message),
    Lagged(u64),
    /// The last one; never delivered again. [`super::close`] calls the guest,
    /// as it knows the reason.
    Close,
}

impl Session {
    /// Open the first instance, which has not had an event yet.
    pub async fn open(&mut self, origin: Origin) -> Result<(), CloseCause> {
        let window = self.window();
        let Body::Awake(instance) = &mut self.body else {
            return Ok(());
        };
        instance.set_window(window);
        let generation = self.generation.generation().number;
        let mut recording = Recording::of_open(self.entry.handle(), generation, instance, &origin);
        let opened = instance.open(origin).await;
        if let Some(recording) = &mut recording {
            recording.stop(instance);
        }
        let effects = instance.take_effects();
        self.note_cpu();
        self.recording = recording;
        match opened {
            Ok(()) => {
                self.succeed(effects)?;
                match &self.recovery {
                    Some(recovery) if recovery.is_asked() => self.keep_snapshot().await,
                    _ => Ok(()),
                }
            }
            Err(fault) => {
                self.record_fault(&fault);
                Err(CloseCause::from_open(fault))
            }
        }
    }

    /// Call the guest for an event and apply what it asked for. An event that
    /// kills a successor in probation is delivered to its predecessor's code
    /// instead.
    pub async fn deliver(&mut self, event: Event<'_>) -> Result<(), CloseCause> {
        self.pace.begin_event();
        if self.is_asleep() {
            Box::pin(self.wake(event)).await?;
        }
        self.begin_event(event);
        let called = self.call(event).await;
        match called {
            Ok(effects) if self.probation.is_none() && self.recovery.is_none() => {
                self.succeed(effects)?;
            }
            called => Box::pin(self.settle(event, called)).await?,
        }
        self.note_activity();
        Ok(())
    }

    #[inline]
    fn succeed(&mut self, effects: Effects) -> Result<(), CloseCause> {
        self.record_success(&effects);
        self.apply(effects)
    }

    /// End probation, keep a snapshot for a restart, or deal with the fault: what few events
    /// need when they are over.
    async fn settle(
        &mut self,
        event: Event<'_>,
        called: Result<Effects, Fault>,
    ) -> Result<(), CloseCause> {
        match called.and_then(|effects| self.check_probation(event, effects)) {
            Ok(mut effects) => {
                if let Some(probation) = self.probation.take()
                    && let Err(cause) = self.end_probation(*probation)
                {
                    // The peer gets nothing more, but others do.
                    self.request_topics(effects.take_topics());
                    return Err(cause);
                }
                self.succeed(effects)?;
                match self.recovery {
                    Some(_) => self.keep_snapshot().await,
                    None => Ok(()),
                }
            }
            Err(fault) => {
                self.record_fault(&fault);
                self.handle_trap(fault, event).await
            }
        }
    }

    /// A successor's first event may not ask for more timers than there may be: that
    /// counts as a fault of the new code, so that its predecessor continues.
    fn check_probation(&self, event: Event<'_>, effects: Effects) -> Result<Effects, Fault> {
        let max = self.limits.max_timers;
        if self.probation.is_none() || self.timers.admit(&effects.timers, max) {
            return Ok(effects);
        }
        self.service.limit_counters.count(Limit::Timers);
        Err(Fault {
            event: event.function(),
            cause: Cause::TooManyTimers,
        })
    }

    /// The event has killed the instance: get another one, if there may be.
    async fn handle_trap(&mut self, fault: Fault, event: Event<'_>) -> Result<(), CloseCause> {
        // To walk a deep stack takes as long as many events, and what follows as well.
        self.let_others_run().await;
        let Some(probation) = self.probation.take() else {
            return self.restart(fault).await;
        };
        let deliver_again = self
            .return_to_predecessor(*probation, &fault, event)
            .await?;
        if !deliver_again {
            return Ok(());
        }
        self.begin_event(event);
        match self.call(event).await {
            Err(fault) => {
                self.record_fault(&fault);
                self.restart(fault).await
            }
            Ok(effects) => {
                self.succeed(effects)?;
                self.keep_snapshot().await
            }
        }
    }

    async fn call(&mut self, event: Event<'_>) -> Result<Effects, Fault> {
        let window = self.window();
        // What may have to be taken back is not sent before it is certain, and what
        // somebody looks at is all in the effects.
        let is_lent = self.probation.is_none()
            && self.recovery.is_none()
            && !self.awaits_tls()
            && self.recording.is_none();
        let Body::Awake(instance) = &mut self.body else {
            return Err(Fault::no_instance());
        };
        instance.set_window(window);
        if is_lent {
            instance.lend(self.channel.lend());
        }
        let called = match event {
            Event::Data(bytes) => instance.data(bytes).await,
            Event::Drained => instance.drained().await,
            Event::End => instance.end().await,
            Event::Timer(id) => instance.timer(id).await,
            // Code that takes no messages has followed code that does.
            Event::Message(_) | Event::Lagged(_) if !instance.is_subscriber() => Ok(()),
            Event::Message(message) => {
                let Message {
                    topic,
                    sender,
                    bytes,
                } = message;
                Box::pin(instance.message(topic, *sender, bytes)).await
            }
            Event::Lagged(missed) => Box::pin(instance.lagged(missed)).await,
            Event::Close => Ok(()),
        };
        let effects = instance.take_effects();
        self.channel.take_back(instance.take_back(), effects.sent);
        if let Some(recording) = &mut self.recording {
            recording.stop(instance);
        }
        self.note_cpu();
        called.map(|()| effects)
    }

    /// Apply what an event asked for.
    pub fn apply(&mut self, mut effects: Effects) -> Result<(), CloseCause> {
        let topics = effects.take_topics();
        let Effects {
            written,
            sent,
            is_blocked: _,
            failed,
            timers,
            awaits_drained,
            awaits_empty,
            end,
            abort,
            hold_open,
            session,
        } = effects;
        for (id, after) in timers {
            let max = self.limits.max_timers;
            if !self.timers.apply(id, after, max) {
                return Err(CloseCause::TooManyTimers);
            }
        }
        // The event has succeeded, and others hear of it, whatever has become of its peer.
        self.request_topics(topics);
        if let Some(error) = failed {
            return Err(CloseCause::PeerGone(error));
        }
        if abort {
            return Err(CloseCause::GuestAborted);
        }
        if hold_open {
            self.channel.hold_open();
        }
        let mut start_tls = None;
        if let Some(mut requests) = session {
            start_tls = requests.start_tls.take();
            self.apply_requests(*requests);
        }
        let moved = sent > 0 || !written.is_empty();
        match written.is_empty() {
            // The event may have sent what it had gathered.
            true => recycle(written),
            false => self.write(written)?,
        }
        if let Some(under_tls) = start_tls {
            self.await_tls(under_tls);
        }
        if moved {
            self.channel.note_sent(&self.limits);
        }
        if awaits_drained {
            self.channel.await_drained();
        }
        if awaits_empty {
            self.channel.await_empty();
        }
        if end {
            self.channel.end();
        }
        Ok(())
    }

    fn apply_requests(&mut self, requests: SessionRequests) {
        let SessionRequests {
            reading,
            checkpoint,
            label,
            ..
        } = requests;
        if let Some(reading) = reading {
            self.channel.set_reading(reading);
        }
        if checkpoint && let Some(recovery) = &mut self.recovery {
            recovery.await_checkpoint();
        }
        if let Some(label) = label {
            self.label = (!label.is_empty()).then(|| label.into_boxed_str());
            self.entry.handle().set_label(self.label.as_deref());
        }
    }
}
