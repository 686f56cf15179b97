//! The handle with which a program puts what belongs together into one slot.

use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

use crate::allocator::{FILLED_NOW, SLAB};
use crate::chunk::SlotSize;
use crate::header::Header;

/// The right to allocate in one slot of the slab.
///
/// Make it with [`Slot::new`]; allocate inside of [`Slot::fill`] or
/// [`Slot::fill_async`], as often as you like; ask [`Slot::size_needed`] how large
/// the next one should be; drop it. The slot itself lasts until the handle is
/// dropped *and* everything that was allocated in it is freed.
///
/// A slot that could not be had does nothing: what is allocated comes from the
/// system's allocator. So it is where the program's allocator is another one than
/// [`SlabAllocator`](crate::SlabAllocator), or reserved no addresses.
#[derive(Debug)]
pub struct Slot(Option<NonNull<Header>>);

// SAFETY: the handle's owner alone fills the slot, by `&mut`, on whatever thread
// it is then; `Header` counts its users atomically.
unsafe impl Send for Slot {}

impl Slot {
    /// A slot with room for so many bytes, or of 64 KiB if it is more.
    pub fn new(bytes: usize) -> Self {
        Slot(SLAB.take(SlotSize::for_bytes(bytes)))
    }

    /// Run `make`; what this thread allocates meanwhile lies in the slot, as long
    /// as there is room.
    pub fn fill<R>(&mut self, make: impl FnOnce() -> R) -> R {
        struct Restore(*mut Header);
        impl Drop for Restore {
            fn drop(&mut self) {
                FILLED_NOW.set(self.0);
            }
        }
        let slot = self.0.map_or(ptr::null_mut(), NonNull::as_ptr);
        // Also when `make` panics; and one slot may be filled inside of another.
        let _restore = Restore(FILLED_NOW.replace(slot));
        make()
    }

    /// The same for a future: while it is polled, on whatever thread that is.
    pub async fn fill_async<F: Future>(&mut self, future: F) -> F::Output {
        struct Fill<'a, F>(&'a mut Slot, Pin<&'a mut F>);
        impl<F: Future> Future for Fill<'_, F> {
            type Output = F::Output;
            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
                let Fill(slot, future) = &mut *self;
                slot.fill(|| future.as_mut().poll(cx))
            }
        }
        Fill(self, std::pin::pin!(future)).await
    }

    /// The size of a slot in which everything would have found room that was
    /// allocated while this one was filled and is not yet freed. 0 where there is
    /// no slot.
    pub fn size_needed(&self) -> usize {
        // SAFETY: this is the handle, and nobody fills the slot now.
        self.0
            .map_or(0, |slot| unsafe { Header::size_needed(slot) })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            // SAFETY: the handle was counted as a user when the slot was taken.
            unsafe { SLAB.release(slot) };
        }
    }
}
