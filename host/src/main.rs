//! The `hotsocket` binary: everything is in the library.

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    hotsocket::cli::main(Instant::now())
}
