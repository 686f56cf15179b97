//! The slots: one range of addresses, in *chunks*; a chunk's slots have one size.
//!
//! The lowest free slot is taken first, so that those in use lie together. What
//! is freed stays ready for the next as long as there is little of it; beyond
//! that, pages that no slot in use touches go back to the kernel. A chunk
//! without a slot in use may have slots of another size next.
//!
//! Nothing in here allocates: it is called by an allocator.

use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering, fence};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
use rustix::param::page_size;

use crate::MAX_SLOT;
use crate::bump::{HEADER, Header};

/// The range: 4 GiB of addresses, which cost nothing until they are used; room
/// for some 400,000 instances of a small guest.
const RANGE: usize = CHUNKS * CHUNK;
const CHUNKS: usize = 16 * 1024;
const CHUNK: usize = 256 * 1024;
const PAGE: usize = 4096;
/// Sizes of slots are multiples of this…
const UNIT: usize = 64;
const SIZES: usize = MAX_SLOT / UNIT + 1;
/// …and not less than this, so that a chunk's slots are 64 at most, the bits of
/// a number.
const MIN_SLOT: usize = CHUNK / 64;
/// Free slots whose memory is kept, in all.
const WARM: u32 = 16;

/// Chunks that are looked at for more of it, when there is too much.
const LOOKS: u32 = 8;

/// Where the range ends; null without one. This is all that says where it is: its
/// length is a constant, so that there is no second variable that a thread could
/// see too early or too late. With a null end, the range would be the last 4 GiB of
/// the address space, where no program has memory: they are the kernel's.
static END: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
/// The size of each chunk's slots, read without the lock: it stays as long as
/// one of them is in use.
static SIZE_IN: [AtomicU32; CHUNKS] = [const { AtomicU32::new(0) }; CHUNKS];
static TABLE: Mutex<Table> = Mutex::new(Table {
    chunks: [Chunk { used: 0, dirty: 0 }; CHUNKS],
    first: [0; SIZES],
    warm: 0,
    reach: 0,
    hand: 0,
});

struct Table {
    chunks: [Chunk; CHUNKS],
    /// For each size: no chunk before this one has a free slot of it.
    first: [u32; SIZES],
    /// How many free slots have memory.
    warm: u32,
    /// Chunks that were ever used: those before this one.
    reach: usize,
    /// The chunk that was looked at last for memory to give back.
    hand: usize,
}

/// A bit for each slot.
#[derive(Clone, Copy)]
struct Chunk {
    used: u64,
    /// Free, and its memory was not given back.
    dirty: u64,
}

fn table() -> MutexGuard<'static, Table> {
    // Nothing panics while it is locked.
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Have slots from now on, in a program whose allocator is
/// [`SlabAllocator`](crate::SlabAllocator): in another they are never filled.
pub fn reserve_address_space() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(map);
}

fn map() {
    // The kernel gives back whole pages, so it must mean the same ones.
    if page_size() != PAGE {
        return;
    }
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: new memory, at an address that the kernel chooses.
    let mapped = unsafe {
        mmap_anonymous(
            ptr::null_mut(),
            RANGE,
            ProtFlags::READ | ProtFlags::WRITE,
            flags,
        )
    };
    // Where address space is scarce there are no slots.
    let Ok(base) = mapped else { return };
    // SAFETY: the range is ours. Pages are given back one by one, so none is huge;
    // a kernel that has no huge pages refuses, and that is as good.
    let _ = unsafe { madvise(base, RANGE, Advice::LinuxNoHugepage) };
    END.store(base.cast::<u8>().wrapping_add(RANGE), Ordering::Release);
}

/// A slot with room for this many bytes.
pub fn take(bytes: usize) -> Option<NonNull<Header>> {
    let end = NonNull::new(END.load(Ordering::Acquire))?;
    let size = bytes.max(MIN_SLOT).checked_next_multiple_of(UNIT)?;
    if size > MAX_SLOT {
        return None;
    }
    let (chunk, slot) = table().take(size)?;
    // SAFETY: within the range, and aligned, as chunks and sizes are. The slot is
    // nobody else's.
    unsafe {
        let slot = end
            .sub(RANGE - chunk * CHUNK - slot * size)
            .cast::<Header>();
        slot.write(Header::new(u32::try_from(size).ok()?));
        Some(slot)
    }
}

/// Where the range begins.
#[inline]
fn base() -> *mut u8 {
    END.load(Ordering::Relaxed).wrapping_sub(RANGE)
}

/// The slot that a piece lies in, if it does in one.
///
/// Relaxed loads are enough. If it lies in one, whoever handed the piece to this
/// thread did so with synchronisation, and the range and the slot's size were
/// stored before the piece was made. If not, it is outside of the range whether or
/// not this thread sees the range yet: the kernel maps none over memory in use.
#[inline]
pub fn slot_of(piece: *mut u8) -> Option<NonNull<Header>> {
    let offset = piece.addr().wrapping_sub(base().addr());
    if offset >= RANGE {
        return None;
    }
    let size = SIZE_IN.get(offset / CHUNK)?.load(Ordering::Relaxed) as usize;
    let within = (offset % CHUNK).checked_rem(size)?;
    NonNull::new(piece.wrapping_sub(within).cast())
}

