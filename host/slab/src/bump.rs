//! The arithmetic of bump allocation inside one slot, in offsets and without a
//! pointer, so that it can be tested as a pure function. [`crate::header`] turns
//! the offsets into addresses.
//!
//! ```text
//!   0        first         gap.start  gap.end       top            end
//!   ├─ header ─┼─ allocations ─┼─ gap ──┼─ allocations ┼─ free space ──┤
//! ```
//!
//! An allocation takes the bytes from `top` on. One that is freed while the slot
//! is still being filled can be used again if it is the last one (then `top` goes
//! back) or if it is the largest such hole (then it is the gap). All other holes
//! stay unused until the whole slot is free: the allocations of a slot are made
//! together and freed together, so there are few.

use std::alloc::Layout;
use std::ops::Range;

/// An allocation goes into the gap only if it takes at least this part of it (a
/// quarter). Many small ones would otherwise leave no room for the next large one.
const MIN_SHARE_OF_GAP: u32 = 4;

/// The state of one slot while it is being filled.
#[derive(Clone, Debug)]
pub struct Bump {
    /// Where the free space begins. Never more than `end`.
    top: u32,
    /// The length of the slot.
    end: u32,
    /// The largest hole below `top`; empty if there is none.
    gap: Range<u32>,
    /// Bytes that found no room and are still allocated elsewhere. What a larger
    /// slot would have needed: see [`Self::size_needed`].
    overflow: u32,
}

impl Bump {
    /// For an empty slot of `end` bytes whose first `first` bytes are taken.
    pub fn new(first: u32, end: u32) -> Self {
        Bump {
            top: first.min(end),
            end,
            gap: 0..0,
            overflow: 0,
        }
    }

    /// The offset of a new allocation in the slot that begins at address `base`;
    /// nothing if there is no room, which is then counted as overflow.
    pub fn alloc(&mut self, base: usize, layout: Layout) -> Option<u32> {
        let size = saturating_u32(layout.size());
        let placed = self.alloc_in_gap(base, size, layout.align());
        let placed = placed.or_else(|| self.alloc_at_top(base, size, layout.align()));
        if placed.is_none() {
            self.overflow = self.overflow.saturating_add(size);
        }
        placed
    }

    fn alloc_in_gap(&mut self, base: usize, size: u32, align: usize) -> Option<u32> {
        if size < self.gap.len() as u32 / MIN_SHARE_OF_GAP {
            return None;
        }
        let offset = align_up(base, self.gap.start, align)?;
        let end = offset.checked_add(size)?;
        if self.gap.is_empty() || end > self.gap.end {
            return None;
        }
        self.gap.start = end;
        Some(offset)
    }

    fn alloc_at_top(&mut self, base: usize, size: u32, align: usize) -> Option<u32> {
        let offset = align_up(base, self.top, align)?;
        let top = offset.checked_add(size)?;
        if top > self.end {
            return None;
        }
        self.top = top;
        Some(offset)
    }

    /// An allocation of this slot is freed while the slot is still being filled.
    pub fn free(&mut self, offset: u32, size: u32) {
        let end = offset + size;
        let touches_gap_end = !self.gap.is_empty() && self.gap.end == offset;
        let touches_gap_start = !self.gap.is_empty() && self.gap.start == end;
        if end == self.top && touches_gap_end {
            self.top = self.gap.start;
            self.gap = 0..0;
        } else if end == self.top {
            self.top = offset;
        } else if touches_gap_end {
            self.gap.end = end;
        } else if touches_gap_start {
            self.gap.start = offset;
        } else if size as usize > self.gap.len() {
            self.gap = offset..end;
        }
    }

    /// An allocation that lies elsewhere is freed while the slot is being filled.
    /// It probably found no room here a moment ago, so it does not count as
    /// overflow any more. (If it is older, the next slot is a little too small.)
    pub fn freed_elsewhere(&mut self, size: usize) {
        self.overflow = self.overflow.saturating_sub(saturating_u32(size));
    }

    /// The size of a slot in which everything that is now allocated would have
    /// found room.
    pub fn size_needed(&self) -> usize {
        self.top as usize + self.overflow as usize
    }
}

