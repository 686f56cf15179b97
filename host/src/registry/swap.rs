//! The pipeline of a swap: compile, try, publish, and see it through; and the
//! ways back.
//!
//! Up to the publication nothing that serves is touched. After it the
//! conductor lets open connections migrate at a pace that leaves most of the
//! processors to ordinary events: connections that have an event go first, at
//! the end of it; quiet ones are woken in batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::generation::Source;
use super::orders::{Order, Policy, Tally};
use super::report::{Outcome, Report};
use super::{Generation, Registry};
use crate::connection::Handle;
use crate::reached::Limit;
use crate::runtime::{self, Code, Hash, LoadError, Runtime};
use crate::thread::run_on_thread;

/// Migrations let through at once, and then in every beat.
const BATCH: usize = 16;
/// The conductor's beat.
const BEAT: Duration = Duration::from_millis(2);
/// A connection in the middle of an event is waited for this long beyond the
/// event's own limits. It migrates all the same, only the answer to the swap
/// doesn't tell of it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A compilation that takes longer than this is told, for silence looks like a
/// standstill.
const QUIET: Duration = Duration::from_secs(1);

/// Stack of a compiling thread, in bytes. Nesting in a component is bounded by
/// the validator; this holds what it allows.
const COMPILE_STACK: usize = 16 << 20;

/// Why a swap did not happen. Then nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    #[error("{guest} {error}")]
    Load { guest: String, error: LoadError },
    #[error("cannot compile {guest}: {error}")]
    Thread {
        guest: String,
        error: std::io::Error,
    },
    #[error("{guest} is not compiled after {}; --compile-timeout sets how long it may take", crate::duration::show(*.time))]
    Slow { guest: String, time: Duration },
    #[error("{guest} must wait: earlier components are still being compiled")]
    Busy { guest: String },
    #[error("there is none kept before it")]
    NoPrevious,
}

