//! Where the host's own data about instances lies: apart from everything else.
//!
//! A connection's driver lives as long as the connection. Its instance perhaps
//! not: it hibernates, or is swapped. In an allocator that both share, what instances
//! leave behind lies between what stays, so the allocator can give none of it
//! back to the kernel: a hibernated connection kept 13 KB, of which it used 2.
//!
//! So all that is allocated while an instance is made, some 25 pieces that are
//! freed together, goes into one *slot*, of just the size that such instances
//! need. Slots of one size lie side by side, without the gaps that a general
//! allocator leaves, and pages without a slot in use go back ([`slab`]).
//! Everything else is the C library's, as ever.
//!
//! Where a piece came from is told by its address, so it can be freed by any
//! thread, at any time, by who doesn't know of slots. What doesn't fit into a
//! slot comes from the C library; so does everything where no address space is reserved.

mod bump;
mod slab;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

use bump::Header;
pub use slab::reserve_address_space;

/// The largest slot, in bytes.
pub const MAX_SLOT: usize = 64 * 1024;

thread_local! {
    /// The slot that this thread allocates from.
    static FILLING: Cell<*mut Header> = const { Cell::new(ptr::null_mut()) };
}

/// For `#[global_allocator]`, in a program that calls [`reserve_address_space`].
#[derive(Debug)]
pub struct SlabAllocator;

/// The right to put something into a slot. The slot itself lasts until that is
/// dropped and all that was put there freed.
#[derive(Debug)]
pub struct Slot(Option<NonNull<Header>>);

// SAFETY: whoever has it is the only one who fills the slot, by `&mut`.
unsafe impl Send for Slot {}

impl Slot {
    /// A slot for this many bytes, if there is one. More than [`MAX_SLOT`] have
    /// none.
    pub fn new(bytes: usize) -> Self {
        Slot(slab::take(bytes))
    }

    /// Run something whose allocations shall lie in the slot.
    pub fn fill<R>(&mut self, make: impl FnOnce() -> R) -> R {
        struct Before(*mut Header);
        impl Drop for Before {
            fn drop(&mut self) {
                FILLING.set(self.0);
            }
        }
        let slot = self.0.map_or(ptr::null_mut(), NonNull::as_ptr);
        let _before = Before(FILLING.replace(slot));
        make()
    }

    /// The same for a future: in each of its polls.
    pub async fn fill_async<F: Future>(&mut self, future: F) -> F::Output {
        struct Polls<'a, F>(&'a mut Slot, Pin<&'a mut F>);
        impl<F: Future> Future for Polls<'_, F> {
            type Output = F::Output;
            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
                let Polls(slot, future) = &mut *self;
                slot.fill(|| future.as_mut().poll(cx))
            }
        }
        Polls(self, std::pin::pin!(future)).await
    }

    /// Bytes that a slot needs for what was put into this one, or was to be, and
    /// is still there. 0 where there is none.
    pub fn size_needed(&self) -> usize {
        // SAFETY: the slot lasts as long as this, and nobody fills it now.
        self.0
            .map_or(0, |slot| unsafe { Header::size_needed(slot) })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            // SAFETY: it was counted as one of the pieces when it was made.
            unsafe { slab::give_back(slot) };
        }
    }
}

// SAFETY: pieces of a slot are as large and aligned as was asked for, and nobody
// else's until they are freed; `bump` has the proof. All other pieces are the
// C library's. The address of a piece tells which it is.
unsafe impl GlobalAlloc for SlabAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(slot) = NonNull::new(FILLING.get())
            // SAFETY: only this thread fills it.
            && let Some(piece) = unsafe { Header::bump(slot, layout) }
        {
            return piece.as_ptr();
        }
        // SAFETY: as whoever calls this vouches for.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if let Some(slot) = NonNull::new(FILLING.get())
            // SAFETY: as above.
            && let Some(piece) = unsafe { Header::bump(slot, layout) }
        {
            // SAFETY: it is that large.
            unsafe { piece.as_ptr().write_bytes(0, layout.size()) };
            return piece.as_ptr();
        }
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        let Some(slot) = slab::slot_of(piece) else {
            if let Some(slot) = NonNull::new(FILLING.get()) {
                // SAFETY: only this thread fills it.
                unsafe { Header::done_without(slot, layout.size()) };
            }
            // SAFETY: not from a slot, so it is from there.
            return unsafe { System.dealloc(piece, layout) };
        };
        if FILLING.get() == slot.as_ptr() {
            // SAFETY: only this thread fills it, and the piece is free now.
            unsafe { Header::reuse(slot, piece, layout.size()) };
        }
        // SAFETY: the piece was counted when it was allocated.
        unsafe { slab::give_back(slot) };
    }

    #[inline]
    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if slab::slot_of(piece).is_none() {
            // SAFETY: as whoever calls this vouches for.
            return unsafe { System.realloc(piece, layout, size) };
        }
        // SAFETY: the caller vouches for the size, the layout had the alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as above; both pieces are that large, and different ones.
        unsafe {
            let other = self.alloc(wanted);
            if !other.is_null() {
                ptr::copy_nonoverlapping(piece, other, layout.size().min(size));
                self.dealloc(piece, layout);
            }
            other
        }
    }
}

#[cfg(test)]
mod tests;
