//! The road out of an instance and into another one. Migration, rollback,
//! hibernation and restart all take it.
//!
//! Out: [`Session::take_snapshot`]. In: [`Session::enter`], which makes an
//! instance, opens it with the snapshot, and only then puts it in place of what
//! was there. Between the two the session is a value without any code; what
//! belongs to the connection (channel, timers, rollout) never moves.

use std::sync::Arc;

use hotsocket_sandbox::limit_counters::Limit;
use hotsocket_sandbox::{Cause, Effects, Event, Fault, Instance, Origin};

use super::record::{Entrance, Recording};
use super::state::{Body, Session};
use super::timers::Timers;
use crate::rollout::{Generation, GenerationGuard};

impl Session {
    /// The guest's state, for the next instance. `None` if the guest has none,
    /// or sleeps already.
    pub async fn take_snapshot(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        match &mut self.body {
            Body::Awake(instance) => instance.save().await,
            Body::Asleep(_) => Ok(None),
        }
    }

    /// Make an instance of a generation, open it, and put it in place. Until
    /// its `open` has succeeded nothing has changed. Timers that it sets there,
    /// in addition to `timers`, run at once; the other effects are returned.
    pub async fn enter(
        &mut self,
        generation: &Arc<Generation>,
        origin: Origin,
        timers: Timers,
        entrance: Entrance,
    ) -> Result<Effects, Fault> {
        // Where many instances die at once, the places are free only a moment later.
        let instance = self.wait_for_room(generation).await?;
        self.enter_with(instance, generation, origin, timers, entrance)
            .await
    }

    /// The same with an instance that has been made already.
    pub async fn enter_with(
        &mut self,
        mut instance: Instance,
        generation: &Arc<Generation>,
        origin: Origin,
        mut timers: Timers,
        entrance: Entrance,
    ) -> Result<Effects, Fault> {
        instance.set_window(self.window());
        let number = generation.number;
        let mut recording = Recording::of_open(self.entry.handle(), number, &mut instance, &origin);
        let opened = instance.open(origin).await;
        // What `open` has not asked for is nobody's any more.
        instance.give_kept(None);
        if let Some(recording) = &mut recording {
            recording.stop(&instance);
        }
        let effects = match opened.and_then(|()| self.arm(instance.take_effects(), &mut timers)) {
            Ok(effects) => effects,
            Err(fault) => {
                if let Some(recording) = recording {
                    recording.failed(self.entry.handle(), &fault);
                }
                instance.drop_in_background().await;
                return Err(fault);
            }
        };
        if let Some(recording) = recording {
            let from = self.generation.generation().number;
            self.record_entrance(entrance, from, number);
            self.record_open(recording, &effects, entrance);
        }
        self.timers = timers;
        self.install(instance).await;
        if self.generation.generation().number != generation.number {
            self.generation = GenerationGuard::new(Arc::clone(generation));
        }
        Ok(effects)
    }

    /// Set the timers that a successor asks for in `open`.
    fn arm(&self, mut effects: Effects, timers: &mut Timers) -> Result<Effects, Fault> {
        let max = self.limits.max_timers;
        for (id, after) in std::mem::take(&mut effects.timers) {
            if !timers.apply(id, after, max) {
                self.service.limit_counters.count(Limit::Timers);
                return Err(Fault {
                    event: Event::Open,
                    cause: Cause::TooManyTimers,
                });
            }
        }
        Ok(effects)
    }
}
