//! A global allocator that puts the many small allocations of one thing into one
//! *slot*, so that they are freed together and their pages go back to the kernel.
//!
//! # Why
//!
//! A connection lives long, and the WebAssembly instance that serves it does not:
//! it hibernates, or is swapped. Making one takes some 25 allocations, 8 KB in
//! all, in wasmtime and in the host. A general allocator puts them between those
//! of the connection, which stay; so when the instance is dropped hardly a page
//! becomes free, and the process stays as large as it was. An arena would help,
//! but wasmtime allocates with the global allocator, as does nearly every crate.
//!
//! So the global allocator itself can be told: *what this thread allocates from now
//! on belongs together*. Everything else is the system's allocator, as ever.
//!
//! # How to use it
//!
//! 1. Install [`SlabAllocator`] as the program's `#[global_allocator]`.
//! 2. Call [`SlabAllocator::reserve_address_space`] once, when the program begins.
//! 3. For each thing that is made and dropped as a whole: [`Slot::new`], then make
//!    the thing inside of [`Slot::fill`] or [`Slot::fill_async`]; ask
//!    [`Slot::size_needed`] how large a slot the next such thing needs; drop the
//!    handle, and some time later the thing.
//!
//! ```
//! use hotsocket_slab::{SlabAllocator, Slot};
//!
//! #[global_allocator]
//! static ALLOCATOR: SlabAllocator = SlabAllocator::new();
//!
//! fn main() {
//!     ALLOCATOR.reserve_address_space();
//!     let mut slot = Slot::new(16 * 1024);
//!     let names: Vec<String> = slot.fill(|| (0..10).map(|n| format!("name {n}")).collect());
//!     let next_slot = Slot::new(slot.size_needed());
//!     drop(slot);
//!     // Any thread may free them, at any time. The last one frees the slot.
//!     drop(names);
//!     # drop(next_slot);
//! }
//! ```
//!
//! A library can use [`Slot`] without knowing the program's allocator: where it is
//! another one, or there are no addresses to reserve, slots do nothing. So it is in
//! hotsocket's binary without its feature `slab-allocator`.
//!
//! # How it works
//!
//! ```text
//! slab    4 GiB of addresses, reserved once; an address alone says what lies there
//! ┌─────────┬─────────┬─────────┬─ ─ ─
//! │ chunk 0 │ chunk 1 │ chunk 2 │
//! └─────────┴─────────┴─────────┴─ ─ ─
//!           │         │
//! chunk   256 KiB, cut into slots of one size: 4 KiB to 64 KiB in steps of 64 bytes
//!           ┌────────┬────────┬────────┬────────┬─ ─ ─┐
//!           │ slot 0 │ slot 1 │ slot 2 │ slot 3 │     │   no gaps between them
//!           └────────┴────────┴────────┴────────┴─ ─ ─┘
//!                    │        │
//! slot    filled from its beginning, by moving `top`
//!                    ┌────────┬───┬─────┬──┬────────┬──────────────┐
//!                    │ header │ a │  b  │ c│   d    │ free         │
//!                    └────────┴───┴─────┴──┴────────┴──────────────┘
//!                     users, top                    top
//! ```
//!
//! - **Allocating** in a slot moves `top` (bump allocation); `bump` has the details.
//!   What finds no room comes from the system.
//! - **Freeing** looks at the address (`slab`): outside of the slab it is the
//!   system's. Inside, the slot has one user less; whoever frees the last one, on any
//!   thread, gives the slot back (`header`).
//! - **Giving back** marks the slot as free, and returns pages to the kernel that no
//!   slot in use touches, but for a few that stay ready for the next (`table`).
//!
//! A slot keeps its memory as long as *one* allocation in it lives. It is for things
//! that are dropped as a whole; growing a vector in it again and again wastes room.
//!
//! # Why not another allocator
//!
//! Measured in the binary in place of this crate: 2,000 connections that had one
//! request each, memory (PSS) that one adds to the server's, in KB; medians of three
//! rounds, interleaved.
//!
//! | allocator | idle, `echo` | hibernated, `counter` |
//! | --- | --: | --: |
//! | this crate | 19.2 | **2.7** |
//! | glibc 2.36 | 19.1 | 11.1 |
//! | glibc, after `malloc_trim(0)` | – | 7.4 |
//! | mimalloc 3.3.2 | 19.5 | 11.3 |
//! | mimalloc, `MIMALLOC_PURGE_DELAY=0` | 19.3 | 12.5 |
//! | jemalloc 5.3.1 | 19.3 | 11.2 |
//! | jemalloc, `background_thread:true` | 19.3 | 5.9 |
//!
//! mimalloc and jemalloc sort allocations by size, so those of an instance share pages
//! with those of its connection and of others. mimalloc gives none of these pages
//! back. jemalloc, with a thread of its own for that, gives back two thirds; its C
//! takes half a minute to compile. With mimalloc, buffers that grow to megabytes in one
//! event were so slow that events ran out of CPU budget.
//!
//! In time it costs nothing that can be counted: 64 connections at once that connect,
//! send 32 bytes and close take 2.01 `madvise` and 3.2 page faults each, where they
//! take 2.00 and 3.0 with glibc alone (`table` keeps some slots ready for that).
//!
//! # Which platforms
//!
//! 64-bit Linux. Where pages are not 4 KiB, or the range cannot be reserved (`ulimit
//! -v`), there are no slots.
//!
//! # Which tests hold it
//!
//! `bump`, `chunk` and `table` are arithmetic without memory, each with a property
//! that random input is tried on. `tests/allocations` marks every byte of what
//! several threads allocate and free. `tests/interleavings` tries all orders of
//! give-back with loom. CONTRIBUTING.md has the commands for loom, Miri and
//! AddressSanitizer.

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
