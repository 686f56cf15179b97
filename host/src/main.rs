//! The `hotsocket` binary: everything is in the library.

use std::process::ExitCode;
use std::time::Instant;

use hotsocket_sandbox::{COMPILE_CHILD, compile_child};

/// Without the feature `slab-allocator` it is the system's, and slots do nothing.
#[cfg(feature = "slab-allocator")]
#[global_allocator]
static ALLOCATOR: hotsocket_slab::SlabAllocator = hotsocket_slab::SlabAllocator::new();

fn main() -> ExitCode {
    // First, as it lowers the limits of the process.
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == COMPILE_CHILD) {
        return compile_child(args);
    }
    #[cfg(feature = "slab-allocator")]
    ALLOCATOR.reserve_address_space();
    hotsocket::cli::main(Instant::now())
}
