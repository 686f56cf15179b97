//! A global allocator that keeps what belongs together in one place: see [`Slot`].
//!
//! What instances of guests need of the host lives shorter than what lies around
//! it. Allocated in slots, it goes back to the kernel when an instance is dropped.

mod allocator;
mod bump;
mod chunk;
mod header;
mod pages;
mod slab;
mod slot;
mod sync;
mod table;
#[cfg(test)]
mod tests;

pub use allocator::SlabAllocator;
pub use slot::Slot;
