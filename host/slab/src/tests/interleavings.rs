//! Slots taken and given back by several threads, in every order in which they can
//! run and in which one can see what the other wrote. Run by loom:
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" cargo test --release -p hotsocket-slab --lib interleavings \
//!     --target-dir target/loom
//! ```
//!
//! What lies in a slot is loom's cell here: it panics when two threads use it and
//! neither has to happen before the other. The table keeps no memory of free slots
//! here ([`MAX_DIRTY`](crate::table::MAX_DIRTY)), so every slot that is given back
//! also gives back its pages.

use std::ptr::NonNull;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::layout;
use crate::chunk::SlotSize;
use crate::header::Header;
use crate::pages;
use crate::slab::{SLAB_LEN, Slab};

/// Addresses for all runs of a test: loom runs one after the other.
fn range() -> NonNull<u8> {
    pages::reserve(SLAB_LEN).expect("addresses")
}

/// A slab in this range, which no other run uses any more.
fn slab(range: usize) -> Arc<Slab> {
    let slab = Arc::new(Slab::new());
    let start = NonNull::new(std::ptr::with_exposed_provenance_mut(range)).expect("addresses");
    // SAFETY: the range is mapped for ever, and the run before is over. No other
    // thread knows the slab.
    unsafe { slab.publish(start) };
    slab
}

/// An allocation in a slot, which another thread may free.
struct Allocation(*mut u8);

// SAFETY: it is its owner's.
unsafe impl Send for Allocation {}

fn alloc(slot: NonNull<Header>) -> Allocation {
    // SAFETY: every test has one thread that holds the slot's handle.
    let allocation = unsafe { Header::alloc(slot, layout(64, 8)) };
    Allocation(allocation.expect("room").as_ptr())
}

/// As `SlabAllocator::dealloc` frees what lies in a slot that is not being filled.
fn free(slab: &Slab, Allocation(allocation): Allocation) {
    let slot = slab.slot_of(allocation).expect("in a slot");
    // SAFETY: the allocation was counted, and is freed once.
    unsafe { slab.release(slot) };
}

/// Use the slot's memory, as far as loom is concerned.
fn touch(memory: &UnsafeCell<u32>) {
    // SAFETY: loom panics if another thread may do the same at the same time.
    memory.with_mut(|count| unsafe { *count += 1 });
}

#[test]
fn whoever_takes_a_slot_comes_after_all_who_used_it() {
    let range = range().as_ptr().expose_provenance();
    loom::model(move || {
        let (slab, memory) = (slab(range), Arc::new(UnsafeCell::new(0)));
        let size = SlotSize::for_bytes(SlotSize::MAX);
        let slot = slab.take(size).expect("a slot");
        let (one, two) = (alloc(slot), alloc(slot));
        // SAFETY: the handle was counted, and is dropped once.
        unsafe { slab.release(slot) };
        let users: Vec<_> = [one, two]
            .into_iter()
            .map(|allocation| {
                let (slab, memory) = (Arc::clone(&slab), Arc::clone(&memory));
                thread::spawn(move || {
                    memory.with(|_| ());
                    free(&slab, allocation);
                })
            })
            .collect();
        let next = slab.take(size).expect("another slot");
        if next == slot {
            touch(&memory);
        }
        // SAFETY: as above.
        unsafe { slab.release(next) };
        users
            .into_iter()
            .for_each(|user| user.join().expect("no panic"));
        assert_eq!(slab.used_slots(), 0, "given back once");
    });
}

#[test]
fn no_slot_has_two_owners() {
    let range = range().as_ptr().expose_provenance();
    loom::model(move || {
        let slab = slab(range);
        let memory: Arc<[UnsafeCell<u32>; 2]> = Arc::new(Default::default());
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (slab, memory) = (Arc::clone(&slab), Arc::clone(&memory));
                thread::spawn(move || {
                    let slot = slab
                        .take(SlotSize::for_bytes(SlotSize::MAX))
                        .expect("a slot");
                    let allocation = alloc(slot);
                    let number = (slot.addr().get() - range) / SlotSize::MAX;
                    touch(&memory[number]);
                    // SAFETY: the handle was counted, and is dropped once.
                    unsafe { slab.release(slot) };
                    free(&slab, allocation);
                })
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().expect("no panic"));
        assert_eq!(slab.used_slots(), 0);
    });
}

/// A chunk gets slots of another size while other threads free what lay in it, and
/// every allocation still leads to its own slot.
#[test]
fn a_chunk_that_is_cut_anew_misleads_nobody() {
    let range = range().as_ptr().expose_provenance();
    loom::model(move || {
        let slab = slab(range);
        let before = slab
            .take(SlotSize::for_bytes(SlotSize::MAX))
            .expect("a slot");
        let allocation = alloc(before);
        let other = Arc::clone(&slab);
        let thread = thread::spawn(move || {
            assert_eq!(other.slot_of(allocation.0), Some(before));
            free(&other, allocation);
        });
        // SAFETY: the handle was counted, and is dropped once.
        unsafe { slab.release(before) };
        let slots = [(); 2].map(|()| {
            slab.take(SlotSize::for_bytes(SlotSize::MIN))
                .expect("a slot")
        });
        for slot in slots {
            let allocation = alloc(slot);
            assert_eq!(slab.slot_of(allocation.0), Some(slot));
            free(&slab, allocation);
            // SAFETY: as above.
            unsafe { slab.release(slot) };
        }
        thread.join().expect("no panic");
        assert_eq!(slab.used_slots(), 0);
    });
}

/// While one thread publishes the range and takes the first slot, another frees
/// memory that lies elsewhere, at a low address.
#[test]
fn memory_outside_is_never_taken_for_a_slot() {
    let range = range().as_ptr().expose_provenance();
    loom::model(move || {
        let slab = Arc::new(Slab::new());
        let other = Arc::clone(&slab);
        let thread = thread::spawn(move || {
            for address in [64, SLAB_LEN - 1] {
                let outside = std::ptr::without_provenance_mut(address);
                assert_eq!(other.slot_of(outside), None);
            }
        });
        let start = NonNull::new(std::ptr::with_exposed_provenance_mut(range)).expect("addresses");
        // SAFETY: as in `slab`.
        unsafe { slab.publish(start) };
        let slots = [(); 2].map(|()| {
            slab.take(SlotSize::for_bytes(SlotSize::MIN))
                .expect("a slot")
        });
        for slot in slots {
            // SAFETY: the handle was counted, and is dropped once.
            unsafe { slab.release(slot) };
        }
        thread.join().expect("no panic");
    });
}
