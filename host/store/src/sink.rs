//! Where the bytes go that a guest writes: at once, or into a buffer that is
//! sent when the event has ended.

use std::any::Any;
use std::cell::RefCell;
use std::io;

/// What an instance knows of its connection's socket, for the time of an event.
pub trait Sink: Send {
    /// Send what fits now, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when nothing fits; anything else ends the connection.
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// The socket itself, for whoever has lent it.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// A write of this many bytes or more is sent from where it lies, with a
/// system call of its own. Smaller ones are cheaper to gather.
pub const AT_ONCE: usize = 1024;

/// The most that is given to the kernel at once: it copies more in a time that
/// the neighbours would notice.
pub const SLICE: usize = 256 * 1024;

/// Buffers that a thread keeps, and how large they may be.
const KEPT: usize = 4;
const MAX_CAPACITY: usize = 128 * 1024;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer for what an event writes. The connections of a thread share
/// a few: one of their own would cost each of them memory and cache.
pub fn buffer() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// The buffer is of no more use.
pub fn recycle(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > MAX_CAPACITY {
        return;
    }
    buffer.clear();
    // At thread exit the pool may be gone already.
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < KEPT {
            spare.push(buffer);
        }
    });
}
