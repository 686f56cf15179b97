//! Gives an allocator its memory: a first piece, then what a linear memory
//! grows by.

use core::alloc::Layout;
use core::ptr::NonNull;

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

/// Bytes of a page of WebAssembly's.
pub const PAGE: usize = 64 * 1024;
/// What the allocator's own bookkeeping takes of a piece, generously.
const BOOKKEEPING: usize = 1024;

/// A memory that grows.
///
/// # Safety
/// What `grow` returns is the beginning of as many pages, which nobody else
/// uses as long as the memory exists.
pub unsafe trait Grow: core::fmt::Debug {
    fn grow(&mut self, pages: usize) -> Option<*mut u8>;
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Memory<G> {
    /// Until it has been given away.
    first: Option<(*mut u8, usize)>,
    /// The end of what was given away last.
    end: Option<NonNull<u8>>,
    more: G,
}

impl<G> Memory<G> {
    /// # Safety
    /// Nobody else uses the first piece as long as the memory exists.
    pub const unsafe fn new(first: *mut u8, size: usize, more: G) -> Self {
        Memory {
            first: Some((first, size)),
            end: None,
            more,
        }
    }
}

// SAFETY: it allocates nothing itself, and gives nothing away twice: the first
// piece once, then what has just come into being.
unsafe impl<G: Grow> Source for Memory<G> {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        if let Some((base, size)) = talc.source.first.take() {
            // SAFETY: whoever made this has vouched for it.
            talc.source.end = unsafe { talc.claim(base, size) };
            return Ok(());
        }
        let wanted = layout.size().checked_add(layout.align() + BOOKKEEPING);
        let pages = wanted.ok_or(())?.div_ceil(PAGE);
        let base = talc.source.more.grow(pages).ok_or(())?;
        let end = match talc.source.end {
            // SAFETY: both pieces are the allocator's, one after the other.
            Some(end) if end.as_ptr() == base => unsafe {
                talc.extend(end, base.wrapping_add(pages * PAGE))
            },
            // SAFETY: see `Grow`.
            _ => unsafe { talc.claim(base, pages * PAGE) }.ok_or(())?,
        };
        talc.source.end = Some(end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::alloc::GlobalAlloc;

    use talc::cell::TalcCell;
    use talc::wasm::WasmBinning;

    use super::*;

    const PAGES: usize = 40;
    /// In every byte that the heap may not touch.
    const FOREIGN: u8 = 0xEE;

    /// Grows within one piece of this process' memory, leaving a page out now
    /// and then, as if someone else had grown the memory meanwhile.
    #[derive(Debug)]
    struct Arena {
        base: *mut u8,
        used: usize,
        left_out: Vec<usize>,
    }

    // SAFETY: no page is given away twice.
    unsafe impl Grow for Arena {
        fn grow(&mut self, pages: usize) -> Option<*mut u8> {
            let gap = self.used > 3 * (self.left_out.len() + 1);
            let from = self.used + usize::from(gap);
            let used = from.checked_add(pages).filter(|&used| used <= PAGES)?;
            self.left_out.extend(gap.then_some(self.used));
            self.used = used;
            Some(self.base.wrapping_add(from * PAGE))
        }
    }

    /// A sequence that is the same in every run.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % sides as u64).unwrap()
        }
    }

    /// Allocate and free at random until memory has run out many times; every
    /// byte of every piece must still be what was put there, and what was never
    /// given to the heap must be as before.
    #[test]
    fn pieces_never_overlap() {
        for (seed, first_size) in (1..20).zip([2048, 16, 0].into_iter().cycle()) {
            let mut first = vec![FOREIGN; first_size + 16].into_boxed_slice();
            let mut arena = vec![FOREIGN; (PAGES + 2) * PAGE].into_boxed_slice();
            // As WebAssembly's pages are; else no piece ends where the next begins.
            let aligned = arena.as_ptr().align_offset(PAGE);
            let arena = &mut arena[aligned..][..(PAGES + 1) * PAGE];
            let more = Arena {
                base: arena.as_mut_ptr(),
                used: 0,
                left_out: Vec::new(),
            };
            // SAFETY: both outlive the heap, and are not touched before its end.
            let memory = unsafe { Memory::new(first.as_mut_ptr(), first_size, more) };
            let heap = TalcCell::<_, WasmBinning>::new(memory);
            exercise(&heap, Dice(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15)));
            let Memory { more, .. } = heap.into_inner().source;
            let is_untouched = |bytes: &[u8]| bytes.iter().all(|&byte| byte == FOREIGN);
            assert!(is_untouched(&first[first_size..]));
            for page in more.left_out.into_iter().chain([PAGES]) {
                assert!(is_untouched(&arena[page * PAGE..(page + 1) * PAGE]));
            }
        }
    }

    fn exercise(heap: &impl GlobalAlloc, mut dice: Dice) {
        let mut live: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut refused = 0;
        for round in 0..20_000_u32 {
            if live.len() < 300 && dice.roll(5) < 3 {
                let up_to = [24, 300, 5000, 3 * PAGE][dice.roll(4)];
                let size = 1 + dice.roll(up_to);
                let layout = Layout::from_size_align(size, 1 << dice.roll(6)).unwrap();
                // SAFETY: its size is not 0.
                let piece = unsafe { heap.alloc(layout) };
                if piece.is_null() {
                    refused += 1;
                    continue;
                }
                assert!(piece.addr().is_multiple_of(layout.align()));
                let mark = round.to_le_bytes()[0];
                // SAFETY: the piece is that large, and new.
                unsafe { piece.write_bytes(mark, size) };
                live.push((piece, layout, mark));
            } else if !live.is_empty() {
                let (piece, layout, mark) = live.swap_remove(dice.roll(live.len()));
                // SAFETY: as above, and written above.
                let bytes = unsafe { core::slice::from_raw_parts(piece, layout.size()) };
                assert!(bytes.iter().all(|&byte| byte == mark));
                // SAFETY: allocated above with this layout, once.
                unsafe { heap.dealloc(piece, layout) };
            }
        }
        assert!(refused > 10, "memory never ran out");
    }
}
