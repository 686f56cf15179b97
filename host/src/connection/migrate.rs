//! New code takes over an open connection, or gives it back.
//!
//! A migration happens between two events: the instance saves its state, an
//! instance of the new generation opens with it, the old one is dropped. The
//! peer's bytes wait in the kernel meanwhile, and ours in the outbox.
//!
//! The successor is then in *probation* until its first event has succeeded.
//! Until then what it writes is held back, and the snapshot is kept; if the
//! event kills it, the old generation gets the snapshot and the same event.

use std::sync::Arc;

use tokio::time::Instant;

use super::Context;
use super::driver::{Driver, Event};
use super::ending::Ending;
use super::timers::Timers;
use crate::reached::Limit;
use crate::registry::{Generation, Hold, Order, Policy};
use crate::runtime::{self, Cause, CloseReason, Effects, Fault, Origin, Succession};

/// What it takes to undo a migration.
pub(super) struct Probation {
    /// The generation to go back to.
    pub old: Arc<Generation>,
    /// The state that the successor was given.
    pub snapshot: Option<Vec<u8>>,
    /// The timers as they were before.
    pub timers: Timers,
    /// The order that brought the successor, and its place among those that
    /// the order brought.
    pub order: Arc<Order>,
    pub place: usize,
    /// What the successor has asked for in `open`, not done yet.
    pub held: Effects,
}

impl Driver {
    /// Do what the current order says for this connection. False if it must
    /// wait its turn and go on with its old code until then.
    pub(super) async fn carry_out_order(&mut self) -> Result<bool, Ending> {
        let order = self.context.orders.current();
        if order.number == self.settled {
            return Ok(true);
        }
        let there = order.generation.number == self.hold.generation().number;
        match order.policy {
            // Already where it should be, and no longer in a hurry.
            _ if there => self.drain_until = None,
            // A connection that is closing keeps the code it has.
            _ if self.phase.fin_sent => {}
            Policy::Migrate => {
                if self.sleep.is_none() && !self.context.orders.may_migrate() {
                    return Ok(false);
                }
                self.drain_until = None;
                if !self.migrate_asleep(&order) {
                    self.migrate(&order).await?;
                }
            }
            Policy::NewOnly => {}
            Policy::Drain(time) => {
                let until = Instant::now() + time;
                // One drain after another doesn't make the first one longer.
                self.drain_until = Some(self.drain_until.map_or(until, |set| set.min(until)));
            }
            Policy::Close => {
                order.tally.closed();
                return Err(Ending::Host(CloseReason::Swapped));
            }
        }
        self.settle(order.number);
        Ok(true)
    }

    fn settle(&mut self, order: u64) {
        self.settled = order;
        self.entry.handle().settle(order);
        self.context.orders.progress.notify_waiters();
    }

    /// Put an instance of the order's generation in place of the current one.
    /// On failure the current one stays. Ends the connection only if the
    /// current instance died in `save` and the new one cannot begin either.
    async fn migrate(&mut self, order: &Arc<Order>) -> Result<(), Ending> {
        let place = order.tally.attempt();
        // A successor that has had no event yet has nothing to save that its
        // own snapshot does not hold; and it may be bad.
        let probation = self.probation.take();
        let (old, snapshot, timers, save_failed) = match &probation {
            Some(probation) => {
                let Probation {
                    old,
                    snapshot,
                    timers,
                    ..
                } = &**probation;
                (Arc::clone(old), snapshot.clone(), timers.clone(), None)
            }
            None => {
                let old = Arc::clone(self.hold.generation());
                let timers = self.timers.clone();
                let saved = match &mut self.instance {
                    Some(instance) => instance.save().await,
                    None => Ok(None),
                };
                match saved {
                    Ok(snapshot) => (old, snapshot, timers, None),
                    Err(fault) => {
                        if order.tally.without_snapshot() {
                            tracing::warn!("connection {}: no snapshot: {fault}", self.ends().id);
                        }
                        (old, None, timers, Some(fault))
                    }
                }
            }
        };
        let peer_ended = self.phase.peer_ended;
        match self
            .begin_successor(&order.generation, snapshot.clone(), &timers, peer_ended)
            .await
        {
            Ok(held) => {
                order.tally.migrated();
                self.probation = Some(Box::new(Probation {
                    old,
                    snapshot,
                    timers,
                    order: Arc::clone(order),
                    place,
                    held,
                }));
                self.pass_if_nothing_can_come()
            }
            Err(fault) => {
                let (id, number) = (self.ends().id, self.hold.generation().number);
                // That the machine is full says nothing about the new code.
                let place = match fault.cause {
                    Cause::NoRoom(_) => usize::MAX,
                    _ => place,
                };
                self.failed(order, order.tally.failed(place), || {
                    format!("connection {id}: stays on generation {number}: {fault}")
                });
                self.probation = probation;
                match save_failed {
                    Some(fault) if fault.is_fatal() => self.survive(fault).await,
                    _ => Ok(()),
                }
            }
        }
    }

