//! The pipeline of a swap: compile, try, publish, and conduct the rollout until
//! open sessions have applied it; and the ways back.
//!
//! Up to the publication nothing that serves is touched. After it open sessions
//! migrate at a rate that leaves most of the processors to ordinary events:
//! sessions that have an event go first, at the end of it; quiet ones are woken
//! in batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hotsocket_sandbox::{CompiledGuest, ComponentBytes};

use super::report::{Outcome, Report};
use super::{Registry, SwapError};
use crate::rollout::{Generation, Policy, Rollout, RolloutStats, Source};
use crate::roster::SessionHandle;

/// Migrations let through at once, and then in every beat.
const BATCH: usize = 16;
/// Migrations in flight: each has two places in the pool of instances, and there are 128
/// more of them than connections.
const MAX_IN_FLIGHT: usize = 64;
/// Between two batches.
const BATCH_INTERVAL: Duration = Duration::from_millis(2);
/// A session in the middle of an event is waited for this long beyond the
/// event's own limits. It migrates all the same, only the answer to the swap
/// does not count it.
const PATIENCE: Duration = Duration::from_secs(2);
/// While sessions apply a rollout one after the other it is conducted at most this
/// long: the next swap, or the way back, waits for that.
const MAX_CONDUCT: Duration = Duration::from_secs(60);

/// A swap in progress.
struct Step {
    outcome: Outcome,
    previous: Arc<Generation>,
    begun: Instant,
    compiling: Duration,
}

impl Registry {
    /// Make these bytes the active generation.
    ///
    /// # Errors
    /// When they are not a guest that can be served.
    pub async fn swap(
        &self,
        component: ComponentBytes,
        source: Source,
        policy: Option<Policy>,
    ) -> Result<Report, SwapError> {
        let begun = Instant::now();
        let swapped = self.swap_since(begun, component, source, policy).await;
        self.totals.note(begun.elapsed(), &swapped);
        swapped
    }

    async fn swap_since(
        &self,
        begun: Instant,
        component: ComponentBytes,
        source: Source,
        policy: Option<Policy>,
    ) -> Result<Report, SwapError> {
        let _compiling = self.compiling.lock().await;
        let compiling = Instant::now();
        // That of the active generation is there.
        let guest = self.compile(component, &source).await?;
        let compiling = compiling.elapsed();
        let _swapping = self.swapping.lock().await;
        let policy = policy.unwrap_or(self.settings().rules.policy);
        let previous = self.rollouts.active();
        let mut step = Step {
            outcome: Outcome::Unchanged,
            previous: Arc::clone(&previous),
            begun,
            compiling: Duration::ZERO,
        };
        if guest.hash == previous.guest.hash {
            return Ok(self.report(&step, &self.rollout(previous, policy, false)));
        }
        step.compiling = compiling;
        self.check_room(&guest, &source, policy)?;
        self.activate(step, guest, source, policy).await
    }

    /// The same with a guest that has been compiled and tried out already. It may
    /// be the one that is active: its connections migrate all the same.
    ///
    /// # Errors
    /// When the swap was undone and there was nothing to go back to.
    pub async fn swap_to(
        &self,
        guest: Arc<CompiledGuest>,
        source: Source,
        policy: Option<Policy>,
    ) -> Result<Report, SwapError> {
        let begun = Instant::now();
        let _swapping = self.swapping.lock().await;
        let policy = policy.unwrap_or(self.settings().rules.policy);
        let step = Step {
            outcome: Outcome::Swapped,
            previous: self.rollouts.active(),
            begun,
            compiling: Duration::ZERO,
        };
        let swapped = self.activate(step, guest, source, policy).await;
        self.totals.note(begun.elapsed(), &swapped);
        swapped
    }

    /// Whether the pool of instances has room for the open connections, if they
    /// are to migrate to this guest.
    ///
    /// # Errors
    /// When it has not.
    pub fn check_room(
        &self,
        guest: &CompiledGuest,
        source: &Source,
        policy: Policy,
    ) -> Result<(), SwapError> {
        let open = self.roster.awake();
        let room = self.sandbox.room_for(guest);
        match room.filter(|room| *room < open) {
            Some(room) if policy == Policy::Migrate => Err(SwapError::NoRoom {
                guest: source.to_string(),
                room,
                open,
            }),
            _ => Ok(()),
        }
    }

