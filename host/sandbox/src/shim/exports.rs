//! Exports that nobody uses: each function that a module exports takes 32 bytes
//! of every instance, and linkers export more than a component needs (whatever
//! has a C name, for one).

use std::collections::HashSet;

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ExportSection, Module, RawSection};
use wasmparser::{ExternalKind, Parser, Payload};

/// The module without the functions that are exported by none of these names;
/// `None` if it has none such.
pub(super) fn without_unused(module: &[u8], used: &HashSet<&str>) -> Option<Vec<u8>> {
    let mut out = Module::new();
    let mut dropped = false;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.ok()?;
        if let Payload::ExportSection(section) = payload {
            let mut exports = ExportSection::new();
            for export in section {
                let export = export.ok()?;
                if export.kind == ExternalKind::Func && !used.contains(export.name) {
                    dropped = true;
                } else {
                    let kind = RoundtripReencoder.export_kind(export.kind).ok()?;
                    exports.export(export.name, kind, export.index);
                }
            }
            out.section(&exports);
        } else if let Some((id, range)) = payload.as_section() {
            let data = module.get(range)?;
            out.section(&RawSection { id, data });
        }
    }
    dropped.then(|| out.finish())
}
