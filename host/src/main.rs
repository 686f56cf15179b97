//! The `hotsocket` binary: everything is in the library.

use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: hotsocket_slab::SlabAllocator = hotsocket_slab::SlabAllocator;

fn main() -> ExitCode {
    hotsocket_slab::reserve_address_space();
    hotsocket::cli::main(Instant::now())
}
