//! The global allocator: the system's, but for what is allocated while a slot is
//! being filled.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{self, NonNull};

use crate::header::Header;
use crate::slab::Slab;

/// The slab of this process.
pub static SLAB: Slab = Slab::new();

thread_local! {
    /// The slot that this thread fills; null most of the time. Needs no memory
    /// and no destructor, so an allocator can use it at any time.
    pub static FILLED_NOW: Cell<*mut Header> = const { Cell::new(ptr::null_mut()) };
}

/// For `#[global_allocator]`. See the [crate's documentation](crate).
#[derive(Debug, Default)]
pub struct SlabAllocator(());

impl SlabAllocator {
    pub const fn new() -> Self {
        SlabAllocator(())
    }

    /// Reserve the range of addresses in which slots lie. Call it once, when the
    /// program begins: before, there are no slots. Where the kernel refuses, there
    /// are none afterwards either.
    ///
    /// To be called on the static that is the program's `#[global_allocator]`: with
    /// another one slots would be taken, and stay empty.
    pub fn reserve_address_space(&self) {
        SLAB.reserve();
    }
}

#[inline]
fn filled_now() -> Option<NonNull<Header>> {
    NonNull::new(FILLED_NOW.get())
}

// SAFETY: allocations in a slot are as large and aligned as was asked for, and
// overlap no other that is not freed: `Bump` has the tests. All others are the
// system's. By its address an allocation is freed where it was made (`Slab::slot_of`).
unsafe impl GlobalAlloc for SlabAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(slot) = filled_now()
            // SAFETY: this thread holds the handle, in `Slot::fill`.
            && let Some(allocation) = unsafe { Header::alloc(slot, layout) }
        {
            return allocation.as_ptr();
        }
        // SAFETY: as the caller vouches for.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if let Some(slot) = filled_now()
            // SAFETY: as in `alloc`.
            && let Some(allocation) = unsafe { Header::alloc(slot, layout) }
        {
            // The slot may have been used before.
            // SAFETY: it is that large.
            unsafe { allocation.as_ptr().write_bytes(0, layout.size()) };
            return allocation.as_ptr();
        }
        // SAFETY: as the caller vouches for.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        let Some(slot) = SLAB.slot_of(ptr) else {
            if let Some(slot) = filled_now() {
                // SAFETY: as in `alloc`.
                unsafe { Header::freed_elsewhere(slot, layout.size()) };
            }
            // SAFETY: in no slot, so it is the system's.
            return unsafe { System.dealloc(ptr, layout) };
        };
        if filled_now() == Some(slot) {
            // SAFETY: as in `alloc`, and nobody uses the allocation any more.
            unsafe { Header::free(slot, ptr, layout.size()) };
        }
        // SAFETY: the allocation was counted as a user when it was made.
        unsafe { SLAB.release(slot) };
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if SLAB.slot_of(ptr).is_none() {
            // SAFETY: in no slot, so it is the system's.
            return unsafe { System.realloc(ptr, layout, new_size) };
        }
        // SAFETY: the caller vouches for the size; the alignment was valid before.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: as the caller vouches for; the two don't overlap, and both are at
        // least as large as what is copied.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(ptr, moved, layout.size().min(new_size));
                self.dealloc(ptr, layout);
            }
            moved
        }
    }
}
