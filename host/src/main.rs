//! The `hotsocket` binary: everything is in the library.

use std::process::ExitCode;
use std::time::Instant;

use hotsocket_slab::SlabAllocator;

#[global_allocator]
static ALLOCATOR: SlabAllocator = SlabAllocator::new();

fn main() -> ExitCode {
    ALLOCATOR.reserve_address_space();
    hotsocket::cli::main(Instant::now())
}
