//! A chunk: 256 KiB of the slab, cut into slots of one size. Which of its slots
//! are in use, and which of its pages can go back to the kernel. Arithmetic only:
//! nothing here touches the memory.

use std::iter;
use std::num::NonZeroU32;
use std::ops::Range;

use crate::pages::PAGE;

/// The length of a chunk in bytes.
pub const CHUNK_LEN: usize = 256 * 1024;

/// The length of a slot in bytes, its header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotSize(NonZeroU32);

impl SlotSize {
    /// At most 64 slots in a chunk: one bit of a `u64` for each.
    pub const MIN: usize = CHUNK_LEN / 64;
    /// Four slots in a chunk. Whoever needs more memory than this is better off
    /// with the system's allocator, which maps large blocks by themselves.
    pub const MAX: usize = 64 * 1024;
    /// Sizes are multiples of this: no more than a cache line is lost at the end,
    /// and slots begin aligned for every usual type.
    const UNIT: usize = 64;
    /// How many sizes there can be: [`Self::class`] is less.
    pub const CLASSES: usize = Self::MAX / Self::UNIT + 1;

    /// The size that has room for so many bytes, or the largest.
    pub fn for_bytes(bytes: usize) -> Self {
        let bytes = bytes.clamp(Self::MIN, Self::MAX);
        let size = bytes.next_multiple_of(Self::UNIT) as u32;
        SlotSize(NonZeroU32::new(size).unwrap_or(NonZeroU32::MIN))
    }

    /// The reverse of [`Self::get`]; nothing for 0.
    pub fn from_raw(size: u32) -> Option<Self> {
        NonZeroU32::new(size).map(SlotSize)
    }

    pub fn get(self) -> u32 {
        self.0.get()
    }

    pub fn bytes(self) -> usize {
        self.get() as usize
    }

    /// The number of this size among all sizes.
    pub fn class(self) -> usize {
        self.bytes() / Self::UNIT
    }

    pub fn per_chunk(self) -> usize {
        CHUNK_LEN / self.bytes()
    }
}

const _: () = assert!(
    SlotSize::MIN.is_multiple_of(SlotSize::UNIT)
        && SlotSize::MAX.is_multiple_of(SlotSize::UNIT)
        && SlotSize::UNIT.is_multiple_of(align_of::<crate::header::Header>())
        && CHUNK_LEN.is_multiple_of(PAGE)
);

/// What is known of one chunk. All zero bits when new, so that the table of all
/// chunks takes no memory before it is used.
#[derive(Clone, Copy, Debug)]
pub struct Chunk {
    /// Unset as long as none of its slots is in use or has memory: then the chunk
    /// can be cut again.
    slot_size: Option<SlotSize>,
    /// A bit for each slot that is in use.
    used: u64,
    /// A bit for each slot that is free and still has memory.
    dirty: u64,
}

impl Chunk {
    pub const NEW: Chunk = Chunk {
        slot_size: None,
        used: 0,
        dirty: 0,
    };

    /// Take the first free slot of this size, if there is one. With it, whether
    /// it still has memory.
    pub fn take(&mut self, size: SlotSize) -> Option<(usize, bool)> {
        if self.slot_size.is_some_and(|own| own != size) {
            return None;
        }
        let slot = self.used.trailing_ones() as usize;
        if slot >= size.per_chunk() {
            return None;
        }
        let bit = 1 << slot;
        let was_dirty = self.dirty & bit != 0;
        self.slot_size = Some(size);
        self.used |= bit;
        self.dirty &= !bit;
        Some((slot, was_dirty))
    }

    /// The slot that begins at this offset in the chunk is free again, and has
    /// memory. Its size; nothing if no such slot was in use.
    pub fn release(&mut self, offset: usize) -> Option<SlotSize> {
        let size = self.slot_size?;
        let bit = 1_u64.checked_shl(u32::try_from(offset / size.bytes()).ok()?)?;
        if self.used & bit == 0 {
            return None;
        }
        self.used &= !bit;
        self.dirty |= bit;
        Some(size)
    }

    /// How many free slots have memory.
    pub fn dirty_slots(&self) -> u32 {
        self.dirty.count_ones()
    }

    /// Give up the memory of all free slots: the caller must discard these pages,
    /// as offsets in the chunk. A chunk without a slot in use can be cut again.
    pub fn discard(&mut self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (size, used) = (self.slot_size, self.used);
        self.dirty = 0;
        if used == 0 {
            self.slot_size = None;
        }
        size.into_iter()
            .flat_map(move |size| idle_pages(size, used))
    }

    /// Whether slots of any size can be taken from it.
    pub fn is_uncut(&self) -> bool {
        self.slot_size.is_none()
    }

    #[cfg(test)]
    pub fn used_slots(&self) -> u32 {
        self.used.count_ones()
    }
}

