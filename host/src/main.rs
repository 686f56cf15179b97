//! The `hotsocket` binary: everything is in the library.

use std::process::ExitCode;
use std::time::Instant;

/// Without the feature `slab-allocator` it is the system's, and slots do nothing.
#[cfg(feature = "slab-allocator")]
#[global_allocator]
static ALLOCATOR: hotsocket_slab::SlabAllocator = hotsocket_slab::SlabAllocator::new();

fn main() -> ExitCode {
    #[cfg(feature = "slab-allocator")]
    ALLOCATOR.reserve_address_space();
    hotsocket::cli::main(Instant::now())
}
