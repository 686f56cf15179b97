//! The generations that are still compiled, so that a rollback takes no time.

use std::collections::VecDeque;
use std::sync::Arc;

use hotsocket_sandbox::{CompiledGuest, Hash};

use crate::rollout::{Generation, Source};

/// See the module's documentation.
pub struct Kept {
    last_number: u64,
    /// Oldest first.
    generations: VecDeque<Arc<Generation>>,
    /// Those that were active one after the other, the active one last: the
    /// way back.
    activated: Vec<Arc<Generation>>,
}

impl Kept {
    pub fn new(first: Arc<Generation>) -> Self {
        Kept {
            last_number: first.number,
            generations: VecDeque::from([Arc::clone(&first)]),
            activated: vec![first],
        }
    }

    /// Number a new generation, make it the active one, and drop those that are
    /// more than `keep` and have no connection.
    pub fn add(
        &mut self,
        guest: Arc<CompiledGuest>,
        source: Source,
        keep: usize,
    ) -> Arc<Generation> {
        self.last_number += 1;
        let generation = Arc::new(Generation::new(self.last_number, guest, source));
        self.generations.push_back(Arc::clone(&generation));
        self.activated.push(Arc::clone(&generation));
        let mut surplus = self.generations.len().saturating_sub(keep.max(1));
        let active = generation.number;
        self.generations.retain(|kept| {
            let goes = surplus > 0 && kept.number != active && kept.connections() == 0;
            surplus -= usize::from(goes);
            !goes
        });
        let kept = &self.generations;
        self.activated
            .retain(|activated| kept.iter().any(|kept| kept.number == activated.number));
        generation
    }

    /// The generation before the active one.
    pub fn previous(&self) -> Option<Arc<Generation>> {
        self.activated.iter().rev().nth(1).cloned()
    }

    /// The active generation is active no more; the one before it is.
    pub fn go_back(&mut self) {
        self.activated.pop();
    }

    /// Compiled code of this content, if a kept generation has it.
    pub fn compiled(&self, hash: Hash) -> Option<Arc<CompiledGuest>> {
        self.generations
            .iter()
            .find(|generation| generation.guest.hash == hash)
            .map(|generation| Arc::clone(&generation.guest))
    }

    pub fn generations(&self) -> Vec<Arc<Generation>> {
        self.generations.iter().cloned().collect()
    }
}
