//! Generations of the guest: which there are, which is active, and how the
//! next one takes over.
//!
//! *Active* is a pointer to one generation. A swap makes a new generation,
//! tries it, and only then publishes one order that every connection carries
//! out between two of its events. A swap that fails changes nothing. A
//! rollback is a swap to a generation that is still compiled.
//!
//! - [`generation`]: one accepted version of the guest
//! - [`orders`]: the board that open connections look at
//! - [`swap`]: the pipeline from bytes to an order carried out, and back
//! - [`history`]: what became of each generation
//! - [`mod@watch`]: swaps when the served file changes
//!
//! This module never touches a socket or an instance.

mod generation;
mod history;
mod orders;
mod report;
mod swap;
mod watch;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

pub use generation::{Generation, Hold, Source};
pub use history::Record;
pub use orders::{Count, Order, Orders, Policy, RollbackAfter, Tally};
pub use report::{Outcome, Report};
pub use swap::{SwapError, compile};
pub use watch::watch;

use crate::connection::Table;
use crate::limits::{LimitError, Setting};
use crate::runtime::{Code, Hash, Runtime};
use history::History;

/// Compilations at once; there are more than one only when one takes too long.
const MAX_COMPILERS: usize = 2;

/// How swaps are done when they don't say.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub policy: Policy,
    /// `None`: never.
    pub rollback_after: Option<RollbackAfter>,
    /// Generations kept compiled.
    pub keep: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            policy: Policy::Migrate,
            rollback_after: Some(RollbackAfter {
                failures: 3,
                among: 10,
            }),
            keep: 5,
        }
    }
}

impl Rules {
    /// Check that the rules can be followed.
    ///
    /// # Errors
    /// Names the first that can't.
    pub fn validate(&self) -> Result<(), LimitError> {
        Setting::number("keep", self.keep, 1..=10_000).validate()?;
        if let Policy::Drain(time) = self.policy {
            let times = Duration::ZERO..=crate::duration::MAX;
            Setting::time("on-swap drain", time, times).validate()?;
        }
        match self.rollback_after {
            Some(RollbackAfter { failures, among }) if !(1..=among).contains(&failures) => {
                Err(LimitError {
                    flag: "rollback-after",
                    value: format!("{failures}/{among}"),
                    expected: "N/M with N from 1 to M".to_owned(),
                })
            }
            _ => Ok(()),
        }
    }
}

/// The generations of one server.
pub struct Registry {
    runtime: Arc<Runtime>,
    orders: Arc<Orders>,
    table: Arc<Table>,
    rules: Rules,
    /// One swap at a time; the others wait here in order.
    turn: tokio::sync::Mutex<()>,
    /// Compilations under way, also those that nobody waits for any more.
    compilers: Arc<Semaphore>,
    shelf: Mutex<Shelf>,
    history: Mutex<History>,
}

/// The generations that are compiled.
struct Shelf {
    last_number: u64,
    /// Oldest first.
    kept: VecDeque<Arc<Generation>>,
    /// Those that were active one after the other, the active one last: the
    /// way back.
    trail: Vec<Arc<Generation>>,
}

impl Registry {
    /// Begin with generation 1.
    pub fn new(
        runtime: Arc<Runtime>,
        table: Arc<Table>,
        first: Arc<Code>,
        source: Source,
        rules: Rules,
    ) -> Self {
        let first = Arc::new(Generation::new(1, first, source));
        let mut history = History::default();
        history.activate(&first, None);
        Registry {
            runtime,
            orders: Arc::new(Orders::new(Arc::clone(&first))),
            table,
            rules,
            turn: tokio::sync::Mutex::new(()),
            compilers: Arc::new(Semaphore::new(MAX_COMPILERS)),
            shelf: Mutex::new(Shelf {
                last_number: 1,
                kept: VecDeque::from([Arc::clone(&first)]),
                trail: vec![first],
            }),
            history: Mutex::new(history),
        }
    }

    fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    pub fn orders(&self) -> &Arc<Orders> {
        &self.orders
    }

    /// The generations that are kept and those that still have connections,
    /// oldest first.
    pub fn generations(&self) -> Vec<Arc<Generation>> {
        self.shelf.lock().kept.iter().cloned().collect()
    }

    pub fn history(&self) -> Vec<Record> {
        self.history.lock().records()
    }
}

impl Shelf {
    /// Number a new generation, put it on the trail, and let those go that are
    /// more than `keep` and have no connection.
    fn adopt(&mut self, code: Arc<Code>, source: Source, keep: usize) -> Arc<Generation> {
        self.last_number += 1;
        let generation = Arc::new(Generation::new(self.last_number, code, source));
        self.kept.push_back(Arc::clone(&generation));
        self.trail.push(Arc::clone(&generation));
        let mut surplus = self.kept.len().saturating_sub(keep.max(1));
        let active = generation.number;
        self.kept.retain(|kept| {
            let goes = surplus > 0 && kept.number != active && kept.connections() == 0;
            surplus -= usize::from(goes);
            !goes
        });
        let kept = &self.kept;
        self.trail
            .retain(|trail| kept.iter().any(|kept| kept.number == trail.number));
        generation
    }

    /// The generation before the active one.
    fn previous(&self) -> Option<Arc<Generation>> {
        self.trail.iter().rev().nth(1).cloned()
    }

    /// Compiled code of this content, if a kept generation has it.
    fn compiled(&self, hash: Hash) -> Option<Arc<Code>> {
        self.kept
            .iter()
            .find(|generation| generation.code.hash == hash)
            .map(|generation| Arc::clone(&generation.code))
    }
}
