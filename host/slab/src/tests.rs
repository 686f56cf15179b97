use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use super::*;

/// There is one slab, and these tests count what is in it.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static BEGUN: Once = Once::new();
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    BEGUN.call_once(reserve_address_space);
    alone
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a layout")
}

/// A piece of memory with a mark in each byte.
struct Piece {
    at: *mut u8,
    layout: Layout,
    mark: u8,
}

// SAFETY: it is its owner's.
unsafe impl Send for Piece {}

impl Piece {
    fn new(layout: Layout, mark: u8) -> Self {
        // SAFETY: no layout here is empty.
        let at = unsafe { SlabAllocator.alloc(layout) };
        assert!(!at.is_null());
        assert!(at.addr().is_multiple_of(layout.align()));
        // SAFETY: it is that large.
        unsafe { at.write_bytes(mark, layout.size()) };
        Piece { at, layout, mark }
    }

    fn is_in_slot(&self) -> bool {
        slab::slot_of(self.at).is_some()
    }

    fn check(&self) {
        // SAFETY: written in `new`, all of it.
        let bytes = unsafe { std::slice::from_raw_parts(self.at, self.layout.size()) };
        assert!(bytes.iter().all(|&byte| byte == self.mark), "overwritten");
    }

    fn resize(&mut self, size: usize) {
        self.check();
        // SAFETY: it was allocated so.
        self.at = unsafe { SlabAllocator.realloc(self.at, self.layout, size) };
        assert!(!self.at.is_null());
        let kept = self.layout.size().min(size);
        self.layout = layout(size, self.layout.align());
        // SAFETY: it is that large.
        unsafe { self.at.add(kept).write_bytes(self.mark, size - kept) };
        self.check();
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.check();
        // SAFETY: it was allocated so, once.
        unsafe { SlabAllocator.dealloc(self.at, self.layout) };
    }
}

/// A sequence that is the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("small")
    }
}

/// What an instance does: pieces of all sizes, some of which go at once.
fn instance(dice: &mut Dice) -> Vec<Piece> {
    let mut slot = Slot::new(4096 + dice.roll(12 * 1024));
    let mut pieces: Vec<Piece> = Vec::with_capacity(64);
    slot.fill(|| {
        for mark in 0..40 {
            let up_to = [32, 300, 3000][dice.roll(3)];
            let wanted = layout(1 + dice.roll(up_to), 1 << dice.roll(7));
            let piece = Piece::new(wanted, mark);
            match dice.roll(4) {
                0 => drop(piece),
                1 if !pieces.is_empty() => {
                    let which = dice.roll(pieces.len());
                    pieces.swap_remove(which);
                    pieces.push(piece);
                }
                2 if !pieces.is_empty() => {
                    let which = dice.roll(pieces.len());
                    pieces[which].resize(1 + dice.roll(1000));
                    pieces.push(piece);
                }
                _ => pieces.push(piece),
            }
        }
        // SAFETY: the layout is not empty, and what is read was allocated so.
        unsafe {
            let zeroed = SlabAllocator.alloc_zeroed(layout(100, 8));
            assert_eq!(std::slice::from_raw_parts(zeroed, 100), [0; 100]);
            SlabAllocator.dealloc(zeroed, layout(100, 8));
        }
    });
    pieces
}

#[test]
fn pieces_never_overlap_whoever_frees_them() {
    let _alone = alone();
    let before = slab::in_use();
    let (send, receive) = std::sync::mpsc::sync_channel::<Vec<Piece>>(100);
    let receive = Mutex::new(receive);
    std::thread::scope(|scope| {
        for seed in 1..4_u64 {
            let (send, receive) = (send.clone(), &receive);
            scope.spawn(move || {
                let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let mut mine = Vec::new();
                for _ in 0..600 {
                    mine.push(instance(&mut dice));
                    if mine.len() > 100 {
                        let which = dice.roll(mine.len());
                        let dead = mine.swap_remove(which);
                        // Another thread's to free, or its own if that is busy.
                        let _ = send.try_send(dead);
                    }
                    if dice.roll(3) == 0 {
                        let other = receive.lock().expect("no panic").try_recv();
                        drop(other);
                    }
                }
            });
        }
    });
    drop(send);
    drop(receive);
    assert_eq!(slab::in_use(), before, "all slots are free again");
}

#[test]
fn only_what_is_allocated_while_a_slot_is_filled_lies_in_it() {
    let _alone = alone();
    let mut slot = Slot::new(5000);
    let inside = slot.fill(|| Piece::new(layout(100, 8), 1));
    let outside = Piece::new(layout(100, 8), 2);
    assert!(inside.is_in_slot() && !outside.is_in_slot());
    // What has no room comes from elsewhere, and the next slot has room for it.
    let large = slot.fill(|| Piece::new(layout(9000, 8), 3));
    assert!(!large.is_in_slot());
    assert!(slot.size_needed() >= 9100, "{}", slot.size_needed());
    // What was there for a moment needs none.
    let needed = slot.size_needed();
    slot.fill(|| drop([9000, 50].map(|size| Piece::new(layout(size, 8), 6))));
    assert!(
        slot.size_needed() < needed + 8,
        "{} {needed}",
        slot.size_needed()
    );
    let mut second = Slot::new(needed);
    let both = second.fill(|| {
        let small = Piece::new(layout(100, 8), 4);
        (small, Piece::new(layout(9000, 8), 5))
    });
    assert!(both.0.is_in_slot() && both.1.is_in_slot());
    let in_use = slab::in_use();
    drop((slot, second));
    assert_eq!(slab::in_use(), in_use, "as long as their pieces");
    drop((inside, both));
    assert_eq!(slab::in_use(), in_use - 2);
}

#[test]
fn without_a_range_no_address_of_a_program_is_in_a_slot() {
    for address in [1, 4096, u32::MAX as usize, (1 << 57) - 1] {
        assert_eq!(
            slab::slot_of(std::ptr::without_provenance_mut(address)),
            None
        );
    }
}

#[test]
fn too_large_a_slot_is_none() {
    let _alone = alone();
    let mut slot = Slot::new(MAX_SLOT + 1);
    let piece = slot.fill(|| Piece::new(layout(64, 64), 1));
    assert!(!piece.is_in_slot());
    assert_eq!(slot.size_needed(), 0);
}

#[test]
fn memory_of_many_goes_back_and_any_size_may_have_it() {
    let _alone = alone();
    let filled = |size: usize| {
        let mut slot = Slot::new(size);
        let size = layout(size - bump::HEADER, 8);
        let piece = slot.fill(|| Piece::new(size, 7));
        assert!(piece.is_in_slot());
        piece
    };
    for size in [6000, 10_000, 30_000] {
        let many: Vec<Piece> = (0..1000).map(|_| filled(size)).collect();
        let resident = slab::resident();
        assert!(resident >= 1000 * size, "{resident}");
        // Pages between two that stay stay; the others go.
        let kept: Vec<Piece> = many.into_iter().step_by(100).collect();
        let resident = slab::resident();
        assert!(
            resident < (16 + 2 * kept.len()) * (size + 8192),
            "{resident}"
        );
        drop(kept);
        assert!(slab::resident() <= 16 * (size + 8192));
    }
}

#[test]
fn a_panic_ends_the_filling() {
    let _alone = alone();
    let mut slot = Slot::new(5000);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        slot.fill(|| std::panic::resume_unwind(Box::new(())))
    }));
    assert!(result.is_err());
    assert!(!Piece::new(layout(8, 8), 1).is_in_slot());
}
