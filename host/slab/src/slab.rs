//! The slab: one range of addresses in which all slots lie, so that an address
//! alone says whether it is in a slot, and in which.
//!
//! Freeing is the hot path: every `dealloc` of the program asks [`Slab::slot_of`],
//! mostly about memory that is in no slot. That costs one atomic load and one
//! comparison. Taking and returning a slot locks the [`Table`].
//!
//! Nothing in here allocates: it is called by an allocator.

use std::ptr::{self, NonNull};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::chunk::{CHUNK_LEN, SlotSize};
use crate::header::Header;
use crate::pages;
use crate::sync::{AtomicPtr, AtomicU32, Mutex, MutexGuard};
use crate::table::Table;

/// 4 GiB of addresses, which cost nothing until they are used: room for some
/// 400,000 instances of a small guest. Miri and loom have less patience.
const CHUNKS: usize = if cfg!(all(test, loom)) {
    8
} else if cfg!(miri) {
    64
} else {
    16 * 1024
};
pub const SLAB_LEN: usize = CHUNKS * CHUNK_LEN;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the slab takes 4 GiB of addresses");

pub struct Slab {
    /// The end of the range; null as long as there is none.
    ///
    /// This is all that says where the slab is. Its length is a constant, so there
    /// is no second variable that a thread could see too early or too late, and no
    /// state in which an address outside is taken for one inside: with a null end,
    /// the range would be the last 4 GiB of the address space, which are the
    /// kernel's on every platform that Linux runs on.
    end: AtomicPtr<u8>,
    /// The size of each chunk's slots, to be read without the lock; 0 before the
    /// first one. Written under the lock, and only while no slot of the chunk is
    /// in use.
    slot_sizes: [AtomicU32; CHUNKS],
    table: Mutex<Table<CHUNKS>>,
}

impl Slab {
    /// All zero bits, so that it takes neither space in the binary nor memory.
    #[cfg(not(all(test, loom)))]
    pub const fn new() -> Self {
        Slab {
            end: AtomicPtr::new(ptr::null_mut()),
            slot_sizes: [const { AtomicU32::new(0) }; CHUNKS],
            table: Mutex::new(Table::new()),
        }
    }

    #[cfg(all(test, loom))]
    pub fn new() -> Self {
        Slab {
            end: AtomicPtr::new(ptr::null_mut()),
            slot_sizes: std::array::from_fn(|_| AtomicU32::new(0)),
            table: Mutex::new(Table::new()),
        }
    }

    /// Reserve the range, unless that was done before or the kernel refuses.
    pub fn reserve(&self) {
        let _one_at_a_time = self.table();
        if self.end.load(Ordering::Relaxed).is_null()
            && let Some(start) = pages::reserve(SLAB_LEN)
        {
            // SAFETY: nobody else knows this range, and it stays for ever.
            unsafe { self.publish(start) };
        }
    }

    /// # Safety
    /// From this address on there are [`SLAB_LEN`] bytes of zeroed memory, page by page,
    /// for the slab alone and for as long as it exists. The caller holds the lock.
    pub unsafe fn publish(&self, start: NonNull<u8>) {
        let end = start.as_ptr().wrapping_add(SLAB_LEN);
        // Relaxed: see `slot_of` and `take`.
        self.end.store(end, Ordering::Relaxed);
    }

    fn table(&self) -> MutexGuard<'_, Table<CHUNKS>> {
        // Nothing panics while it is locked.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty slot, whose one user is the caller.
    pub fn take(&self, size: SlotSize) -> Option<NonNull<Header>> {
        if self.end.load(Ordering::Relaxed).is_null() {
            return None;
        }
        // `reserve` held the lock, so from here on its mapping has happened before.
        let mut table = self.table();
        let (chunk, slot) = table.take(size)?;
        let slot_size = self.slot_sizes.get(chunk)?;
        if slot_size.load(Ordering::Relaxed) != size.get() {
            slot_size.store(size.get(), Ordering::Relaxed);
        }
        drop(table);
        let end = self.end.load(Ordering::Relaxed);
        let slot = header_at(end, chunk * CHUNK_LEN + slot * size.bytes())?;
        // SAFETY: within the range and aligned, as all sizes are multiples of the
        // alignment. The table gave the slot to nobody else; whoever had it before
        // returned it under the lock.
        unsafe { slot.write(Header::new(size)) };
        Some(slot)
    }

