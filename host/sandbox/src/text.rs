//! The functions that a guest imports from `hotsocket:text/utf8`. They are pure: they
//! read nothing of the connection and change nothing.

use wasmtime::component::{LinkerInstance, WasmList, WasmStr};
use wasmtime::{AsContext, StoreContextMut};

use crate::bounded_text::BoundedText;
use crate::store_data::StoreData;

/// The most that one call converts, in bytes: it cannot be interrupted, and the host
/// has a copy of it meanwhile.
const MAX: usize = 1 << 20;

/// Link the functions.
pub fn link(utf8: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    utf8.func_wrap(
        "encode",
        |store: StoreContextMut<StoreData>, (text,): (BoundedText<WasmStr>,)| {
            let bytes = text.text.to_str(&store)?.into_owned().into_bytes();
            check(bytes.len(), text.is_cut)?;
            Ok((bytes,))
        },
    )?;
    utf8.func_wrap(
        "decode",
        |store: StoreContextMut<StoreData>, (bytes,): (WasmList<u8>,)| {
            check(bytes.len(), false)?;
            let bytes = bytes.as_le_slice(store.as_context());
            Ok((String::from_utf8_lossy(bytes).into_owned(),))
        },
    )
}

fn check(len: usize, is_cut: bool) -> wasmtime::Result<()> {
    match len > MAX || is_cut {
        true => Err(wasmtime::Error::msg("hotsocket:text takes 1 MiB a call")),
        false => Ok(()),
    }
}
