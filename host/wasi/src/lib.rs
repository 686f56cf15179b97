//! Links WASI to what a store holds, and does nothing else.
//!
//! A crate of its own for the compiler's sake: WASI is some 130 functions, each
//! of which is compiled for [`StoreData`] where it is linked, and none of them is
//! on the way of a byte.

use hotsocket_sandbox::StoreData;
use wasmtime::component::Linker;

/// Let guests find all of WASI 0.2 in `linker`. What they may do with it is
/// up to their store's [grants](hotsocket_sandbox::Grants).
///
/// # Errors
/// When a name is taken already.
pub fn link(linker: &mut Linker<StoreData>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}