    /// Publish a new generation, and conduct its rollout.
    async fn activate(
        &self,
        mut step: Step,
        guest: Arc<CompiledGuest>,
        source: Source,
        policy: Policy,
    ) -> Result<Report, SwapError> {
        step.outcome = Outcome::Swapped;
        let generation = self
            .kept
            .lock()
            .add(guest, source, self.settings().rules.keep);
        let rollout = self.rollout(generation, policy, true);
        let outcome = format!("replaced by generation {}", rollout.generation.number);
        self.publish(&rollout, &step.previous, outcome);
        self.conduct(&rollout).await;
        if rollout.stats.must_undo() {
            return self.undo(&rollout, step.begun, step.compiling).await;
        }
        let report = self.report(&step, &rollout);
        self.log(&report);
        Ok(report)
    }

    /// Make the generation before the active one active again. Once more goes
    /// one further. `from` is the one that is left; `None`: the one that is active now.
    ///
    /// # Errors
    /// When there is none before, or it isn't kept any more; and when another one than `from`
    /// is active by the time that it is this rollback's turn.
    pub async fn roll_back(
        &self,
        policy: Option<Policy>,
        from: Option<u64>,
    ) -> Result<Report, SwapError> {
        let begun = Instant::now();
        let swapped = self.roll_back_one(begun, policy, from).await;
        self.totals.note(begun.elapsed(), &swapped);
        swapped
    }

    async fn roll_back_one(
        &self,
        begun: Instant,
        policy: Option<Policy>,
        from: Option<u64>,
    ) -> Result<Report, SwapError> {
        let from = from.unwrap_or_else(|| self.active().number);
        let _swapping = self.swapping.lock().await;
        if self.active().number != from {
            return Err(SwapError::NotActive { from });
        }
        let policy = policy.unwrap_or(self.settings().rules.policy);
        let target = self.kept.lock().previous();
        if let Some(target) = target {
            self.check_room(&target.guest, &target.source, policy)?;
        }
        self.go_back(policy, Outcome::RolledBack, begun, Duration::ZERO)
            .await
    }

    /// Undo swaps that turn out bad after they were answered. Runs until dropped.
    pub async fn undo_bad_swaps(&self) {
        // The last rollout that could not be undone: each further failure on it
        // asks for that again.
        let mut not_undone = 0;
        loop {
            self.rollouts.must_undo.notified().await;
            let _swapping = self.swapping.lock().await;
            let rollout = self.rollouts.current();
            if rollout.number == not_undone || !rollout.stats.must_undo() {
                continue;
            }
            let begun = Instant::now();
            let undone = self.undo(&rollout, begun, Duration::ZERO).await;
            self.totals.note(begun.elapsed(), &undone);
            if let Err(error) = undone {
                not_undone = rollout.number;
                let active = self.active().number;
                let what = error.what();
                tracing::warn!(
                    kind = "swap",
                    outcome = "failed",
                    generation = active,
                    "{what}: {error}; still serving generation {active}"
                );
            }
        }
    }

    /// Take back a swap on which too many connections have failed.
    async fn undo(
        &self,
        rollout: &Rollout,
        begun: Instant,
        compiling: Duration,
    ) -> Result<Report, SwapError> {
        let failed = rollout.stats.count().failed;
        let back = self.go_back(Policy::Migrate, Outcome::Undone, begun, compiling);
        let mut report = back.await.map_err(|_no_previous| SwapError::NotUndone {
            generation: rollout.generation.number,
            failed,
        })?;
        report.count.failed += failed;
        self.log(&report);
        Ok(report)
    }

    async fn go_back(
        &self,
        policy: Policy,
        outcome: Outcome,
        begun: Instant,
        compiling: Duration,
    ) -> Result<Report, SwapError> {
        let target = self.kept.lock().previous().ok_or(SwapError::NoPrevious)?;
        let previous = self.rollouts.active();
        self.kept.lock().go_back();
        let rollout = self.rollout(target, policy, false);
        let end = match outcome {
            Outcome::Undone => "undone",
            _ => "rolled back",
        };
        self.publish(&rollout, &previous, end.to_owned());
        self.conduct(&rollout).await;
        let step = Step {
            outcome,
            previous,
            begun,
            compiling,
        };
        let report = self.report(&step, &rollout);
        if outcome == Outcome::RolledBack {
            self.log(&report);
        }
        Ok(report)
    }