    /// A migration has failed: tell of the first few, and raise the alarm if
    /// the swap is now one to undo.
    fn failed(&self, order: &Order, must_undo: bool, told: impl FnOnce() -> String) {
        if order.tally.tells() {
            tracing::warn!("{}", told());
        }
        if must_undo {
            self.context.orders.alarm.notify_one();
        }
    }

    /// Make an instance of a generation and open it with a snapshot. Only when
    /// that has succeeded does it replace the current instance. The timers that
    /// it sets in `open`, beside those that were set before, run at once; what
    /// else it asked for is given back.
    async fn begin_successor(
        &mut self,
        generation: &Arc<Generation>,
        snapshot: Option<Vec<u8>>,
        timers: &Timers,
        peer_ended: bool,
    ) -> Result<Effects, Fault> {
        let context = Arc::clone(&self.context);
        let mut successor = context
            .runtime
            .instantiate(&generation.code, Some(self.ends()))
            .await?;
        successor.set_window(self.window());
        let origin = Origin::Migrated(Succession {
            snapshot,
            peer_ended,
        });
        successor.open(origin).await?;
        let mut held = successor.take_effects();
        let mut timers = timers.clone();
        run_timers(&mut timers, &mut held, &context)?;
        self.timers = timers;
        if let Some(old) = self.instance.replace(successor) {
            old.retire();
        }
        self.hold = Hold::new(Arc::clone(generation));
        Ok(held)
    }

    /// After the peer's FIN there may be no event left to stand: then what the
    /// successor asked for in `open` is done at once.
    fn pass_if_nothing_can_come(&mut self) -> Result<(), Ending> {
        let quiet = self.timers.next().is_none() && !self.phase.full;
        if self.phase.peer_ended
            && quiet
            && let Some(probation) = self.probation.take()
        {
            return self.pass(*probation, Effects::default());
        }
        Ok(())
    }

    /// The successor's first event has succeeded: do what it asked for in
    /// `open`, then what the event asked for.
    pub(super) fn pass(&mut self, probation: Probation, effects: Effects) -> Result<(), Ending> {
        if let Some(recovery) = &mut self.recovery {
            recovery.renew(probation.snapshot);
        }
        self.apply(probation.held)?;
        self.apply(effects)
    }

    /// The successor died in its first event: go back to the old generation
    /// and the snapshot, as if the successor had never been.
    pub(super) async fn return_to_predecessor(
        &mut self,
        probation: Probation,
        fault: &Fault,
        event: Event<'_>,
    ) -> Result<(), Ending> {
        let (id, number) = (self.ends().id, probation.old.number);
        let must_undo = probation.order.tally.relapsed(probation.place);
        self.failed(&probation.order, must_undo, || {
            format!("connection {id}: back on generation {number}: {fault}")
        });
        let mut timers = probation.timers;
        if let Event::Timer(id) = event {
            // It rings now, in the event that is given again.
            let _cleared = timers.apply(id, None, 0);
        }
        // An `end` that is given again has not been called yet.
        let peer_ended = self.phase.peer_ended && !matches!(event, Event::End);
        let held = self
            .begin_successor(&probation.old, probation.snapshot, &timers, peer_ended)
            .await
            .map_err(Ending::from_open)?;
        self.apply(held)
    }
}

/// Run the timers that a successor has set in `open`, at once.
pub(super) fn run_timers(
    timers: &mut Timers,
    held: &mut Effects,
    context: &Context,
) -> Result<(), Fault> {
    for (id, after) in std::mem::take(&mut held.timers) {
        if !timers.apply(id, after, context.limits.max_timers) {
            context.runtime.reached.count(Limit::Timers);
            return Err(Fault {
                event: runtime::Event::Open,
                cause: Cause::TooManyTimers,
            });
        }
    }
    Ok(())
}
