//! Links WASI to what a store holds, and does nothing else.
//!
//! A crate of its own for the compiler's sake: WASI is some 130 functions, each
//! of which is compiled for [`State`] where it is linked. In the host's crate
//! they were a third of the code that the compiler optimised, and none of them
//! is on the way of a byte. Here they are not optimised.

use hotsocket_store::state::State;
use wasmtime::component::Linker;

/// Let guests find all of WASI 0.2 in `linker`. What they may do with it is
/// up to their store's [grants](hotsocket_store::wasi::Grants).
///
/// # Errors
/// When a name is taken already.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}