/// One piece less is in use; the last one frees the slot.
///
/// # Safety
/// The piece was counted in, and is not used any more.
#[inline]
pub unsafe fn give_back(slot: NonNull<Header>) {
    // SAFETY: the slot is there until the last piece was counted out.
    let live = unsafe { &slot.as_ref().live };
    if live.fetch_sub(1, Ordering::Release) == 1 {
        fence(Ordering::Acquire);
        let offset = slot.addr().get() - base().addr();
        // SAFETY: it was the last piece.
        let size = unsafe { slot.as_ref().size as usize };
        table().free(offset / CHUNK, offset % CHUNK / size, size);
    }
}

impl Table {
    fn take(&mut self, size: usize) -> Option<(usize, usize)> {
        let first = self.first.get_mut(size / UNIT)?;
        let slots = CHUNK / size;
        for at in *first as usize..CHUNKS {
            let (chunk, size_in) = (self.chunks.get_mut(at)?, SIZE_IN.get(at)?);
            match size_in.load(Ordering::Relaxed) as usize {
                0 => size_in.store(u32::try_from(size).ok()?, Ordering::Relaxed),
                other if other != size => continue,
                _ => {}
            }
            let slot = chunk.used.trailing_ones() as usize;
            if slot >= slots {
                continue;
            }
            *first = u32::try_from(at).ok()?;
            self.reach = self.reach.max(at + 1);
            let bit = 1 << slot;
            chunk.used |= bit;
            self.warm -= u32::from(chunk.dirty & bit != 0);
            chunk.dirty &= !bit;
            return Some((at, slot));
        }
        // Full. Whoever frees a slot says where.
        *first = u32::try_from(CHUNKS).ok()?;
        None
    }

    fn free(&mut self, at: usize, slot: usize, size: usize) {
        let Some(chunk) = self.chunks.get_mut(at) else {
            return;
        };
        chunk.used &= !(1 << slot);
        chunk.dirty |= 1 << slot;
        self.warm += 1;
        if let (Some(first), Ok(at)) = (self.first.get_mut(size / UNIT), u32::try_from(at)) {
            *first = at.min(*first);
        }
        if self.warm <= WARM {
            return;
        }
        self.purge(at);
        // Another one as well, should most of what is kept lie where nobody frees
        // anything now.
        for _ in 0..LOOKS {
            self.hand = (self.hand + 1) % self.reach.max(1);
            if self
                .chunks
                .get(self.hand)
                .is_some_and(|chunk| chunk.dirty != 0)
            {
                self.purge(self.hand);
                break;
            }
        }
    }

    fn purge(&mut self, at: usize) {
        let (Some(chunk), Some(size_in)) = (self.chunks.get_mut(at), SIZE_IN.get(at)) else {
            return;
        };
        self.warm -= chunk.dirty.count_ones();
        chunk.dirty = 0;
        let used = chunk.used;
        clear(at, size_in.load(Ordering::Relaxed) as usize, used);
        if used == 0 {
            size_in.store(0, Ordering::Relaxed);
            // Any size may have it now.
            for first in &mut self.first {
                *first = (*first).min(u32::try_from(at).unwrap_or(u32::MAX));
            }
        }
    }
}

/// Give a chunk's pages back that none of the slots in use touches.
fn clear(chunk: usize, size: usize, used: u64) {
    let base = base();
    let mut free_from = 0;
    for slot in 0..=CHUNK / size {
        let is_end = slot == CHUNK / size;
        if !is_end && used & 1 << slot == 0 {
            continue;
        }
        let begin = if is_end { CHUNK } else { slot * size };
        let (from, to) = (
            usize::next_multiple_of(free_from, PAGE),
            begin - begin % PAGE,
        );
        if from < to {
            let pages = base.wrapping_add(chunk * CHUNK + from).cast::<c_void>();
            // SAFETY: within the range, and nobody's: slots are taken and freed
            // under the lock that the caller has. If the kernel will not have
            // them, they stay, and that is as good.
            let _ = unsafe { madvise(pages, to - from, Advice::LinuxDontNeed) };
        }
        free_from = begin + size;
    }
}

const _: () = assert!(HEADER <= MIN_SLOT && CHUNK.is_multiple_of(PAGE) && UNIT.is_multiple_of(16));

/// Slots in use.
#[cfg(test)]
pub fn in_use() -> u32 {
    table()
        .chunks
        .iter()
        .map(|chunk| chunk.used.count_ones())
        .sum()
}

/// Bytes of the range that have memory.
#[cfg(test)]
pub fn resident() -> usize {
    let base = format!("{:x}-", base().addr());
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("Linux");
    let mapping = smaps.lines().skip_while(|line| !line.starts_with(&base));
    let rss = mapping.filter_map(|line| line.strip_prefix("Rss:")).next();
    let kib = rss.and_then(|rss| rss.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<usize>().ok())
        .expect("a number")
        * 1024
}
