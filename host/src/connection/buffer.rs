//! Read buffers, shared by the connections of a thread.
//!
//! A connection holds one only from a successful read to the end of the event
//! that it causes, so thousands of idle connections need none.

use std::cell::RefCell;

use crate::limits::READ_SIZE;

/// Buffers that a thread keeps for the next read. More exist only while
/// events wait inside WASI.
const KEPT: usize = 4;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of [`READ_SIZE`] bytes that goes back to its thread's pool, or to
/// that of the thread it was moved to.
pub struct Buffer(Box<[u8]>);

impl Buffer {
    pub fn take() -> Self {
        let pooled = FREE.with_borrow_mut(Vec::pop);
        Buffer(pooled.unwrap_or_else(|| vec![0; READ_SIZE].into_boxed_slice()))
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// The first `count` bytes.
    pub fn filled(&self, count: usize) -> &[u8] {
        self.0.get(..count).unwrap_or(&self.0)
    }
}

impl Drop for Buffer {
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
