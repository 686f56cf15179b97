//! Which functions an object file of clang defines.
//!
//! They stand in the symbol table of the custom section `linking`:
//! <https://github.com/WebAssembly/tool-conventions/blob/main/Linking.md>.

use wasmparser::{
    BinaryReaderError, KnownCustom, Linking, LinkingSectionReader, Parser, Payload, SymbolFlags,
    SymbolInfo,
};

/// Whether it defines one of these functions. An object that cannot be read defines
/// none; the linker says what is wrong with it.
pub(super) fn defines_any(object: &[u8], names: &[&str]) -> bool {
    let payloads = Parser::new(0).parse_all(object).flatten();
    payloads
        .filter_map(|payload| match payload {
            Payload::CustomSection(section) => Some(section),
            _ => None,
        })
        .any(|section| match section.as_known() {
            KnownCustom::Linking(linking) => is_in(linking, names).unwrap_or(false),
            _ => false,
        })
}

fn is_in(linking: LinkingSectionReader<'_>, names: &[&str]) -> Result<bool, BinaryReaderError> {
    for subsection in linking.subsections() {
        let Linking::SymbolTable(symbols) = subsection? else {
            continue;
        };
        for symbol in symbols {
            if let SymbolInfo::Func { flags, name, .. } = symbol?
                && !flags.contains(SymbolFlags::UNDEFINED)
                && name.is_some_and(|name| names.contains(&name))
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_defines_nothing() {
        for bytes in [&b""[..], b"\0asm", b"\0asm\x01\0\0\0\0\x09\x07linking\x07"] {
            assert!(!defines_any(bytes, &["on_message"]));
        }
    }
}
