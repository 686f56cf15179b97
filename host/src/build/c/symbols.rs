//! Which functions an object file of clang defines, and which it calls.
//!
//! They stand in the symbol table of the custom section `linking`:
//! <https://github.com/WebAssembly/tool-conventions/blob/main/Linking.md>.

use std::collections::HashSet;

use wasmparser::{
    BinaryReaderError, KnownCustom, Linking, LinkingSectionReader, Parser, Payload, SymbolFlags,
    SymbolInfo,
};

/// The functions of an object by name. Of one that cannot be read there are none; the
/// linker says what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    defined: HashSet<String>,
    /// An undefined function is an import, by the name of the symbol.
    called: HashSet<String>,
}

impl Symbols {
    pub(super) fn of(object: &[u8]) -> Self {
        let mut symbols = Symbols::default();
        let mut imports = Vec::new();
        for payload in Parser::new(0).parse_all(object).flatten() {
            match payload {
                Payload::ImportSection(section) => {
                    let functions = section.into_imports().flatten();
                    let functions = functions
                        .filter(|import| matches!(import.ty, wasmparser::TypeRef::Func(_)));
                    imports.extend(functions.map(|import| import.name));
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Linking(linking) = section.as_known() {
                        // What was read before an error counts.
                        let _ = symbols.add(linking, &imports);
                    }
                }
                _ => {}
            }
        }
        symbols
    }

    fn add(
        &mut self,
        linking: LinkingSectionReader<'_>,
        imports: &[&str],
    ) -> Result<(), BinaryReaderError> {
        for subsection in linking.subsections() {
            let Linking::SymbolTable(symbols) = subsection? else {
                continue;
            };
            for symbol in symbols {
                let SymbolInfo::Func { flags, index, name } = symbol? else {
                    continue;
                };
                if !flags.contains(SymbolFlags::UNDEFINED) {
                    self.defined.extend(name.map(str::to_owned));
                    continue;
                }
                let imported = usize::try_from(index).ok().and_then(|at| imports.get(at));
                self.called
                    .extend(name.or(imported.copied()).map(str::to_owned));
            }
        }
        Ok(())
    }

    pub(super) fn defines_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.defined.contains(*name))
    }

    pub(super) fn calls_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.called.contains(*name))
    }

    /// Whether it calls a function whose name begins so.
    pub(super) fn calls_one_with(&self, prefix: &str) -> bool {
        self.called.iter().any(|name| name.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_has_no_functions() {
        for bytes in [&b""[..], b"\0asm", b"\0asm\x01\0\0\0\0\x09\x07linking\x07"] {
            let symbols = Symbols::of(bytes);
            assert!(symbols.defined.is_empty() && symbols.called.is_empty());
        }
    }
}