fn saturating_u32(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// The next offset from `base` whose address is a multiple of `align`.
fn align_up(base: usize, offset: u32, align: usize) -> Option<u32> {
    let address = base.checked_add(offset as usize)?;
    let padding = address.checked_next_multiple_of(align)? - address;
    offset.checked_add(u32::try_from(padding).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::{cases, layout};

    const FIRST: u32 = 32;
    const BASE: usize = 0x1_0000;

    fn bump(end: u32) -> Bump {
        Bump::new(FIRST, end)
    }

    fn alloc(bump: &mut Bump, size: usize, align: usize) -> Option<u32> {
        bump.alloc(BASE, layout(size, align))
    }

    #[test]
    fn allocations_follow_each_other_and_are_aligned() {
        let mut bump = bump(4096);
        assert_eq!(alloc(&mut bump, 10, 1), Some(32));
        assert_eq!(alloc(&mut bump, 10, 8), Some(48));
        assert_eq!(alloc(&mut bump, 10, 64), Some(64));
        assert_eq!(bump.size_needed(), 74);
    }

    #[test]
    fn alignment_counts_from_address_zero_not_from_the_slot() {
        let mut bump = Bump::new(FIRST, 4096);
        assert_eq!(bump.alloc(0x1_0040, layout(8, 256)), Some(256 - 64));
    }

    #[test]
    fn the_last_byte_of_a_slot_can_be_used_and_no_more() {
        let mut bump = bump(4096);
        assert_eq!(alloc(&mut bump, 4096 - 32, 1), Some(32));
        assert_eq!(alloc(&mut bump, 1, 1), None);
        assert_eq!(bump.size_needed(), 4097);
    }

    #[test]
    fn sizes_near_the_end_of_the_numbers_overflow_nothing() {
        let mut bump = bump(4096);
        for size in [
            u32::MAX as usize,
            u32::MAX as usize + 1,
            isize::MAX as usize,
        ] {
            assert_eq!(alloc(&mut bump, size, 1), None);
        }
        assert_eq!(bump.alloc(usize::MAX - 100, layout(1, 4096)), None);
        assert!(bump.size_needed() >= u32::MAX as usize);
    }

    #[test]
    fn a_freed_hole_is_used_again() {
        let mut bump = bump(4096);
        let first = alloc(&mut bump, 100, 1).expect("room");
        let second = alloc(&mut bump, 100, 1).expect("room");
        let third = alloc(&mut bump, 100, 1).expect("room");
        bump.free(second, 100);
        assert_eq!(
            alloc(&mut bump, 20, 1),
            Some(third + 100),
            "too small for the gap"
        );
        assert_eq!(alloc(&mut bump, 60, 1), Some(second));
        // Neighbours of the gap are joined with it.
        bump.free(second, 60);
        bump.free(first, 100);
        assert_eq!(alloc(&mut bump, 200, 1), Some(first));
    }

    #[test]
    fn freeing_the_last_allocation_frees_the_gap_before_it() {
        let mut bump = bump(4096);
        let offsets: Vec<u32> = (0..3).filter_map(|_| alloc(&mut bump, 100, 4)).collect();
        bump.free(offsets[1], 100);
        bump.free(offsets[2], 100);
        assert_eq!(bump.size_needed(), 132);
    }

    #[test]
    fn what_had_no_room_for_a_moment_needs_none() {
        let mut bump = bump(4096);
        assert_eq!(alloc(&mut bump, 9000, 8), None);
        assert_eq!(bump.size_needed(), 32 + 9000);
        bump.freed_elsewhere(9000);
        bump.freed_elsewhere(100);
        assert_eq!(bump.size_needed(), 32);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Alloc { size: usize, align: usize },
        Free { which: prop::sample::Index },
    }

    fn step() -> impl Strategy<Value = Step> {
        let size = prop_oneof![1..40_usize, 1..400_usize, 1..5000_usize];
        prop_oneof![
            3 => (size, 0..9_u32).prop_map(|(size, align)| Step::Alloc { size, align: 1 << align }),
            2 => any::<prop::sample::Index>().prop_map(|which| Step::Free { which }),
        ]
    }

    fn overlap(a: &Range<u32>, b: &Range<u32>) -> bool {
        a.start < b.end && b.start < a.end
    }

    proptest! {
        #![proptest_config(cases())]

        #[test]
        fn allocations_lie_in_the_slot_and_never_overlap(
            base in (0..1000_usize).prop_map(|unit| unit * 64),
            end in 4096..16_384_u32,
            steps in prop::collection::vec(step(), 1..80),
        ) {
            let mut bump = Bump::new(FIRST, end);
            let mut live: Vec<Range<u32>> = Vec::new();
            for step in steps {
                match step {
                    Step::Alloc { size, align } => {
                        let Some(offset) = bump.alloc(base, layout(size, align)) else { continue };
                        let new = offset..offset + size as u32;
                        prop_assert!((base + offset as usize).is_multiple_of(align));
                        prop_assert!(new.start >= FIRST && new.end <= end);
                        prop_assert!(live.iter().all(|other| !overlap(other, &new)), "{new:?} {live:?}");
                        live.push(new);
                    }
                    Step::Free { which } if !live.is_empty() => {
                        let freed = live.swap_remove(which.index(live.len()));
                        bump.free(freed.start, freed.len() as u32);
                    }
                    Step::Free { .. } => {}
                }
                // What is offered next is nobody's.
                prop_assert!(bump.top <= bump.end);
                prop_assert!(bump.gap.is_empty() || bump.gap.end <= bump.top);
                prop_assert!(live.iter().all(|one| !overlap(one, &bump.gap) && one.end <= bump.top));
            }
            // The last allocation is always taken back.
            live.sort_by_key(|range| range.start);
            while let Some(last) = live.pop() {
                bump.free(last.start, last.len() as u32);
            }
            prop_assert!(bump.top <= bump.end);
        }
    }
}
