//! The `hotsocket` binary: everything is in the library.

use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static HEAP: hotsocket_heap::Heap = hotsocket_heap::Heap;

fn main() -> ExitCode {
    hotsocket_heap::begin();
    hotsocket::cli::main(Instant::now())
}