/// A swap under way.
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
        bytes: Vec<u8>,
        source: Source,
        policy: Option<Policy>,
    ) -> Result<Report, SwapError> {
        let begun = Instant::now();
        let _turn = self.turn.lock().await;
        let policy = policy.unwrap_or(self.rules.policy);
        let previous = self.orders.active();
        let mut step = Step {
            outcome: Outcome::Unchanged,
            previous: Arc::clone(&previous),
            begun,
            compiling: Duration::ZERO,
        };
        if Hash::of(&bytes) == previous.code.hash {
            return Ok(self.report(&step, &self.order(previous, policy, false)));
        }
        let compiling = Instant::now();
        let code = self.compile(bytes, &source).await?;
        step.compiling = compiling.elapsed();
        self.activate(step, code, source, policy).await
    }

    /// The same with code that has been compiled and tried already. It may be
    /// the code that is active: its connections migrate all the same.
    ///
    /// # Errors
    /// When the swap was undone and there was nothing to go back to.
    pub async fn swap_to(
        &self,
        code: Arc<Code>,
        source: Source,
        policy: Option<Policy>,
    ) -> Result<Report, SwapError> {
        let begun = Instant::now();
        let _turn = self.turn.lock().await;
        let policy = policy.unwrap_or(self.rules.policy);
        let step = Step {
            outcome: Outcome::Swapped,
            previous: self.orders.active(),
            begun,
            compiling: Duration::ZERO,
        };
        self.activate(step, code, source, policy).await
    }

    /// Publish a new generation of this code, and see it through.
    async fn activate(
        &self,
        mut step: Step,
        code: Arc<Code>,
        source: Source,
        policy: Policy,
    ) -> Result<Report, SwapError> {
        step.outcome = Outcome::Swapped;
        let generation = self.shelf.lock().adopt(code, source, self.rules.keep);
        let order = self.order(generation, policy, true);
        let outcome = format!("replaced by generation {}", order.generation.number);
        self.publish(&order, &step.previous, outcome);
        self.conduct(&order).await;
        if order.tally.must_undo() {
            return self.undo(&order).await;
        }
        let report = self.report(&step, &order);
        tracing::info!("{}", report.told());
        Ok(report)
    }

    /// Make the generation before the active one active again. Once more goes
    /// one further.
    ///
    /// # Errors
    /// When there is none, or it isn't kept any more.
    pub async fn roll_back(&self, policy: Option<Policy>) -> Result<Report, SwapError> {
        let _turn = self.turn.lock().await;
        let policy = policy.unwrap_or(self.rules.policy);
        self.go_back(policy, Outcome::RolledBack, "rolled back".to_owned())
            .await
    }

    /// Undo swaps that turn out bad after they were answered. Runs as long as
    /// the server.
    pub async fn guard(&self) {
        loop {
            self.orders.alarm.notified().await;
            let _turn = self.turn.lock().await;
            let order = self.orders.current();
            if order.tally.must_undo() {
                let _ = self.undo(&order).await;
            }
        }
    }

    /// Take back a swap on which too many connections have failed.
    async fn undo(&self, order: &Order) -> Result<Report, SwapError> {
        let failed = order.tally.count().failed;
        let mut report = self
            .go_back(Policy::Migrate, Outcome::Undone, "undone".to_owned())
            .await?;
        report.count.failed += failed;
        tracing::warn!("{}", report.told());
        Ok(report)
    }

    async fn go_back(
        &self,
        policy: Policy,
        outcome: Outcome,
        end: String,
    ) -> Result<Report, SwapError> {
        let begun = Instant::now();
        let target = self.shelf.lock().previous().ok_or(SwapError::NoPrevious)?;
        let previous = self.orders.active();
        self.shelf.lock().trail.pop();
        let order = self.order(target, policy, false);
        self.publish(&order, &previous, end);
        self.conduct(&order).await;
        let step = Step {
            outcome,
            previous,
            begun,
            compiling: Duration::ZERO,
        };
        let report = self.report(&step, &order);
        if outcome == Outcome::RolledBack {
            tracing::info!("{}", report.told());
        }
        Ok(report)
    }

    /// Compile beside the serving threads, then make one instance to see that
    /// others can be made. Code that a kept generation has is known already.
    async fn compile(&self, bytes: Vec<u8>, source: &Source) -> Result<Arc<Code>, SwapError> {
        if let Some(code) = self.shelf.lock().compiled(Hash::of(&bytes)) {
            return Ok(code);
        }
        let guest = source.to_string();
        let Ok(place) = Arc::clone(&self.compilers).try_acquire_owned() else {
            return Err(SwapError::Busy { guest });
        };
        let time = self.runtime.compile_timeout();
        let compiling = compile(&self.runtime, bytes, &guest, Some(place));
        let Ok(compiled) = tokio::time::timeout(time, compiling).await else {
            self.runtime.reached.count(Limit::CompileTimeout);
            return Err(SwapError::Slow { guest, time });
        };
        let code = compiled?;
        match self.runtime.try_out(&code).await {
            Ok(()) => Ok(code),
            Err(error) => Err(SwapError::Load { guest, error }),
        }
    }

    fn order(
        &self,
        generation: Arc<Generation>,
        policy: Policy,
        may_be_undone: bool,
    ) -> Arc<Order> {
        let limit = self.rules.rollback_after.filter(|_| may_be_undone);
        Arc::new(Order {
            number: self.orders.current().number + 1,
            generation,
            policy,
            tally: Arc::new(Tally::new(limit)),
        })
    }

    fn publish(&self, order: &Arc<Order>, previous: &Generation, end: String) {
        let mut history = self.history.lock();
        history.end(previous.number, end);
        history.activate(&order.generation, Some(Arc::clone(&order.tally)));
        drop(history);
        self.orders.set_pace(0);
        self.orders.publish(Arc::clone(order));
    }

    /// See that every open connection carries the order out, unless it turns
    /// out to be one to undo.
    async fn conduct(&self, order: &Order) {
        let deadline = Instant::now() + self.runtime.longest_event() + PATIENCE;
        let mut waiting = self.table.all();
        let mut next = 0;
        loop {
            let told = self.orders.progress.notified();
            waiting.retain(|handle: &Arc<Handle>| handle.settled() < order.number);
            if waiting.is_empty() || order.tally.must_undo() || Instant::now() > deadline {
                break;
            }
            self.orders.set_pace(BATCH as i64);
            for _ in 0..BATCH.min(waiting.len()) {
                next = (next + 1) % waiting.len();
                if let Some(handle) = waiting.get(next) {
                    handle.wake();
                }
            }
            if waiting.len() <= BATCH {
                let _ = tokio::time::timeout(BEAT, told).await;
            } else {
                tokio::time::sleep(BEAT).await;
            }
        }
        if order.tally.must_undo() {
            // Nobody else shall begin on it.
            self.orders.set_pace(0);
            return;
        }
        // Whoever is late, or was accepted meanwhile, need not wait.
        self.orders.set_pace(i64::MAX);
        for handle in self.table.all() {
            if handle.settled() < order.number {
                handle.wake();
            }
        }
    }

    fn report(&self, step: &Step, order: &Order) -> Report {
        let active = &order.generation;
        let remaining = self
            .generations()
            .iter()
            .filter(|other| other.number != active.number)
            .map(|other| other.connections())
            .sum();
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Report {
            outcome: step.outcome,
            generation: active.number,
            previous: step.previous.number,
            guest: active.source.to_string(),
            sha256: active.code.hash.to_string(),
            policy: order.policy.to_string(),
            count: order.tally.count(),
            remaining,
            compile_ms: ms(step.compiling),
            elapsed_ms: ms(step.begun.elapsed()),
        }
    }
}

/// Compile beside the serving threads, and say so when it takes a while.
pub async fn compile(
    runtime: &Arc<Runtime>,
    bytes: Vec<u8>,
    guest: &str,
    place: Option<OwnedSemaphorePermit>,
) -> Result<Arc<Code>, SwapError> {
    let begun = Instant::now();
    let size = bytes.len();
    let mut compiling = std::pin::pin!(compile_beside(Arc::clone(runtime), bytes, place));
    let quick = tokio::time::timeout(QUIET, &mut compiling).await;
    let slow = quick.is_err();
    let compiled = match quick {
        Ok(compiled) => compiled,
        Err(_) => {
            let size = size as f64 / 1e6;
            tracing::info!("compiling {guest} ({size:.1} MB); the next time it is known");
            compiling.await
        }
    };
    let guest = guest.to_owned();
    match compiled {
        Ok(Ok(code)) => {
            if slow {
                tracing::info!("compiled {guest} in {:.1} s", begun.elapsed().as_secs_f64());
            }
            Ok(code)
        }
        Ok(Err(error)) => Err(SwapError::Load { guest, error }),
        Err(error) => Err(SwapError::Thread { guest, error }),
    }
}

/// Compile on a thread of its own that gives way to those that serve. A
/// compilation can't be stopped: one that is not waited for any more holds its
/// place until it ends.
async fn compile_beside(
    runtime: Arc<Runtime>,
    bytes: Vec<u8>,
    place: Option<OwnedSemaphorePermit>,
) -> std::io::Result<Result<Arc<Code>, LoadError>> {
    let compile = move || {
        // At the start nobody is served yet.
        if place.is_some() {
            runtime::give_way();
        }
        let code = runtime.compile(&bytes);
        drop(place);
        code
    };
    run_on_thread("compile", Some(COMPILE_STACK), compile).await
}
