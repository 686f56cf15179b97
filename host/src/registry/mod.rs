//! Generations of the guest: which there are, which is active, and how the
//! next one takes over.
//!
//! *Active* is a pointer to one generation. A swap makes a new generation,
//! tries it, and only then publishes one order that every connection carries
//! out between two of its events. A swap that fails changes nothing.
//!
//! - [`generation`]: one accepted version of the guest
//! - [`orders`]: the board that open connections look at
//! - [`swap`]: the pipeline from bytes to an order carried out
//! - [`watch`]: swaps when the served file changes
//!
//! This module never touches a socket or an instance.

mod generation;
mod orders;
mod swap;
mod watch;

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

pub use generation::{Generation, Hold, Source};
pub use orders::{Order, Orders, Policy, Tally};
pub use swap::{Outcome, Report, SwapError};
pub use watch::watch;

use crate::connection::Table;
use crate::runtime::{Code, Runtime};

/// The generations of one server.
pub struct Registry {
    runtime: Arc<Runtime>,
    orders: Arc<Orders>,
    table: Arc<Table>,
    /// One swap at a time; the others wait here in order.
    turn: tokio::sync::Mutex<()>,
    /// The last generations, oldest first. Kept compiled.
    generations: Mutex<VecDeque<Arc<Generation>>>,
    keep: usize,
    /// What a swap does with open connections if it doesn't say.
    policy: Policy,
}

impl Registry {
    /// Begin with generation 1.
    pub fn new(
        runtime: Arc<Runtime>,
        table: Arc<Table>,
        first: Code,
        source: Source,
        policy: Policy,
        keep: usize,
    ) -> Self {
        let first = Arc::new(Generation::new(1, Arc::new(first), source));
        Registry {
            runtime,
            orders: Arc::new(Orders::new(Arc::clone(&first))),
            table,
            turn: tokio::sync::Mutex::new(()),
            generations: Mutex::new(VecDeque::from([first])),
            keep,
            policy,
        }
    }

    pub fn orders(&self) -> &Arc<Orders> {
        &self.orders
    }

    /// The generations that are kept, and those that still have connections,
    /// oldest first.
    pub fn generations(&self) -> Vec<Arc<Generation>> {
        self.generations.lock().iter().cloned().collect()
    }

    /// Number the next generation and keep it. Older ones go when there are
    /// more than are kept and no connection is on them.
    fn adopt(&self, code: Arc<Code>, source: Source) -> Arc<Generation> {
        let mut generations = self.generations.lock();
        let number = generations.back().map_or(1, |last| last.number + 1);
        let generation = Arc::new(Generation::new(number, code, source));
        generations.push_back(Arc::clone(&generation));
        let mut surplus = generations.len().saturating_sub(self.keep.max(1));
        generations.retain(|generation| {
            let goes = surplus > 0 && generation.connections() == 0;
            surplus -= usize::from(goes);
            !goes
        });
        generation
    }
}
