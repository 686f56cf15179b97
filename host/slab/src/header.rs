//! The first bytes of each slot: how many use it, and how far it is filled.
//!
//! Two kinds of callers: the one thread that fills the slot now ([`Header::alloc`],
//! [`Header::free`] and the like, which the owner of the [`Slot`](crate::Slot)
//! handle alone may call), and everyone who frees something that lies in it, on
//! any thread and at any time ([`Header::release`]).

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use crate::bump::Bump;
use crate::chunk::SlotSize;
use crate::sync::{AtomicU32, UnsafeCell, fence};

/// Its address is that of the slot.
#[repr(C, align(16))]
pub struct Header {
    /// How many keep the slot: each allocation in it that is not freed, and the
    /// handle. The slot is free when this reaches zero, as with `Arc`.
    users: AtomicU32,
    /// For the thread that fills the slot, and for no other.
    bump: UnsafeCell<Bump>,
}

/// The bytes of a slot that the header takes.
pub const HEADER_LEN: usize = size_of::<Header>();

const _: () = assert!(HEADER_LEN < SlotSize::MIN && HEADER_LEN <= u32::MAX as usize);

impl Header {
    /// For an empty slot. The caller is its one user: the handle.
    pub fn new(size: SlotSize) -> Self {
        Header {
            users: AtomicU32::new(1),
            bump: UnsafeCell::new(Bump::new(HEADER_LEN as u32, size.get())),
        }
    }

    /// Allocate in the slot, if there is room.
    ///
    /// # Safety
    /// The caller holds the handle, and so is the only one who fills the slot.
    pub unsafe fn alloc(slot: NonNull<Self>, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the slot is in use as long as the handle exists. Others may have
        // a reference too, but touch `users` only, which is atomic.
        let header = unsafe { slot.as_ref() };
        let base = slot.addr().get();
        // SAFETY: only the caller touches `bump`.
        let offset = (header.bump).with_mut(|bump| unsafe { (*bump).alloc(base, layout) })?;
        // Relaxed is enough, as for `Arc::clone`: the handle keeps the slot.
        header.users.fetch_add(1, Ordering::Relaxed);
        // SAFETY: `Bump` returns offsets within the slot only.
        Some(unsafe { slot.cast::<u8>().add(offset as usize) })
    }

    /// An allocation of this slot is freed while the slot is being filled, so its
    /// bytes can be used again. It still counts as a user until [`Self::release`].
    ///
    /// # Safety
    /// As for [`Self::alloc`], which returned `ptr` for this size; nobody uses it.
    pub unsafe fn free(slot: NonNull<Self>, ptr: *mut u8, size: usize) {
        // Both fit: they were within the slot.
        let (offset, size) = ((ptr.addr() - slot.addr().get()) as u32, size as u32);
        // SAFETY: as in `alloc`.
        unsafe {
            slot.as_ref()
                .bump
                .with_mut(|bump| (*bump).free(offset, size))
        };
    }

    /// Something is freed while the slot is being filled that does not lie in it.
    ///
    /// # Safety
    /// As for [`Self::alloc`].
    pub unsafe fn freed_elsewhere(slot: NonNull<Self>, size: usize) {
        // SAFETY: as in `alloc`.
        unsafe {
            slot.as_ref()
                .bump
                .with_mut(|bump| (*bump).freed_elsewhere(size))
        };
    }

    /// See [`Slot::size_needed`](crate::Slot::size_needed).
    ///
    /// # Safety
    /// As for [`Self::alloc`].
    pub unsafe fn size_needed(slot: NonNull<Self>) -> usize {
        // SAFETY: as in `alloc`.
        unsafe { slot.as_ref().bump.with(|bump| (*bump).size_needed()) }
    }

    /// One user less. True if it was the last: then the slot is the caller's to
    /// return, and whatever others did with it has happened before.
    ///
    /// # Safety
    /// The caller was counted as a user and touches the slot no more, unless this
    /// is true.
    pub unsafe fn release(slot: NonNull<Self>) -> bool {
        // SAFETY: the slot is in use until the last user is counted out, and its
        // memory stays mapped for ever.
        let users = unsafe { &slot.as_ref().users };
        // The same pair of orderings as in `Arc::drop`: what each user did to the
        // slot happens before the last one returns it.
        if users.fetch_sub(1, Ordering::Release) != 1 {
            return false;
        }
        fence(Ordering::Acquire);
        true
    }
}
