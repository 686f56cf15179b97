//! Which slots of the slab are free, and how much memory free slots keep. The
//! caller holds a lock around it, and does to the memory what it says.
//!
//! - The lowest free slot of a size is taken first, so that slots in use lie
//!   together and whole chunks become free.
//! - A few free slots keep their memory for the next instances. When there are
//!   more, the chunk of the slot that was freed last gives its memory back, and
//!   one more chunk: most of what is kept may lie where nothing is freed any more.

use std::ops::Range;

use crate::chunk::{CHUNK_LEN, Chunk, SlotSize};

/// Free slots that keep their memory, in all chunks together. Connections that
/// come and go one after the other find a slot whose pages need not be mapped
/// again; more than this would be memory that a sleeping server does not need.
pub const MAX_DIRTY: u32 = if cfg!(all(test, loom)) { 0 } else { 16 };

/// How many chunks are looked at for the second one, so that freeing a slot takes
/// a bounded time.
const MAX_LOOKS: u32 = 8;

pub struct Table<const CHUNKS: usize> {
    chunks: [Chunk; CHUNKS],
    /// For each size class: no chunk before this one has a free slot of it.
    first_free: [u32; SlotSize::CLASSES],
    /// How many free slots have memory.
    dirty: u32,
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
            unused_from: 0,
            last_look: 0,
        }
    }

    /// Take a slot: its chunk, and which of the chunk's slots it is.
    pub fn take(&mut self, size: SlotSize) -> Option<(usize, usize)> {
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
        self.has_room(number, size.class());
        if self.dirty <= MAX_DIRTY {
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
    use proptest::prelude::*;

    use super::*;
    use crate::tests::cases;

    const CHUNKS: usize = 6;

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
        let slots: Vec<_> = (0..100).filter_map(|_| table.take(size(8192))).collect();
        for (freed, (number, slot)) in slots.into_iter().enumerate() {
            let mut discarded = false;
            table.release(number, slot * 8192, |_| discarded = true);
            assert!(table.dirty <= MAX_DIRTY);
            assert!(!discarded || freed >= MAX_DIRTY as usize);
        }
        assert_eq!(table.used_slots(), 0);
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
                        prop_assert!(table.dirty <= MAX_DIRTY);
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
