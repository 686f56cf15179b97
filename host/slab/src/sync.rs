//! The atomics, the lock and the cell that the slab is made of.

pub use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicPtr, AtomicU32, fence},
};

/// A cell whose users say whether they read or write.
pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub const fn new(value: T) -> Self {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    pub fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    pub fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}
