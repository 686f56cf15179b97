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
    /// more than `keep` besides it.
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
        self.evict(keep);
        generation
    }

    /// Drop generations until so many are kept besides the active one: first those
    /// that were rolled back, then the oldest. The active one and the one that a
    /// rollback goes to stay, and so does one that something else still refers to:
    /// a connection, also one that may yet return to it.
    fn evict(&mut self, keep: usize) {
        let Kept {
            generations,
            activated,
            ..
        } = self;
        let on_the_way_back = |kept: &Arc<Generation>| {
            let mut latest_first = activated.iter().rev();
            latest_first.position(|activated| activated.number == kept.number)
        };
        let is_unused = |kept: &Arc<Generation>| {
            let ours = 1 + usize::from(on_the_way_back(kept).is_some());
            Arc::strong_count(kept) == ours
        };
        let mut surplus = generations.len().saturating_sub(keep.saturating_add(1));
        let mut evict = |may_go: fn(Option<usize>) -> bool| {
            generations.retain(|kept| {
                let goes = surplus > 0 && may_go(on_the_way_back(kept)) && is_unused(kept);
                surplus -= usize::from(goes);
                !goes
            });
        };
        evict(|way_back| way_back.is_none());
        evict(|way_back| way_back.is_some_and(|steps| steps > 1));
        activated.retain(|activated| {
            let mut kept = generations.iter();
            kept.any(|kept| kept.number == activated.number)
        });
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