    /// The slot that an allocation lies in, if it is in one. The address must be of
    /// an allocation that is not freed.
    ///
    /// Relaxed loads are enough. If it lies in a slot, then whoever handed it to
    /// this thread did so with synchronisation, or it would be a data race already;
    /// so what happened before it was allocated has happened before this: that the
    /// range was published, and that the slot's size was stored, which is stored
    /// again only when no slot of the chunk is in use. If it doesn't lie in a slot,
    /// it is outside of the range whether or not this thread sees the range yet: the
    /// kernel maps no range over memory that is in use.
    #[inline]
    pub fn slot_of(&self, allocation: *mut u8) -> Option<NonNull<Header>> {
        let end = self.end.load(Ordering::Relaxed);
        let offset = offset_in_slab(end.addr(), allocation.addr())?;
        let size = self.slot_sizes.get(offset / CHUNK_LEN)?;
        let size = SlotSize::from_raw(size.load(Ordering::Relaxed))?;
        header_at(end, slot_start(offset, size))
    }

    /// One user of the slot less; the last one returns it.
    ///
    /// # Safety
    /// The caller was counted as a user and touches the slot no more.
    #[inline]
    pub unsafe fn release(&self, slot: NonNull<Header>) {
        // SAFETY: as the caller vouches for.
        if unsafe { Header::release(slot) } {
            self.give_back(slot);
        }
    }

    fn give_back(&self, slot: NonNull<Header>) {
        let end = self.end.load(Ordering::Relaxed);
        let Some(offset) = offset_in_slab(end.addr(), slot.addr().get()) else {
            return;
        };
        let discard = |pages: std::ops::Range<usize>| {
            let start = end.wrapping_sub(SLAB_LEN - pages.start);
            // SAFETY: pages of the range that no slot in use touches, and none is
            // taken meanwhile: the table is locked.
            unsafe { pages::discard(start, pages.len()) };
        };
        self.table()
            .release(offset / CHUNK_LEN, offset % CHUNK_LEN, discard);
    }

    #[cfg(test)]
    pub fn used_slots(&self) -> u32 {
        self.table().used_slots()
    }

    #[cfg(all(test, not(loom)))]
    pub fn start(&self) -> usize {
        self.end
            .load(Ordering::Relaxed)
            .addr()
            .wrapping_sub(SLAB_LEN)
    }
}

/// A pointer to the slot at this offset. It comes from the slab's own pointer, not
/// from an allocation's, which must not be used for the bytes around it.
fn header_at(end: *mut u8, offset: usize) -> Option<NonNull<Header>> {
    NonNull::new(end.wrapping_sub(SLAB_LEN - offset).cast())
}

/// How far from the start of the slab an address is, if it is in the slab.
fn offset_in_slab(end: usize, address: usize) -> Option<usize> {
    let offset = address.wrapping_sub(end.wrapping_sub(SLAB_LEN));
    (offset < SLAB_LEN).then_some(offset)
}

/// Where the slot begins that has this offset in it.
fn slot_start(offset: usize, size: SlotSize) -> usize {
    offset - offset % CHUNK_LEN % size.bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::cases;

    #[test]
    fn without_a_range_no_address_of_a_program_is_in_it() {
        for address in [0, 1, 4096, SLAB_LEN - 1, SLAB_LEN, 1 << 47, (1 << 57) - 1] {
            assert_eq!(offset_in_slab(0, address), None, "{address:x}");
        }
    }

    #[test]
    fn the_range_begins_and_ends_where_it_does() {
        let start = 0x7f00_0000_0000;
        let offset = |address| offset_in_slab(start + SLAB_LEN, address);
        assert_eq!(offset(start - 1), None);
        assert_eq!(offset(start), Some(0));
        assert_eq!(offset(start + SLAB_LEN - 1), Some(SLAB_LEN - 1));
        assert_eq!(offset(start + SLAB_LEN), None);
    }

    proptest! {
        #![proptest_config(cases())]

        #[test]
        fn every_byte_of_a_slot_leads_to_its_start(
            bytes in 0..70_000_usize,
            chunk in 0..CHUNKS,
            slot in any::<prop::sample::Index>(),
            within in any::<prop::sample::Index>(),
        ) {
            let size = SlotSize::for_bytes(bytes);
            let start = chunk * CHUNK_LEN + slot.index(size.per_chunk()) * size.bytes();
            for within in [0, within.index(size.bytes()), size.bytes() - 1] {
                prop_assert_eq!(slot_start(start + within, size), start);
            }
        }
    }
}