/// The pages of a chunk that no slot in use touches, as few ranges as possible.
/// A page that two slots share stays as long as one of them is in use.
fn idle_pages(size: SlotSize, used: u64) -> impl Iterator<Item = Range<usize>> {
    let is_used = move |slot: &usize| used & (1 << slot) != 0;
    let in_use = (0..size.per_chunk()).filter(is_used);
    let in_use = in_use.map(move |slot| slot * size.bytes()..(slot + 1) * size.bytes());
    let mut idle_from = 0;
    in_use
        .chain(iter::once(CHUNK_LEN..CHUNK_LEN))
        .filter_map(move |busy| {
            let start = usize::next_multiple_of(idle_from, PAGE);
            let end = busy.start - busy.start % PAGE;
            idle_from = busy.end;
            (start < end).then_some(start..end)
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::tests::cases;

    #[test]
    fn sizes_are_rounded_up_and_bounded() {
        for (bytes, size) in [
            (0, 4096),
            (4096, 4096),
            (4097, 4160),
            (65_535, 65_536),
            (65_536, 65_536),
            (65_537, 65_536),
            (usize::MAX, 65_536),
        ] {
            assert_eq!(SlotSize::for_bytes(bytes).bytes(), size, "{bytes}");
        }
        assert_eq!(SlotSize::for_bytes(0).per_chunk(), 64);
        assert_eq!(SlotSize::for_bytes(usize::MAX).per_chunk(), 4);
        assert!(SlotSize::for_bytes(usize::MAX).class() < SlotSize::CLASSES);
    }

    #[test]
    fn no_size_is_the_number_zero() {
        assert_eq!(size_of::<Option<SlotSize>>(), size_of::<u32>());
        assert_eq!(SlotSize::from_raw(0), None);
    }

    #[test]
    fn the_lowest_free_slot_is_taken_first() {
        let size = SlotSize::for_bytes(100_000);
        let mut chunk = Chunk::NEW;
        assert_eq!(chunk.take(size), Some((0, false)));
        assert_eq!(chunk.take(size), Some((1, false)));
        assert_eq!(chunk.release(0), Some(size));
        assert_eq!(chunk.release(0), None, "not twice");
        assert_eq!(chunk.take(size), Some((0, true)));
        assert_eq!(chunk.take(SlotSize::for_bytes(0)), None, "another size");
    }

    #[test]
    fn an_empty_chunk_can_be_cut_anew_once_its_memory_is_gone() {
        let (large, small) = (SlotSize::for_bytes(100_000), SlotSize::for_bytes(0));
        let mut chunk = Chunk::NEW;
        chunk.take(large);
        chunk.release(0);
        assert_eq!(chunk.take(small), None);
        assert!(chunk.discard().eq(iter::once(0..CHUNK_LEN)));
        assert!(chunk.is_uncut());
        assert_eq!(chunk.take(small), Some((0, false)));
    }

    #[test]
    fn pages_that_a_slot_in_use_touches_stay() {
        let size = SlotSize::for_bytes(6016);
        // The second slot: bytes 6016 to 12032, on the second and third page.
        let idle: Vec<_> = idle_pages(size, 0b10).collect();
        assert_eq!(idle, [0..4096, 12288..CHUNK_LEN]);
        assert_eq!(idle_pages(SlotSize::for_bytes(0), u64::MAX).count(), 0);
    }

    fn size() -> impl Strategy<Value = SlotSize> {
        (0..70_000_usize).prop_map(SlotSize::for_bytes)
    }

    proptest! {
        #![proptest_config(cases())]

        #[test]
        fn idle_pages_are_exactly_those_that_no_slot_in_use_touches(
            size in size(),
            used in any::<u64>(),
            sparse in any::<bool>(),
        ) {
            let used = if sparse { used & used.rotate_left(7) & used.rotate_left(23) } else { used };
            let used = used & u64::MAX >> (64 - size.per_chunk());
            let idle: Vec<_> = idle_pages(size, used).collect();
            prop_assert!(idle.iter().all(|range| range.start % PAGE == 0 && range.end % PAGE == 0));
            prop_assert!(idle.iter().all(|range| range.start < range.end));
            for page in (0..CHUNK_LEN).step_by(PAGE) {
                let touched = (0..size.per_chunk())
                    .filter(|slot| used & (1 << slot) != 0)
                    .any(|slot| slot * size.bytes() < page + PAGE && page < (slot + 1) * size.bytes());
                let listed = idle.iter().filter(|range| range.contains(&page)).count();
                prop_assert_eq!(listed, usize::from(!touched), "page {}", page);
            }
        }

        #[test]
        fn no_slot_is_taken_twice_and_all_are_counted(
            size in size(),
            steps in prop::collection::vec(any::<Option<prop::sample::Index>>(), 1..300),
        ) {
            let mut chunk = Chunk::NEW;
            // For each free slot that was ever used, whether it has memory.
            let (mut used, mut dirty) = (Vec::new(), BTreeMap::new());
            for step in steps {
                match step {
                    None => match chunk.take(size) {
                        Some((slot, was_dirty)) => {
                            prop_assert!(slot < size.per_chunk() && !used.contains(&slot));
                            prop_assert_eq!(was_dirty, dirty.remove(&slot).is_some());
                            used.push(slot);
                        }
                        None => prop_assert_eq!(used.len(), size.per_chunk()),
                    },
                    Some(which) if !used.is_empty() => {
                        let slot = used.swap_remove(which.index(used.len()));
                        prop_assert_eq!(chunk.release(slot * size.bytes()), Some(size));
                        dirty.insert(slot, ());
                    }
                    Some(_) => {
                        let _ = chunk.discard();
                        dirty.clear();
                        prop_assert!(chunk.is_uncut());
                    }
                }
                prop_assert_eq!(chunk.used_slots() as usize, used.len());
                prop_assert_eq!(chunk.dirty_slots() as usize, dirty.len());
            }
        }
    }
}
