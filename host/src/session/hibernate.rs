//! A quiet session's instance is saved and dropped, and made again before the
//! next event: with `--hibernate-after`, a connection at rest costs its socket
//! and its snapshot.
//!
//! The channel, the timers and the rollout belong to the session, so a sleeping
//! one continues to read, write and keep time; only events wake it. A swap
//! doesn't: the session is marked, and the new code opens it at its next event,
//! in probation as after any migration.
//!
//! What never sleeps: a guest whose `save` returns nothing or who says that it must
//! stay awake (`hotsocket:session/hibernation`), a successor in probation, and a
//! connection that nothing could wake any more.

use std::sync::Arc;
use std::time::Duration;

use hotsocket_sandbox::{Cause, Effects, Fault, Instance, Origin, Succession};
use tokio::time::{Instant, sleep};

use super::close::CloseCause;
use super::event::Event;
use super::migrate::Probation;
use super::record::Entrance;
use super::state::{Body, Session};
use crate::rollout::{Generation, GenerationGuard, Rollout};
use crate::service::{Counters, Service};
use crate::tap::{Mark, MarkKind};

/// Between two attempts to wake when there is no room for an instance.
const PAUSE: Duration = Duration::from_millis(20);

/// What is left of an instance that sleeps.
pub(super) struct Asleep {
    snapshot: Vec<u8>,
    /// What the guest keeps in addition to it, for an instance of the same code.
    kept: Option<Vec<u8>>,
    /// A rollout has been applied meanwhile: the next instance is a successor.
    migrated: bool,
    /// For the number of those asleep.
    service: Arc<Service>,
}

impl Asleep {
    fn new(snapshot: Vec<u8>, kept: Option<Vec<u8>>, service: Arc<Service>) -> Self {
        service.roster.fell_asleep();
        Counters::count(&service.counters.hibernated);
        Asleep {
            snapshot,
            kept,
            migrated: false,
            service,
        }
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        self.service.roster.woke_up();
    }
}

impl Session {
    /// When the instance has been quiet for long enough.
    pub fn hibernate_at(&self) -> Option<Instant> {
        Some(self.quiet_since? + self.limits.hibernate_after?)
    }

    /// An event has been delivered.
    pub fn note_activity(&mut self) {
        if self.limits.hibernate_after.is_some() {
            self.quiet_since = Some(Instant::now());
            self.stays_awake = None;
        }
    }

    /// Save and drop the instance if it is time.
    pub async fn hibernate_if_due(&mut self) -> Result<(), CloseCause> {
        if self.hibernate_at().is_none_or(|time| time > Instant::now()) {
            return Ok(());
        }
        // Whatever comes of it, it is not tried again before the next event.
        self.quiet_since = None;
        Box::pin(self.hibernate()).await
    }

    async fn hibernate(&mut self) -> Result<(), CloseCause> {
        let wakes = self.channel.may_call() || self.timers.next().is_some();
        if !wakes || self.probation.is_some() || self.is_asleep() {
            return Ok(());
        }
        let mut snapshot = match self.take_snapshot().await {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => {
                self.stay_awake(None);
                return Ok(());
            }
            Err(fault) if fault.is_fatal() => return self.restart(fault).await,
            Err(fault) => {
                self.stay_awake(Some(fault.to_string()));
                return Ok(());
            }
        };
        let mut kept = None;
        if let Body::Awake(instance) = &mut self.body {
            kept = instance.take_keeps();
            if let Some(why) = instance.stays_awake() {
                self.stay_awake(Some(why));
                return Ok(());
            }
        }
        let (all, max) = (
            snapshot.len() + kept.as_ref().map_or(0, Vec::len),
            self.limits.max_snapshot,
        );
        if all > max {
            let why = format!("it would keep {all} bytes; --max-snapshot allows {max}");
            self.stay_awake(Some(why));
            return Ok(());
        }
        snapshot.shrink_to_fit();
        if let Some(recovery) = &mut self.recovery {
            recovery.renew(Some(snapshot.clone()));
        }
        let asleep = Body::Asleep(Asleep::new(snapshot, kept, Arc::clone(&self.service)));
        if let Body::Awake(instance) = std::mem::replace(&mut self.body, asleep) {
            instance.drop_in_background().await;
        }
        self.alarm = None;
        self.record_mark(|| {
            let text = format!("asleep: {all} bytes are kept of it");
            Mark::new(MarkKind::Asleep, text)
        });
        Ok(())
    }

