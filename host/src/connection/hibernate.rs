//! A quiet connection's instance is saved and dropped, and comes back before
//! the next event: with `--hibernate-after`, a connection at rest costs its
//! socket and its snapshot.
//!
//! The socket, the outbox, the timers and the phase are the driver's, so a
//! sleeping connection goes on reading, writing and keeping time; only events
//! wake it. A swap doesn't: the connection is marked, and the new code opens it
//! at its next event, in probation as after any migration.
//!
//! What never sleeps: a guest whose `save` gives nothing, a successor in
//! probation, and a connection that nothing could wake any more.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::driver::{Driver, Event};
use super::ending::Ending;
use super::migrate::{Probation, run_timers};
use super::{Context, Counters};
use crate::registry::{Hold, Order};
use crate::runtime::{Cause, Effects, Fault, Instance, Origin, Succession};

/// Between two attempts to wake when there is no room for an instance.
const PAUSE: Duration = Duration::from_millis(20);

/// What is left of an instance that sleeps.
pub(super) struct Sleep {
    snapshot: Vec<u8>,
    /// A swap has come over it: the next instance is a successor.
    migrated: bool,
    context: Arc<Context>,
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let asleep = &self.context.counters.asleep;
        asleep.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Driver {
    /// When the instance has been quiet for long enough.
    pub(super) fn bedtime(&self) -> Option<Instant> {
        Some(self.quiet_since? + self.context.limits.hibernate_after?)
    }

    /// An event has been given.
    pub(super) fn stirred(&mut self) {
        if self.context.limits.hibernate_after.is_some() {
            self.quiet_since = Some(Instant::now());
        }
    }

    /// Save and drop the instance if it is time.
    pub(super) async fn hibernate_if_due(&mut self) -> Result<(), Ending> {
        if self.bedtime().is_none_or(|time| time > Instant::now()) {
            return Ok(());
        }
        // Whatever comes of it, it is not tried again before the next event.
        self.quiet_since = None;
        Box::pin(self.hibernate()).await
    }

    async fn hibernate(&mut self) -> Result<(), Ending> {
        let wakes = !self.phase.peer_ended || self.phase.full || self.timers.next().is_some();
        if !wakes || self.probation.is_some() {
            return Ok(());
        }
        let Some(instance) = &mut self.instance else {
            return Ok(());
        };
        let mut snapshot = match instance.save().await {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => {
                tracing::debug!(
                    "connection {}: stays awake: nothing to save",
                    self.ends().id
                );
                return Ok(());
            }
            Err(fault) if fault.is_fatal() => return self.survive(fault).await,
            Err(fault) => {
                tracing::debug!("connection {}: stays awake: {fault}", self.ends().id);
                return Ok(());
            }
        };
        snapshot.shrink_to_fit();
        if let Some(recovery) = &mut self.recovery {
            recovery.renew(Some(snapshot.clone()));
        }
        if let Some(instance) = self.instance.take() {
            instance.retire();
        }
        self.context.counters.asleep.fetch_add(1, Ordering::Relaxed);
        Counters::count(&self.context.counters.hibernated);
        self.sleep = Some(Sleep {
            snapshot,
            migrated: false,
            context: Arc::clone(&self.context),
        });
        self.alarm = None;
        Ok(())
    }

    /// A swap finds the instance asleep: only its next one is another. False
    /// if it is awake.
    pub(super) fn migrate_asleep(&mut self, order: &Arc<Order>) -> bool {
        let Some(sleep) = &mut self.sleep else {
            return false;
        };
        let place = order.tally.attempt();
        order.tally.migrated();
        let old = match self.probation.take() {
            Some(probation) => probation.old,
            None => Arc::clone(self.hold.generation()),
        };
        // Back where it fell asleep, it is not a successor any more.
        sleep.migrated = old.number != order.generation.number;
        if sleep.migrated {
            self.probation = Some(Box::new(Probation {
                old,
                snapshot: Some(sleep.snapshot.clone()),
                timers: self.timers.clone(),
                order: Arc::clone(order),
                place,
                held: Effects::default(),
            }));
        }
        self.hold = Hold::new(Arc::clone(&order.generation));
        true
    }

    /// Make the instance that the event is for, if it sleeps. One that cannot
    /// begin is dealt with as if the event had killed it.
    pub(super) async fn wake(&mut self, event: Event<'_>) -> Result<(), Ending> {
        let Some(mut sleep) = self.sleep.take() else {
            return Ok(());
        };
        Counters::count(&self.context.counters.woken);
        let succession = Succession {
            snapshot: Some(std::mem::take(&mut sleep.snapshot)),
            // An `end` that is still to be called has not ended it.
            peer_ended: self.phase.peer_ended && !matches!(event, Event::End),
        };
        let origin = match sleep.migrated {
            true => Origin::Migrated(succession),
            false => Origin::Woken(succession),
        };
        match self.awake(origin).await {
            Ok(effects) => match &mut self.probation {
                None => self.apply(effects),
                Some(probation) => {
                    probation.held = effects;
                    Ok(())
                }
            },
            Err(fault) => match self.probation.take() {
                None => self.survive(fault).await,
                Some(probation) => self.return_to_predecessor(*probation, &fault, event).await,
            },
        }
    }

    async fn awake(&mut self, origin: Origin) -> Result<Effects, Fault> {
        let mut instance = self.room().await?;
        instance.set_window(self.window());
        instance.open(origin).await?;
        let mut effects = instance.take_effects();
        if self.probation.is_some() {
            run_timers(&mut self.timers, &mut effects, &self.context)?;
        }
        self.instance = Some(instance);
        Ok(effects)
    }

    /// An instance of the connection's generation. More connections may sleep
    /// than there is room for instances; then one that wakes waits a little.
    async fn room(&mut self) -> Result<Instance, Fault> {
        let context = Arc::clone(&self.context);
        let code = Arc::clone(&self.hold.generation().code);
        let ends = Some(self.ends());
        let end = Instant::now() + context.limits.event_timeout;
        loop {
            match context.runtime.instantiate(&code, ends).await {
                Err(fault) if matches!(fault.cause, Cause::NoRoom(_)) && Instant::now() < end => {
                    sleep(PAUSE).await;
                }
                made => return made,
            }
        }
    }
}