    fn rollout(
        &self,
        generation: Arc<Generation>,
        policy: Policy,
        may_be_undone: bool,
    ) -> Arc<Rollout> {
        let limit = self
            .settings()
            .rules
            .rollback_after
            .filter(|_| may_be_undone);
        Arc::new(Rollout {
            number: self.rollouts.current().number + 1,
            generation,
            policy,
            stats: Arc::new(RolloutStats::new(
                limit,
                Arc::clone(&self.totals.migrations),
            )),
        })
    }

    fn publish(&self, rollout: &Arc<Rollout>, previous: &Generation, end: String) {
        let mut history = self.history.lock();
        history.end(previous.number, end);
        history.activate(&rollout.generation, Some(Arc::clone(&rollout.stats)));
        drop(history);
        self.rollouts.set_budget(0);
        self.rollouts.publish(Arc::clone(rollout));
    }

    /// Wait until every open session has applied the rollout, or it must be
    /// undone.
    async fn conduct(&self, rollout: &Rollout) {
        let patience = self.settings().event_timeout + PATIENCE;
        let end = Instant::now() + MAX_CONDUCT.max(patience);
        let mut deadline = Instant::now() + patience;
        let mut waiting = self.roster.all();
        let mut fewest = waiting.len();
        let mut next = 0;
        loop {
            let progress = self.rollouts.progress.notified();
            waiting.retain(|handle: &Arc<SessionHandle>| handle.applied() < rollout.number);
            if waiting.len() < fewest {
                fewest = waiting.len();
                deadline = end.min(Instant::now() + patience);
            }
            if waiting.is_empty() || rollout.stats.must_undo() || Instant::now() > deadline {
                break;
            }
            let free = MAX_IN_FLIGHT.saturating_sub(rollout.stats.count_in_flight());
            self.rollouts.set_budget(BATCH.min(free) as i64);
            for _ in 0..BATCH.min(waiting.len()) {
                next = (next + 1) % waiting.len();
                if let Some(handle) = waiting.get(next) {
                    handle.wake();
                }
            }
            if waiting.len() <= BATCH {
                let _ = tokio::time::timeout(BATCH_INTERVAL, progress).await;
            } else {
                tokio::time::sleep(BATCH_INTERVAL).await;
            }
        }
        if rollout.stats.must_undo() {
            // No other session shall begin with it.
            self.rollouts.set_budget(0);
            return;
        }
        // Whoever is late, or was accepted meanwhile, need not wait.
        self.rollouts.set_budget(i64::MAX);
        for handle in self.roster.all() {
            if handle.applied() < rollout.number {
                handle.wake();
            }
        }
    }

    /// Log what has been swapped to, and what is wrong with it.
    fn log(&self, report: &Report) {
        report.log();
        self.warn_of_plain_text();
    }

    /// Connections that are being closed, of other generations than this one.
    fn closing(&self, active: u64) -> usize {
        let all = self.roster.all();
        let is_closing = |handle: &&Arc<SessionHandle>| {
            handle.applied() == u64::MAX && handle.progress().generation != active
        };
        all.iter().filter(is_closing).count()
    }

    fn report(&self, step: &Step, rollout: &Rollout) -> Report {
        let active = &rollout.generation;
        let generations = self.generations();
        let others = generations
            .iter()
            .filter(|other| other.number != active.number);
        let remaining: usize = others.map(|other| other.connections()).sum();
        // Those that only wait for their peer's end are served by no code any more.
        let closing = match remaining {
            0 => 0,
            _ => self.closing(active.number),
        };
        let remaining = remaining.saturating_sub(closing);
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Report {
            outcome: step.outcome,
            generation: active.number,
            previous: step.previous.number,
            guest: active.source.to_string(),
            sha256: active.guest.hash.to_string(),
            policy: rollout.policy.to_string(),
            count: rollout.stats.count(),
            remaining,
            room: self
                .sandbox
                .room_for(&active.guest)
                .filter(|room| *room < self.settings().max_connections),
            compile_ms: ms(step.compiling),
            elapsed_ms: ms(step.begun.elapsed()),
        }
    }
}
