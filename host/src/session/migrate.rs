//! New code takes over an open session, or gives it back.
//!
//! A migration happens between two events: the instance saves its state, an
//! instance of the new generation opens with it, the old one is dropped. The
//! peer's bytes wait in the kernel meanwhile, and ours in the channel.
//!
//! The successor is then in *probation* until its first event has succeeded.
//! Until then what it writes is held back and the snapshot is kept; if the
//! event kills it, the old generation gets the snapshot and the same event.

use std::sync::Arc;

use hotsocket_sandbox::{
    Cause, CloseReason, Effects, Fault, Origin, Succession, TopicRequest, one_line,
};
use tokio::time::Instant;

use super::close::CloseCause;
use super::event::Event;
use super::log::MigrationOutcome;
use super::record::Entrance;
use super::state::Session;
use super::timers::Timers;
use crate::rollout::{Generation, Policy, Rollout, Rollouts};
use crate::tap::{Mark, MarkKind};

/// What it takes to undo a migration.
pub(super) struct Probation {
    /// The generation to return to.
    pub old: Arc<Generation>,
    /// The state that the successor was given.
    pub snapshot: Option<Vec<u8>>,
    /// The timers as they were before.
    pub timers: Timers,
    /// The rollout that brought the successor…
    pub rollout: Arc<Rollout>,
    /// …and the session's position among those that it migrated.
    pub position: usize,
    /// How long the session might go on with the generation to return to.
    pub drain: Option<Drain>,
    /// What the successor has asked for in `open`, not applied yet.
    pub held_back: Effects,
}

/// Which rollouts a session has seen and applied.
pub(super) struct RolloutCursor {
    /// The board's version when it was last looked at; 0 before.
    pub seen: u64,
    /// The board's version at which the session could not migrate yet.
    pub deferred: u64,
    /// The last rollout that was applied or need not be.
    pub applied: u64,
    /// The session may finish on its old generation for some time.
    pub drain: Option<Drain>,
}

/// How long a session may go on with its old generation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    pub until: Instant,
    /// Events since then.
    pub late_events: usize,
}

impl RolloutCursor {
    /// For a session that begins with this rollout. `seen` is the board's
    /// version, if nothing has been published since.
    pub fn new(rollout: u64, seen: Option<u64>) -> Self {
        RolloutCursor {
            seen: seen.unwrap_or(0),
            deferred: 0,
            applied: rollout,
            drain: None,
        }
    }

    /// Whether the board has something to do, now. A session that waits for its
    /// turn to migrate continues to serve meanwhile.
    pub fn must_look(&self, rollouts: &Rollouts) -> bool {
        let version = rollouts.version();
        version != self.seen && (version != self.deferred || rollouts.has_budget())
    }
}

impl Session {
    /// Do what the current rollout says for this session. False if it must wait
    /// for its turn and continue with its old code until then.
    pub async fn apply_rollout(&mut self) -> Result<bool, CloseCause> {
        let rollout = self.service.rollouts.current();
        if rollout.number == self.rollout.applied {
            return Ok(true);
        }
        let is_there = rollout.generation.number == self.generation.generation().number;
        match rollout.policy {
            // Already where it should be, and no longer in a hurry.
            _ if is_there => self.rollout.drain = None,
            // A connection that is closing keeps the code it has.
            Policy::Migrate if self.channel.fin_sent() => {}
            Policy::Migrate => {
                if !self.is_asleep() && !self.service.rollouts.may_migrate() {
                    return Ok(false);
                }
                if !self.migrate_asleep(&rollout) {
                    self.migrate(&rollout).await?;
                }
            }
            Policy::NewOnly => {}
            Policy::Drain(time) => {
                let drain = self.rollout.drain.get_or_insert(Drain {
                    until: Instant::now() + time,
                    late_events: 0,
                });
                // One drain after another doesn't make the first one longer.
                drain.until = drain.until.min(Instant::now() + time);
            }
            Policy::Close => {
                rollout.stats.closed();
                return Err(CloseCause::Host(CloseReason::Swapped));
            }
        }
        self.set_applied(rollout.number);
        Ok(true)
    }