    /// Leave the instance awake until the next event, for the guest's reason or
    /// because there is nothing to save.
    fn stay_awake(&mut self, why: Option<String>) {
        let said = match &mut self.body {
            Body::Awake(instance) => instance.stays_awake(),
            Body::Asleep(_) => None,
        };
        let why = why.or(said);
        let why = why.as_deref().unwrap_or("nothing to save");
        self.log_stays_awake(why);
        self.stays_awake = Some(self.service.awake_reasons.count(why));
    }

    /// Apply a rollout to a session that sleeps: only its next instance is
    /// another one. False if it is awake.
    pub fn migrate_asleep(&mut self, rollout: &Arc<Rollout>) -> bool {
        let Body::Asleep(asleep) = &mut self.body else {
            return false;
        };
        // Only a session with a snapshot can sleep.
        rollout.stats.migrated(true);
        let drain = self.rollout.drain.take();
        let (old, drain) = match self.probation.take() {
            Some(probation) => (probation.old, drain.or(probation.drain)),
            None => (Arc::clone(self.generation.generation()), drain),
        };
        // Back on the code that it fell asleep with, it is no successor any more.
        asleep.migrated = old.number != rollout.generation.number;
        if asleep.migrated {
            self.probation = Some(Box::new(Probation {
                old,
                snapshot: Some(asleep.snapshot.clone()),
                timers: self.timers.clone(),
                drain,
                rollout: Arc::clone(rollout),
                // It has one when it begins to migrate, at its next event.
                position: usize::MAX,
                held_back: Effects::default(),
            }));
        }
        let (from, to) = (
            self.generation.generation().number,
            rollout.generation.number,
        );
        self.record_entrance(Entrance::of_migration(from, to), from, to);
        self.generation = GenerationGuard::new(Arc::clone(&rollout.generation));
        true
    }

    /// Make the instance that the event is for, if the session sleeps. One that
    /// cannot begin is dealt with as if the event had killed it.
    pub async fn wake(&mut self, event: Event<'_>) -> Result<(), CloseCause> {
        let Body::Asleep(asleep) = &mut self.body else {
            return Ok(());
        };
        Counters::count(&self.service.counters.woken);
        // An `end` that is still to be delivered has not ended it.
        let peer_ended = self.channel.peer_ended() && !matches!(event, Event::End);
        let succession = Succession {
            // Nobody needs it here any more: on failure the one of the probation
            // or of the recovery is taken, or the session is over.
            snapshot: Some(std::mem::take(&mut asleep.snapshot)),
            peer_ended,
        };
        let kept = asleep.kept.take();
        let (origin, kept) = match asleep.migrated {
            true => (Origin::Migrated(succession), None),
            false => (Origin::Woken(succession), kept),
        };
        if let Some(probation) = &mut self.probation {
            probation.position = probation.rollout.stats.begin_migration();
        }
        match self.enter_when_there_is_room(origin, kept).await {
            Ok(effects) => match &mut self.probation {
                None => self.apply(effects),
                Some(probation) => {
                    probation.held_back = effects;
                    Ok(())
                }
            },
            Err(fault) => match self.probation.take() {
                // The event is still to come.
                None => self.restart_with(fault, peer_ended, 0).await,
                Some(mut probation) => {
                    // That the machine is full says nothing about the new code.
                    if matches!(fault.cause, Cause::NoRoom(_)) {
                        probation.position = usize::MAX;
                    }
                    self.return_to_predecessor(*probation, &fault, event)
                        .await
                        .map(|_deliver_again| ())
                }
            },
        }
    }

    async fn enter_when_there_is_room(
        &mut self,
        origin: Origin,
        kept: Option<Vec<u8>>,
    ) -> Result<Effects, Fault> {
        let generation = Arc::clone(self.generation.generation());
        let mut instance = self.wait_for_room(&generation).await?;
        instance.give_kept(kept);
        let timers = self.timers.clone();
        let entrance = Entrance {
            kind: MarkKind::Woke,
            is_held: self.probation.is_some(),
        };
        self.enter_with(instance, &generation, origin, timers, entrance)
            .await
    }

    /// An instance of this generation. More sessions may sleep than there is room
    /// for instances, or migrate at once to a guest whose instances take much of it;
    /// then one that has none yet waits a little.
    pub async fn wait_for_room(&mut self, generation: &Arc<Generation>) -> Result<Instance, Fault> {
        let service = Arc::clone(&self.service);
        let connection = self.served();
        let end = Instant::now() + self.limits.event_timeout;
        loop {
            let (guest, number) = (&generation.guest, generation.number);
            match service
                .sandbox
                .instantiate(guest, Some(connection.clone()), number)
                .await
            {
                Err(fault) if matches!(fault.cause, Cause::NoRoom(_)) && Instant::now() < end => {
                    sleep(PAUSE).await;
                }
                made => return made,
            }
        }
    }
}
