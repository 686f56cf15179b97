//! The pipeline of a swap: compile, try, publish, and see it through.
//!
//! Up to the publication nothing that serves is touched. After it the
//! conductor lets open connections migrate at a pace that leaves most of the
//! processors to ordinary events: connections that have an event go first, at
//! the end of it; quiet ones are woken in batches.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::generation::Source;
use super::orders::{Order, Policy, Tally};
use super::{Generation, Registry};
use crate::connection::Handle;
use crate::runtime::{Code, Hash, LoadError, Runtime};

/// Migrations let through at once, and then in every beat.
const BATCH: usize = 16;
/// The conductor's beat.
const BEAT: Duration = Duration::from_millis(2);
/// A connection in the middle of an event is waited for this long beyond the
/// event's own limits. It migrates all the same, only the answer to the swap
/// doesn't tell of it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much less of a busy processor a compilation gets than what serves.
const NICENESS: i32 = 5;

/// Why a swap did not happen.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    #[error("{source_name} {error}")]
    Load { source_name: String, error: LoadError },
    #[error("cannot compile {source_name}: {error}")]
    Thread {
        source_name: String,
        error: std::io::Error,
    },
}

/// What a swap did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The generation is active.
    Swapped,
    /// The same code was active already.
    Unchanged,
}

/// The answer to a swap.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub outcome: Outcome,
    pub generation: u64,
    pub previous: u64,
    pub guest: String,
    pub sha256: String,
    pub policy: String,
    /// Connections that the new generation has taken over.
    pub migrated: usize,
    /// Connections that stayed with their old generation.
    pub failed: usize,
    /// Connections closed because the policy says so.
    pub closed: usize,
    /// Connections that migrated without a snapshot because `save` failed.
    pub without_snapshot: usize,
    /// Connections still on older generations when the answer was given.
    pub remaining: usize,
    /// From the bytes' arrival to the last migration, in milliseconds.
    pub elapsed_ms: u64,
}

impl Registry {
    /// Make these bytes the active generation.
    ///
    /// # Errors
    /// When they are not a guest that can be served; then nothing has changed.
    pub async fn swap(
        &self,
        bytes: Vec<u8>,
        source: Source,
        policy: Option<Policy>,
    ) -> Result<Report, SwapError> {
        let begun = Instant::now();
        let _turn = self.turn.lock().await;
        let policy = policy.unwrap_or(self.policy);
        let previous = self.orders.active();
        if Hash::of(&bytes) == previous.code.hash {
            let tally = Tally::default();
            return Ok(self.report(Outcome::Unchanged, &previous, &previous, policy, &tally, begun));
        }
        let code = self.compile(bytes, &source).await?;
        let generation = self.adopt(code, source);
        let order = self.publish(Arc::clone(&generation), policy);
        self.conduct(&order).await;
        let report = self.report(Outcome::Swapped, &generation, &previous, policy, &order.tally, begun);
        report.log();
        Ok(report)
    }

    /// Compile beside the serving threads, then make one instance to see that
    /// others can be made.
    async fn compile(&self, bytes: Vec<u8>, source: &Source) -> Result<Arc<Code>, SwapError> {
        let source_name = source.to_string();
        let failed = |error| SwapError::Load {
            source_name: source_name.clone(),
            error,
        };
        let code = compile_beside(Arc::clone(&self.runtime), bytes)
            .await
            .map_err(|error| SwapError::Thread {
                source_name: source_name.clone(),
                error,
            })?
            .map_err(failed)?;
        self.runtime.try_out(&code).await.map_err(failed)?;
        Ok(Arc::new(code))
    }

    fn publish(&self, generation: Arc<Generation>, policy: Policy) -> Arc<Order> {
        let order = Arc::new(Order {
            number: self.orders.current().number + 1,
            generation,
            policy,
            tally: Tally::default(),
        });
        self.orders.set_pace(0);
        self.orders.publish(Arc::clone(&order));
        order
    }

    /// See that every open connection carries the order out.
    async fn conduct(&self, order: &Order) {
        let deadline = Instant::now() + self.runtime.longest_event() + PATIENCE;
        let unsettled = |handle: &Arc<Handle>| handle.settled() < order.number;
        let mut waiting = self.table.all();
        // Those that were woken before come last.
        let mut next = 0;
        loop {
            let told = self.orders.progress.notified();
            waiting.retain(unsettled);
            if waiting.is_empty() || Instant::now() > deadline {
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
        // Whoever is late, or was accepted meanwhile, need not wait.
        self.orders.set_pace(i64::MAX);
        for handle in waiting {
            handle.wake();
        }
    }

    fn report(
        &self,
        outcome: Outcome,
        generation: &Generation,
        previous: &Generation,
        policy: Policy,
        tally: &Tally,
        begun: Instant,
    ) -> Report {
        let remaining = self
            .generations()
            .iter()
            .filter(|other| other.number != generation.number)
            .map(|other| other.connections())
            .sum();
        Report {
            outcome,
            generation: generation.number,
            previous: previous.number,
            guest: generation.source.to_string(),
            sha256: generation.code.hash.to_string(),
            policy: policy.to_string(),
            migrated: tally.migrated.load(Ordering::Acquire),
            failed: tally.failed.load(Ordering::Acquire),
            closed: tally.closed.load(Ordering::Acquire),
            without_snapshot: tally.without_snapshot.load(Ordering::Acquire),
            remaining,
            elapsed_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Report {
    /// What happened, for a person.
    pub fn told(&self) -> String {
        if self.outcome == Outcome::Unchanged {
            return format!(
                "unchanged: generation {} already is {} ({:.12})",
                self.generation, self.guest, self.sha256
            );
        }
        let mut told = format!(
            "swapped: generation {} is {} ({:.12}); {} in {} ms",
            self.generation,
            self.guest,
            self.sha256,
            connections(self.migrated, "migrated"),
            self.elapsed_ms
        );
        for (count, what) in [
            (self.failed, "stayed with the old code because the new one failed"),
            (self.without_snapshot, "migrated without their state because `save` failed"),
            (self.closed, "closed"),
            (self.remaining, "still on older generations"),
        ] {
            if count > 0 {
                told.push_str("; ");
                told.push_str(&connections(count, what));
            }
        }
        told
    }

    fn log(&self) {
        tracing::info!("{}", self.told());
    }
}

fn connections(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 connection {what}"),
        _ => format!("{count} connections {what}"),
    }
}

/// Compile on a thread of its own that gives way to those that serve.
async fn compile_beside(
    runtime: Arc<Runtime>,
    bytes: Vec<u8>,
) -> std::io::Result<Result<Code, LoadError>> {
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("compile".to_owned()).spawn(move || {
        give_way();
        // Nobody waits any more when the server is shutting down.
        let _ = done.send(runtime.compile(&bytes));
    })?;
    result.await.map_err(|_| std::io::Error::other("the compiling thread died"))
}

/// Lower the priority of the calling thread.
pub fn give_way() {
    let thread = rustix::thread::gettid();
    // Without it the compilation only competes harder.
    let _ = rustix::process::setpriority_process(Some(thread), NICENESS);
}
