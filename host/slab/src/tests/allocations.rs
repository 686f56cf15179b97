//! Allocations in slots, made and freed by one thread and by several, and what
//! becomes of their memory. There is one slab for the process, and some of these
//! tests count what is in it, so they run one after the other.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::layout;
use crate::allocator::SLAB;
use crate::chunk::SlotSize;
use crate::table::MAX_DIRTY;
use crate::{SlabAllocator, Slot, header};

static ALLOCATOR: SlabAllocator = SlabAllocator::new();

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    ALLOCATOR.reserve_address_space();
    alone
}

/// An allocation with a mark in each of its bytes.
struct Marked {
    ptr: *mut u8,
    layout: Layout,
    mark: u8,
}

// SAFETY: the memory is its owner's.
unsafe impl Send for Marked {}

impl Marked {
    fn new(layout: Layout, mark: u8) -> Self {
        // SAFETY: no layout in these tests is empty.
        let ptr = unsafe { ALLOCATOR.alloc(layout) };
        assert!(!ptr.is_null());
        assert!(ptr.addr().is_multiple_of(layout.align()));
        // SAFETY: it is that large.
        unsafe { ptr.write_bytes(mark, layout.size()) };
        Marked { ptr, layout, mark }
    }

    fn is_in_slot(&self) -> bool {
        SLAB.slot_of(self.ptr).is_some()
    }

    fn check(&self) {
        // SAFETY: `new` and `resize` wrote all of it.
        let bytes = unsafe { std::slice::from_raw_parts(self.ptr, self.layout.size()) };
        assert!(bytes.iter().all(|&byte| byte == self.mark), "overwritten");
    }

    fn resize(&mut self, size: usize) {
        self.check();
        // SAFETY: it was allocated with this layout, and the size is not 0.
        self.ptr = unsafe { ALLOCATOR.realloc(self.ptr, self.layout, size) };
        assert!(!self.ptr.is_null());
        let kept = self.layout.size().min(size);
        self.layout = layout(size, self.layout.align());
        // SAFETY: it is that large.
        unsafe { self.ptr.add(kept).write_bytes(self.mark, size - kept) };
        self.check();
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        self.check();
        // SAFETY: it was allocated with this layout, and is freed once.
        unsafe { ALLOCATOR.dealloc(self.ptr, self.layout) };
    }
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("small")
    }
}

/// What making an instance does: allocations of all sizes, some of which are freed
/// or resized at once.
fn instance(random: &mut Random) -> Vec<Marked> {
    let mut slot = Slot::new(4096 + random.below(12 * 1024));
    let mut kept: Vec<Marked> = Vec::with_capacity(64);
    slot.fill(|| {
        for mark in 0..40 {
            let up_to = [32, 300, 3000][random.below(3)];
            let wanted = layout(1 + random.below(up_to), 1 << random.below(7));
            let new = Marked::new(wanted, mark);
            match random.below(4) {
                0 => drop(new),
                1 if !kept.is_empty() => {
                    kept.swap_remove(random.below(kept.len()));
                    kept.push(new);
                }
                2 if !kept.is_empty() => {
                    let which = random.below(kept.len());
                    kept[which].resize(1 + random.below(1000));
                    kept.push(new);
                }
                _ => kept.push(new),
            }
        }
        // SAFETY: the layout is not empty, and what is read was allocated with it.
        unsafe {
            let zeroed = ALLOCATOR.alloc_zeroed(layout(100, 8));
            assert_eq!(std::slice::from_raw_parts(zeroed, 100), [0; 100]);
            ALLOCATOR.dealloc(zeroed, layout(100, 8));
        }
    });
    kept
}

/// Slots are given back by whichever thread frees last, while others take new ones:
/// every byte still has its owner's mark, and in the end no slot is in use.
#[test]
fn allocations_never_overlap_whichever_thread_frees_them() {
    const INSTANCES: usize = if cfg!(miri) { 20 } else { 600 };
    let _alone = alone();
    let before = SLAB.used_slots();
    let (send, receive) = sync_channel::<Marked>(2000);
    let receive = Mutex::new(receive);
    std::thread::scope(|scope| {
        for seed in 1..4_u64 {
            let (send, receive) = (send.clone(), &receive);
            scope.spawn(move || {
                let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let mut mine = Vec::new();
                for _ in 0..INSTANCES {
                    mine.push(instance(&mut random));
                    if mine.len() > INSTANCES / 6 {
                        // Each of its allocations goes to whoever takes it, so that
                        // several threads free those of one slot at the same time.
                        let dead = mine.swap_remove(random.below(mine.len()));
                        for allocation in dead {
                            let _ = send.try_send(allocation);
                        }
                    }
                    for _ in 0..random.below(40) {
                        let other = receive.lock().expect("no panic").try_recv();
                        drop(other);
                    }
                }
            });
        }
    });
    drop(send);
    drop(receive);
    assert_eq!(SLAB.used_slots(), before, "all slots are free again");
}

