//! Which slots of the slab are free, and how much memory free slots keep. The
//! caller holds a lock around it, and does to the memory what it says.
//!
//! - The lowest free slot of a size is taken first, so that slots in use lie
//!   together and whole chunks become free.
//! - A few free slots keep their memory for the next instances, and some more
//!   while slots are taken as often as they are given back. When there are too
//!   many, the chunk of the slot that was freed last gives its memory back, and one
//!   more chunk: most of what is kept may lie where nothing is freed any more.

use std::ops::Range;

use crate::chunk::{CHUNK_LEN, Chunk, SlotSize};

/// Free slots that keep their memory in any case, in all chunks together. More than
/// this would be memory that a sleeping server does not need.
pub const MAX_DIRTY: u32 = if cfg!(all(test, loom)) { 0 } else { 16 };

/// How many more keep it while there is demand. Connections that come and go find
/// slots whose pages need not be mapped again: with 64 at once and without this, a
/// connection takes 1.2 page faults and a fifth of a `madvise` more.
const MAX_EXTRA: u32 = if cfg!(all(test, loom)) { 0 } else { 64 };

/// Demand is forgotten when so many slots more were given back than taken.
const MAX_DEMAND: u32 = 256;

/// How many chunks are looked at for the second one, so that freeing a slot takes
/// a bounded time.
const MAX_LOOKS: u32 = 8;

pub struct Table<const CHUNKS: usize> {
    chunks: [Chunk; CHUNKS],
    /// For each size class: no chunk before this one has a free slot of it.
    first_free: [u32; SlotSize::CLASSES],
    /// How many free slots have memory.
    dirty: u32,
    /// Two more with each slot taken, one less with each given back. So it is high
    /// while connections come and go, also by the dozen, and zero when many have
    /// fallen asleep.
    demand: u32,
    /// No chunk from this one on was ever used.
    unused_from: usize,
    /// The chunk that was looked at last for memory to give back.
    last_look: usize,
}

impl<const CHUNKS: usize> Table<CHUNKS> {
    pub const fn new() -> Self {
        Table {
            chunks: [Chunk::NEW; CHUNKS],
            first_free: [0; SlotSize::CLASSES],
            dirty: 0,
            demand: 0,
            unused_from: 0,
            last_look: 0,
        }
    }

    /// Take a slot: its chunk, and which of the chunk's slots it is.
    pub fn take(&mut self, size: SlotSize) -> Option<(usize, usize)> {
        self.demand = (self.demand + 2).min(MAX_DEMAND);
        let first_free = self.first_free.get_mut(size.class())?;
        let chunks = self.chunks.iter_mut().enumerate();
        for (number, chunk) in chunks.skip(*first_free as usize) {
            let Some((slot, was_dirty)) = chunk.take(size) else {
                continue;
            };
            *first_free = u32::try_from(number).ok()?;
            self.dirty -= u32::from(was_dirty);
            self.unused_from = self.unused_from.max(number + 1);
            return Some((number, slot));
        }
        // All are full. `release` says where there is room again.
        *first_free = u32::try_from(CHUNKS).ok()?;
        None
    }

    /// The slot at this offset in a chunk is free again. `discard` is called with
    /// pages that nobody uses any more, as offsets in the slab.
    pub fn release(&mut self, number: usize, offset: usize, mut discard: impl FnMut(Range<usize>)) {
        let Some(chunk) = self.chunks.get_mut(number) else {
            return;
        };
        let Some(size) = chunk.release(offset) else {
            return;
        };
        self.dirty += 1;
        self.demand = self.demand.saturating_sub(1);
        self.has_room(number, size.class());
        if self.dirty <= MAX_DIRTY + self.demand.min(MAX_EXTRA) {
            return;
        }
        self.discard(number, &mut discard);
        for _ in 0..MAX_LOOKS {
            self.last_look = (self.last_look + 1) % self.unused_from.max(1);
            let chunk = self.chunks.get(self.last_look);
            if chunk.is_some_and(|chunk| chunk.dirty_slots() > 0) {
                self.discard(self.last_look, &mut discard);
                break;
            }
        }
    }

    fn discard(&mut self, number: usize, discard: &mut impl FnMut(Range<usize>)) {
        let Some(chunk) = self.chunks.get_mut(number) else {
            return;
        };
        self.dirty -= chunk.dirty_slots();
        let start = number * CHUNK_LEN;
        chunk
            .discard()
            .for_each(|pages| discard(start + pages.start..start + pages.end));
        if chunk.is_uncut() {
            (0..SlotSize::CLASSES).for_each(|class| self.has_room(number, class));
        }
    }

