//! Read buffers, shared by the connections of a thread.
//!
//! A connection holds one only from a successful read to the end of the event
//! that it causes, so thousands of idle connections need none.

use std::cell::RefCell;

use crate::limits::READ_SIZE;

/// Buffers that a thread keeps for the next read. More exist only while
/// events wait inside WASI.
const KEPT: usize = 4;

/// Buffers begin in the middle of a page of this many bytes. Processors like
/// AMD's Zen 3 copy 64 KiB in 30 µs instead of 8 if the target begins 8 to 24
/// bytes further in its page than the source does in its own. So copies the
/// kernel (`rep movsb`); what it received tends to lie where a page begins, and
/// what `malloc` gives may begin 16 bytes after that.
const PAGE: usize = 4096;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// What [`ReadBuffer::all`] has more than [`READ_SIZE`]: four records of TLS add 22 to 29
/// bytes each, and an update of keys may come before them.
const EXTRA: usize = 512;

/// A buffer of [`READ_SIZE`] bytes that goes back to its thread's pool, or to
/// that of the thread it was moved to. It has a page more, to begin where it
/// should in it.
pub struct ReadBuffer(Box<[u8]>);

impl ReadBuffer {
    pub fn take() -> Self {
        let pooled = FREE.with_borrow_mut(Vec::pop);
        ReadBuffer(pooled.unwrap_or_else(|| vec![0; READ_SIZE + EXTRA + PAGE].into_boxed_slice()))
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        let start = self.start();
        self.0.get_mut(start..start + READ_SIZE).unwrap_or_default()
    }

    /// The same with a little more, for bytes of which [`READ_SIZE`] are left when they
    /// have been decrypted.
    pub fn all(&mut self) -> &mut [u8] {
        let start = self.start();
        let end = start + READ_SIZE + EXTRA;
        self.0.get_mut(start..end).unwrap_or_default()
    }

    /// The first `count` bytes.
    pub fn filled(&self, count: usize) -> &[u8] {
        let start = self.start();
        self.0.get(start..start + count).unwrap_or_default()
    }

    fn start(&self) -> usize {
        (PAGE / 2).wrapping_sub(self.0.as_ptr().addr()) % PAGE
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.0);
        // At thread exit the pool may be gone already.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_whole_and_begins_in_the_middle_of_a_page() {
        let mut several: Vec<ReadBuffer> = (0..KEPT + 1).map(|_| ReadBuffer::take()).collect();
        for buffer in &mut several {
            let bytes = buffer.bytes();
            assert_eq!(bytes.len(), READ_SIZE);
            assert_eq!(bytes.as_ptr().addr() % PAGE, PAGE / 2);
            bytes.fill(7);
            assert_eq!(buffer.filled(READ_SIZE), [7; READ_SIZE]);
        }
    }
}