#[test]
fn only_what_is_allocated_while_a_slot_is_filled_lies_in_it() {
    let _alone = alone();
    let mut slot = Slot::new(5000);
    let inside = slot.fill(|| Marked::new(layout(100, 8), 1));
    let outside = Marked::new(layout(100, 8), 2);
    assert!(inside.is_in_slot() && !outside.is_in_slot());
    // What has no room comes from elsewhere, and the next slot has room for it.
    let large = slot.fill(|| Marked::new(layout(9000, 8), 3));
    assert!(!large.is_in_slot());
    assert!(slot.size_needed() >= 9100, "{}", slot.size_needed());
    // What was there for a moment needs none.
    let needed = slot.size_needed();
    slot.fill(|| drop([9000, 50].map(|size| Marked::new(layout(size, 8), 6))));
    assert!(slot.size_needed() < needed + 8, "{}", slot.size_needed());
    let mut second = Slot::new(needed);
    let both = second.fill(|| {
        let small = Marked::new(layout(100, 8), 4);
        (small, Marked::new(layout(9000, 8), 5))
    });
    assert!(both.0.is_in_slot() && both.1.is_in_slot());
    let in_use = SLAB.used_slots();
    drop((slot, second));
    assert_eq!(SLAB.used_slots(), in_use, "as long as their allocations");
    drop((inside, both));
    assert_eq!(SLAB.used_slots(), in_use - 2);
}

#[test]
fn a_slot_is_at_most_64_kib() {
    let _alone = alone();
    let mut slot = Slot::new(1_000_000);
    let most = slot.fill(|| Marked::new(layout(SlotSize::MAX - header::HEADER_LEN, 8), 1));
    let more = slot.fill(|| Marked::new(layout(1, 1), 1));
    assert!(most.is_in_slot() && !more.is_in_slot());
}

#[test]
fn a_panic_ends_the_filling() {
    let _alone = alone();
    let mut slot = Slot::new(5000);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        slot.fill(|| std::panic::resume_unwind(Box::new(())))
    }));
    assert!(result.is_err());
    assert!(!Marked::new(layout(8, 8), 1).is_in_slot());
}

#[test]
fn a_slot_can_be_filled_inside_of_another() {
    let _alone = alone();
    let (mut outer, mut inner) = (Slot::new(5000), Slot::new(5000));
    let made = outer.fill(|| {
        let first = Marked::new(layout(8, 8), 1);
        let second = inner.fill(|| Marked::new(layout(8, 8), 2));
        [first, second, Marked::new(layout(8, 8), 3)]
    });
    let [first, second, third] = made.each_ref().map(|one| SLAB.slot_of(one.ptr));
    assert!(first.is_some() && second.is_some());
    assert!(first == third && first != second);
}

/// Bytes of the slab that have memory.
fn resident() -> usize {
    let start = format!("{:x}-", SLAB.start());
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("Linux");
    let mapping = smaps.lines().skip_while(|line| !line.starts_with(&start));
    let rss = mapping.filter_map(|line| line.strip_prefix("Rss:")).next();
    let kib = rss.and_then(|rss| rss.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<usize>().ok())
        .expect("a number")
        * 1024
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn memory_goes_back_and_slots_of_any_size_may_have_it() {
    let _alone = alone();
    let filled = |size: usize| {
        let mut slot = Slot::new(size);
        let only = slot.fill(|| Marked::new(layout(size - header::HEADER_LEN, 8), 7));
        assert!(only.is_in_slot());
        only
    };
    for size in [6000, 10_000, 30_000] {
        let many: Vec<Marked> = (0..1000).map(|_| filled(size)).collect();
        assert!(resident() >= 1000 * size, "{}", resident());
        // A slot keeps the pages that it shares with its neighbours.
        let kept: Vec<Marked> = many.into_iter().step_by(100).collect();
        let most = (MAX_DIRTY as usize + 2 * kept.len()) * (size + 8192);
        assert!(resident() < most, "{} {most}", resident());
        drop(kept);
        let most = MAX_DIRTY as usize * (size + 8192);
        assert!(resident() <= most, "{} {most}", resident());
    }
}
