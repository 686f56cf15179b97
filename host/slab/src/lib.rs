//! docs later
#![cfg_attr(
    all(test, loom),
    allow(
        dead_code,
        reason = "loom's tests use neither the allocator nor the handle"
    )
)]

#[cfg(not(all(test, loom)))]
mod allocator;
mod bump;
mod chunk;
mod header;
mod pages;
mod slab;
#[cfg(not(all(test, loom)))]
mod slot;
mod sync;
mod table;
#[cfg(test)]
mod tests;

#[cfg(not(all(test, loom)))]
pub use allocator::SlabAllocator;
#[cfg(not(all(test, loom)))]
pub use slot::Slot;
