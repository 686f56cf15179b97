//! Pages of memory, reserved from the kernel and given back to it.

use std::ptr::NonNull;

/// The kernel gives memory back in whole pages, so the arithmetic needs their
/// size. Where it is another one there are no slots.
pub const PAGE: usize = 4096;

/// Reserve a range of addresses. Its pages take no memory until they are written.
#[cfg(not(miri))]
pub fn reserve(len: usize) -> Option<NonNull<u8>> {
    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

    if rustix::param::page_size() != PAGE {
        return None;
    }
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: new memory, at an address that the kernel chooses.
    // It fails where address space is limited (`ulimit -v`).
    let start = unsafe { mmap_anonymous(std::ptr::null_mut(), len, access, flags) }.ok()?;
    // A huge page would keep 2 MiB for one slot (madvise(2), MADV_NOHUGEPAGE).
    // A kernel without huge pages refuses, and nothing is lost.
    // SAFETY: the range was mapped just now.
    let _ = unsafe { madvise(start, len, Advice::LinuxNoHugepage) };
    NonNull::new(start.cast())
}

/// Give pages back to the kernel; they read as zero when they are next used.
///
/// # Safety
/// The pages are part of what [`reserve`] returned, and nobody uses them.
#[cfg(not(miri))]
pub unsafe fn discard(start: *mut u8, len: usize) {
    use rustix::mm::{Advice, madvise};

    // If the kernel refuses, the pages stay, and nothing is lost but memory.
    // SAFETY: as the caller vouches for.
    let _ = unsafe { madvise(start.cast(), len, Advice::LinuxDontNeed) };
}

/// Miri has no `madvise`.
#[cfg(miri)]
pub fn reserve(len: usize) -> Option<NonNull<u8>> {
    use std::alloc::{GlobalAlloc, Layout, System};

    let layout = Layout::from_size_align(len, PAGE).ok()?;
    // SAFETY: the layout is not empty.
    NonNull::new(unsafe { System.alloc_zeroed(layout) })
}

/// Under Miri a page that nobody may use any more becomes uninitialised, so that
/// whoever reads what was there before is found.
///
/// # Safety
/// As above.
#[cfg(miri)]
pub unsafe fn discard(start: *mut u8, len: usize) {
    // SAFETY: as the caller vouches for.
    unsafe {
        start
            .cast::<std::mem::MaybeUninit<u8>>()
            .copy_from_nonoverlapping(vec![std::mem::MaybeUninit::uninit(); len].as_ptr(), len);
    }
}
