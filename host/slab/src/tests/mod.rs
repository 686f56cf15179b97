//! What the modules' own tests share, and the tests of the crate as a whole.

#[cfg(not(loom))]
mod allocations;
#[cfg(loom)]
mod interleavings;

use std::alloc::Layout;

use proptest::prelude::ProptestConfig;

/// How often a property is tried: rarely under Miri, which is some hundred times
/// slower. No file remembers failures: they are printed with their input.
pub fn cases() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 512 })
    }
}

pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a valid layout")
}