    fn has_room(&mut self, number: usize, class: usize) {
        if let (Some(first), Ok(number)) = (self.first_free.get_mut(class), u32::try_from(number)) {
            *first = number.min(*first);
        }
    }

    #[cfg(test)]
    pub fn used_slots(&self) -> u32 {
        self.chunks.iter().map(Chunk::used_slots).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;
    use crate::tests::cases;

    const CHUNKS: usize = 10;

    fn size(bytes: usize) -> SlotSize {
        SlotSize::for_bytes(bytes)
    }

    #[test]
    fn a_full_table_has_no_slot_until_one_is_released() {
        let mut table = Table::<2>::new();
        for expected in (0..8).map(|slot| (slot / 4, slot % 4)) {
            assert_eq!(table.take(size(65_536)), Some(expected));
        }
        assert_eq!(table.take(size(65_536)), None);
        table.release(1, 2 * 65_536, |_| ());
        assert_eq!(table.take(size(4096)), None, "not of another size");
        assert_eq!(table.take(size(65_536)), Some((1, 2)));
    }

    #[test]
    fn what_does_not_exist_is_not_released() {
        let mut table = Table::<2>::new();
        table.release(0, 0, |_| panic!("nothing to discard"));
        table.release(2, 0, |_| panic!("nothing to discard"));
        assert_eq!(table.used_slots(), 0);
    }

    #[test]
    fn a_few_free_slots_keep_their_memory_and_no_more() {
        let mut table = Table::<CHUNKS>::new();
        let slots: Vec<_> = (0..300).filter_map(|_| table.take(size(8192))).collect();
        for (freed, (number, slot)) in slots.into_iter().enumerate() {
            let mut discarded = false;
            table.release(number, slot * 8192, |_| discarded = true);
            assert!(!discarded || freed >= MAX_DIRTY as usize);
        }
        assert_eq!(table.used_slots(), 0);
        assert!(table.dirty <= MAX_DIRTY);
    }

    #[test]
    fn slots_that_come_and_go_keep_their_memory() {
        let mut table = Table::<CHUNKS>::new();
        let mut live = VecDeque::new();
        for round in 0..1000 {
            // Between 10 and 70 at once.
            let many = 10 + round * 7 % 61;
            while live.len() < many {
                live.push_back(table.take(size(8192)).expect("room"));
            }
            while live.len() > many {
                let (number, slot) = live.pop_front().expect("not empty");
                table.release(number, slot * 8192, |_| panic!("will be needed again"));
            }
        }
    }

    proptest! {
        #![proptest_config(cases())]

        /// A model of the memory: who owns each page, and whether it is there.
        #[test]
        fn slots_never_overlap_and_no_page_in_use_is_discarded(
            steps in prop::collection::vec(
                (prop_oneof![Just(4096), Just(5000), Just(20_000), Just(65_536)],
                 any::<Option<prop::sample::Index>>()),
                1..400,
            ),
        ) {
            let mut table = Table::<CHUNKS>::new();
            let mut live: Vec<Range<usize>> = Vec::new();
            for (bytes, which) in steps {
                let size = size(bytes);
                match which {
                    None => {
                        let Some((number, slot)) = table.take(size) else { continue };
                        let start = number * CHUNK_LEN + slot * size.bytes();
                        let new = start..start + size.bytes();
                        prop_assert!(new.end <= (number + 1) * CHUNK_LEN && number < CHUNKS);
                        prop_assert!(live.iter().all(|other| new.end <= other.start || other.end <= new.start));
                        live.push(new);
                    }
                    Some(which) if !live.is_empty() => {
                        let freed = live.swap_remove(which.index(live.len()));
                        let mut bad = None;
                        table.release(freed.start / CHUNK_LEN, freed.start % CHUNK_LEN, |pages| {
                            let in_use = |slot: &&Range<usize>| slot.start < pages.end && pages.start < slot.end;
                            bad = bad.take().or(live.iter().find(in_use).cloned());
                        });
                        prop_assert_eq!(bad, None, "discarded while in use");
                        prop_assert!(table.dirty <= MAX_DIRTY + MAX_EXTRA);
                    }
                    Some(_) => {}
                }
                prop_assert_eq!(table.used_slots() as usize, live.len());
                let dirty: u32 = table.chunks.iter().map(Chunk::dirty_slots).sum();
                prop_assert_eq!(table.dirty, dirty);
            }
        }
    }
}
