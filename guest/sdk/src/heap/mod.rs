//! The guest's heap: an allocator that is smaller and faster than the C
//! library's, and where its memory comes from.
//!
//! Every connection has an instance, so every page that an instance touches is
//! paid for each connection. The heap begins in a static beside the guest's
//! other data, mostly in a page that is in use already; only when that is full
//! does the memory grow. The C library's own allocator, which some programs
//! link as well, grows it for itself and is not disturbed.

mod memory;

#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
mod global {
    use core::arch::wasm32::memory_grow;
    use core::cell::UnsafeCell;
    use core::mem::MaybeUninit;
    use core::ptr::with_exposed_provenance_mut;

    use talc::cell::TalcSyncCell;
    use talc::wasm::WasmBinning;

    use super::memory::{Grow, Memory, PAGE};

    /// What fits into the processor's page in which the data of a small guest
    /// ends.
    const FIRST: usize = 2 * 1024;

    static BEGINNING: Beginning = Beginning(UnsafeCell::new(MaybeUninit::uninit()));

    struct Beginning(UnsafeCell<MaybeUninit<[u8; FIRST]>>);

    // SAFETY: only the allocator uses it, and there are no threads.
    unsafe impl Sync for Beginning {}

    #[global_allocator]
    static HEAP: TalcSyncCell<Memory<Linear>, WasmBinning> =
        // SAFETY: nothing else refers to the static.
        TalcSyncCell::new_wasm(unsafe { Memory::new(BEGINNING.0.get().cast(), FIRST, Linear) });

    #[derive(Debug)]
    struct Linear;

    // SAFETY: what the memory has grown by has just come into being, and is at
    // the returned address.
    unsafe impl Grow for Linear {
        fn grow(&mut self, pages: usize) -> Option<*mut u8> {
            let before = memory_grow::<0>(pages);
            (before != usize::MAX).then(|| with_exposed_provenance_mut(before * PAGE))
        }
    }
}
