//! The guest's heap: an allocator that is smaller and faster than the C
//! library's, and where its memory comes from.
//!
//! Every connection has an instance, so every page that an instance touches is
//! paid for each connection. The heap begins in a static beside the guest's
//! other data, mostly in a page that is in use already; only when that is full
//! does the memory grow. The C library's own allocator, which some programs
//! link as well, grows it for itself and is not disturbed.

use core::alloc::Layout;
use core::arch::wasm32::memory_grow;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

/// Bytes of a page of WebAssembly's.
const PAGE: usize = 64 * 1024;
/// What fits into the processor's page in which the data of a small guest ends.
const FIRST: usize = 2 * 1024;

#[global_allocator]
static HEAP: TalcSyncCell<Memory, WasmBinning> = TalcSyncCell::new_wasm(Memory { end: None });

static BEGINNING: Beginning = Beginning(UnsafeCell::new(MaybeUninit::uninit()));

struct Beginning(UnsafeCell<MaybeUninit<[u8; FIRST]>>);

// SAFETY: only the allocator uses it, and there are no threads.
unsafe impl Sync for Beginning {}

/// Gives the allocator the static, then more of the linear memory.
#[derive(Debug)]
struct Memory {
    /// The end of what it was given last; none before the first time.
    end: Option<NonNull<u8>>,
}

// SAFETY: it allocates nothing itself, and gives out no memory twice: the
// static once, then what the memory has grown by.
unsafe impl Source for Memory {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let Some(end) = talc.source.end else {
            // SAFETY: nothing else refers to the static.
            talc.source.end = unsafe { talc.claim(BEGINNING.0.get().cast(), FIRST) };
            return talc.source.end.map(drop).ok_or(());
        };
        // The allocator's own bookkeeping and the padding take some as well.
        let wanted = layout.size().checked_add(layout.align() + 1024).ok_or(())?;
        let pages = wanted.div_ceil(PAGE);
        let before = memory_grow::<0>(pages);
        if before == usize::MAX {
            return Err(());
        }
        let base = core::ptr::with_exposed_provenance_mut::<u8>(before * PAGE);
        talc.source.end = if end.as_ptr() == base {
            // SAFETY: both pieces are the allocator's, one after the other.
            Some(unsafe { talc.extend(end, base.wrapping_add(pages * PAGE)) })
        } else {
            // SAFETY: the memory has just come into being.
            unsafe { talc.claim(base, pages * PAGE) }
        };
        talc.source.end.map(drop).ok_or(())
    }
}