    fn set_applied(&mut self, rollout: u64) {
        self.rollout.applied = rollout;
        self.entry.handle().set_applied(rollout);
        self.service.rollouts.progress.notify_waiters();
    }

    /// Put an instance of the rollout's generation in place of the current one.
    /// On failure the current one stays. Ends the session only if the current
    /// instance died in `save` and the new one cannot begin either.
    async fn migrate(&mut self, rollout: &Arc<Rollout>) -> Result<(), CloseCause> {
        let _in_flight = rollout.stats.in_flight();
        let position = rollout.stats.begin_migration();
        // A successor that has had no event yet has nothing to save that its
        // own snapshot does not hold; and it may be bad.
        let probation = self.probation.take();
        let mut save_failed = None;
        let (old, snapshot, timers) = match &probation {
            Some(probation) => (
                Arc::clone(&probation.old),
                probation.snapshot.clone(),
                probation.timers.clone(),
            ),
            None => {
                let snapshot = self.take_snapshot().await.unwrap_or_else(|fault| {
                    if rollout.stats.without_snapshot() {
                        self.log_no_snapshot(&fault);
                    }
                    save_failed = Some(fault);
                    None
                });
                let old = Arc::clone(self.generation.generation());
                (old, snapshot, self.timers.clone())
            }
        };
        let origin = Origin::Migrated(Succession {
            snapshot: snapshot.clone(),
            peer_ended: self.channel.peer_ended(),
        });
        let generation = &rollout.generation;
        // The places of predecessors are free only a moment after they have gone.
        let entered = match self.wait_for_room(generation).await {
            Ok(instance) => {
                let from = self.generation.generation().number;
                let entrance = Entrance {
                    // Back on the code that has made the snapshot, it is no successor.
                    is_held: old.number != generation.number,
                    ..Entrance::of_migration(from, generation.number)
                };
                self.enter_with(instance, generation, origin, timers.clone(), entrance)
                    .await
            }
            Err(fault) => Err(fault),
        };
        match entered {
            Ok(held_back) => {
                rollout.stats.migrated(snapshot.is_some());
                if old.number == generation.number {
                    self.rollout.drain = None;
                    if let Some(recovery) = &mut self.recovery {
                        recovery.renew(snapshot);
                    }
                    return self.apply(held_back);
                }
                let drain = probation.and_then(|probation| probation.drain);
                self.probation = Some(Box::new(Probation {
                    old,
                    snapshot,
                    timers,
                    drain: self.rollout.drain.take().or(drain),
                    rollout: Arc::clone(rollout),
                    position,
                    held_back,
                }));
                self.end_probation_if_nothing_can_come()
            }
            Err(fault) => {
                // That the machine is full says nothing about the new code.
                let position = match fault.cause {
                    Cause::NoRoom(_) => usize::MAX,
                    _ => position,
                };
                let must_undo = rollout.stats.failed(position);
                let serving = self.generation.generation().number;
                self.record_mark(|| {
                    let text = format!("stays on generation {serving}: {fault}");
                    Mark {
                        from: Some(serving),
                        to: Some(generation.number),
                        ..Mark::new(MarkKind::Stayed, one_line(&text))
                    }
                });
                self.report_failure(
                    rollout,
                    must_undo,
                    serving,
                    MigrationOutcome::Stayed,
                    &fault,
                );
                self.probation = probation;
                match save_failed {
                    Some(fault) if fault.is_fatal() => self.restart(fault).await,
                    _ => Ok(()),
                }
            }
        }
    }

