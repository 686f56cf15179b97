//! How a slot is cut into pieces: one after the other, from its beginning.
//!
//! A piece that is freed while the slot is still being filled makes room again
//! if it is the last one, or the largest such. One that is freed later is only
//! counted: all of them go together.
//!
//! A slot needs room for what lasts, so pieces for a moment may have none.

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// The beginning of each slot. What it says in bytes counts from there.
#[repr(C, align(16))]
pub struct Header {
    /// Pieces in use, and one for the right to fill the slot. Whoever frees the
    /// last of them frees the slot.
    pub live: AtomicU32,
    /// The slot's length.
    pub size: u32,
    filling: UnsafeCell<Filling>,
}

/// For whoever fills the slot; the count above is for all.
struct Filling {
    /// Where what is free begins.
    top: u32,
    /// Bytes that had no room and are still in use.
    lacking: u32,
    /// A free gap before `top`: where, and how long.
    gap: (u32, u32),
}

/// A gap is for pieces that take more than one in so many parts of it: many small
/// ones would leave no room for the one that needs it.
const FEW: u32 = 4;

/// What the header takes.
pub const HEADER: usize = size_of::<Header>();

impl Header {
    /// Of an empty slot, with the right to fill it.
    pub fn new(size: u32) -> Self {
        Header {
            live: AtomicU32::new(1),
            size,
            filling: UnsafeCell::new(Filling {
                top: HEADER as u32,
                lacking: 0,
                gap: (0, 0),
            }),
        }
    }

    /// A new piece, if there is room.
    ///
    /// # Safety
    /// The slot is in use, and nobody else fills it meanwhile.
    pub unsafe fn bump(slot: NonNull<Self>, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the slot is in use, and this is who fills it.
        let (header, filling) = unsafe { (slot.as_ref(), &mut *slot.as_ref().filling.get()) };
        let (size, align) = (u32::try_from(layout.size()).ok()?, layout.align());
        let aligned = |offset: u32| {
            let address = slot.addr().get().checked_add(offset as usize)?;
            let padding = address.checked_next_multiple_of(align)? - address;
            offset.checked_add(u32::try_from(padding).ok()?)
        };
        let (gap, length) = filling.gap;
        let at = match aligned(gap) {
            Some(at) if at.checked_add(size)? <= gap + length && size >= length / FEW => {
                let end = at + size;
                filling.gap = (end, gap + length - end);
                at
            }
            _ => {
                let at = aligned(filling.top)?;
                let end = at.checked_add(size)?;
                if end > header.size {
                    filling.lacking = filling.lacking.saturating_add(size);
                    return None;
                }
                filling.top = end;
                at
            }
        };
        header.live.fetch_add(1, Ordering::Relaxed);
        // SAFETY: within the slot.
        Some(unsafe { slot.cast::<u8>().add(at as usize) })
    }

    /// A piece of it is free before the slot is full: let it be used again.
    ///
    /// # Safety
    /// As for `bump`; the piece was allocated from it with this size, and is not
    /// used any more.
    pub unsafe fn reuse(slot: NonNull<Self>, piece: *mut u8, size: usize) {
        // SAFETY: as above.
        let filling = unsafe { &mut *slot.as_ref().filling.get() };
        // Both are less than a slot.
        let (at, size) = ((piece.addr() - slot.addr().get()) as u32, size as u32);
        let (gap, length) = filling.gap;
        if at + size == filling.top {
            filling.top = at;
            if length > 0 && gap + length == at {
                filling.top = gap;
                filling.gap = (0, 0);
            }
        } else if length > 0 && gap + length == at {
            filling.gap = (gap, length + size);
        } else if length > 0 && at + size == gap {
            filling.gap = (at, length + size);
        } else if size > length {
            filling.gap = (at, size);
        }
    }

    /// Something is freed while the slot is being filled that lies elsewhere, as
    /// it had no room there, or was made before.
    ///
    /// # Safety
    /// As for `bump`.
    pub unsafe fn done_without(slot: NonNull<Self>, size: usize) {
        // SAFETY: as above.
        let filling = unsafe { &mut *slot.as_ref().filling.get() };
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        filling.lacking = filling.lacking.saturating_sub(size);
    }

    /// See [`Slot::size_needed`](crate::Slot::size_needed).
    ///
    /// # Safety
    /// The slot is in use, and nobody fills it meanwhile.
    pub unsafe fn size_needed(slot: NonNull<Self>) -> usize {
        // SAFETY: as above.
        let filling = unsafe { &*slot.as_ref().filling.get() };
        (filling.top as usize).saturating_add(filling.lacking as usize)
    }
}
