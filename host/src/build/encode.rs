//! Encodes a core module from a linker as a component.
//!
//! Custom sections of the module, from wit-bindgen's bindings, name its imports and
//! exports. `wit-component` reads them and writes the component around the module.
//! `wasm-component-ld` does the same, but without the option that chooses how the
//! module calls its imports.

use std::path::Path;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::ComponentEncoder;

use super::Error;

/// The version of `wit-component`, of which this binary does not know otherwise. A
/// component in the cache is built again when it changes.
pub(super) const VERSION: &str = "0.258.3";
/// Takes the place of WASI 0.1.
pub(super) const ADAPTER: &[u8] = WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;

/// The component of a core module; `source` is what it was compiled from.
pub(super) fn component(module: &[u8], source: &Path) -> Result<Vec<u8>, Error> {
    let mut encoder = ComponentEncoder::default();
    encoder
        .validate(true)
        // Imported functions are called through globals. The default is a table,
        // and each instance would have a page of memory for it.
        // https://docs.rs/wit-component/0.258.3/wit_component/struct.ComponentEncoder.html
        .shim_return_call_ref(true);
    encoder
        .module(module)
        // For the WASI 0.1 calls of wasi-libc; left out of modules without any.
        .and_then(|encoder| encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, ADAPTER))
        .and_then(ComponentEncoder::encode)
        .map_err(|error| Error::Encode {
            path: source.to_owned(),
            reason: format!("{error:#}").replace('\n', " | "),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_is_linked() {
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
        let lock = std::fs::read_to_string(lock).expect("the lock file");
        let ours = format!("name = \"wit-component\"\nversion = \"{VERSION}\"");
        assert!(lock.contains(&ours), "{ours}");
    }

    #[test]
    fn what_cannot_be_encoded_is_one_line() {
        let strange = r#"(module (import "env" "f" (func)))"#;
        let strange = wat::parse_str(strange).expect("WAT");
        let error = component(&strange, Path::new("x.rs")).expect_err("no such import");
        let text = error.to_string();
        assert!(text.starts_with("x.rs compiled, but "), "{text}");
        assert!(text.contains("`env`") && !text.contains('\n'), "{text}");
    }
}