    /// A migration has failed, and the generation `serving` continues: log the
    /// first few, and have the swap undone if it must be now.
    fn report_failure(
        &self,
        rollout: &Rollout,
        must_undo: bool,
        serving: u64,
        outcome: MigrationOutcome,
        fault: &Fault,
    ) {
        if rollout.stats.should_log() {
            let target = rollout.generation.number;
            self.log_migration_failed(serving, target, outcome, fault);
        }
        if must_undo {
            self.service.rollouts.must_undo.notify_one();
        }
    }

    /// After the peer's FIN there may be no event left to survive: then what the
    /// successor asked for in `open` is applied at once.
    fn end_probation_if_nothing_can_come(&mut self) -> Result<(), CloseCause> {
        if self.timers.next().is_none()
            && !self.channel.may_call()
            && !self.awaits_message()
            && let Some(probation) = self.probation.take()
        {
            return self.end_probation(*probation);
        }
        Ok(())
    }

    /// Whether the successor's first event will be a message: not if it has asked for
    /// something else to come first in `open`, or for other messages.
    fn awaits_message(&self) -> bool {
        let asks_for_more = |effects: &Effects| {
            let requests = effects.session.as_ref();
            let subscribes = |request: &TopicRequest| {
                matches!(
                    request,
                    TopicRequest::Subscribe { .. } | TopicRequest::Unsubscribe(_)
                )
            };
            let of_session = requests.is_some_and(|requests| {
                requests.reading == Some(true) || requests.topics.iter().any(subscribes)
            });
            let to_write = effects.awaits_drained || effects.awaits_empty;
            of_session || to_write || effects.end || effects.abort || effects.starts_tls()
        };
        let probation = self.probation.as_ref();
        self.may_get_message() && !probation.is_some_and(|it| asks_for_more(&it.held_back))
    }

    /// The successor's first event has succeeded: apply what it asked for in
    /// `open`. What the event asked for comes after it.
    pub fn end_probation(&mut self, probation: Probation) -> Result<(), CloseCause> {
        if let Some(recovery) = &mut self.recovery {
            recovery.renew(probation.snapshot);
        }
        if self.entry.handle().is_tapped() {
            self.record_end_of_probation(&self.goes_out(&probation.held_back));
        }
        self.apply(probation.held_back)
    }

    /// The successor died in its first event: return to the old generation with
    /// the snapshot, as if the successor had never been.
    ///
    /// Returns whether the event is to be delivered to the predecessor.
    pub async fn return_to_predecessor(
        &mut self,
        probation: Probation,
        fault: &Fault,
        event: Event<'_>,
    ) -> Result<bool, CloseCause> {
        let rollout = &probation.rollout;
        let must_undo = rollout
            .stats
            .relapsed(probation.position, probation.snapshot.is_some());
        let serving = probation.old.number;
        self.report_failure(
            rollout,
            must_undo,
            serving,
            MigrationOutcome::Returned,
            fault,
        );
        let mut timers = probation.timers;
        let deliver_again = match event {
            // One that only the successor has set, or set to another time, is none
            // of the predecessor's.
            Event::Timer(id) => timers.take_due(id, Instant::now()),
            _ => true,
        };
        let origin = Origin::Migrated(Succession {
            snapshot: probation.snapshot,
            // An `end` that is delivered again has not been called yet.
            peer_ended: self.channel.peer_ended() && !matches!(event, Event::End),
        });
        // A later rollout may have set an end meanwhile: for the code that has died, or for
        // all but its own.
        let drains = [probation.drain, self.rollout.drain.take()];
        let is_active = self.service.rollouts.current().generation.number == serving;
        self.rollout.drain = drains
            .into_iter()
            .flatten()
            .filter(|_| !is_active)
            .min_by_key(|drain| drain.until);
        let entrance = Entrance {
            kind: MarkKind::Rollback,
            is_held: false,
        };
        let entered = self.enter(&probation.old, origin, timers, entrance).await;
        let effects = entered.map_err(CloseCause::from_open)?;
        self.apply(effects)?;
        Ok(deliver_again)
    }
}
