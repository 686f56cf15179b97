//! What a component says that it imports, read from its bytes in the server, before anything
//! is checked. What the host gives for it is in [`crate::imports`].

use wasmparser::{Chunk, Parser, Payload};

/// What decides how a component is linked and called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imports {
    /// An interface of WASI that `hotsocket-wasi` links.
    pub wasi: bool,
    /// The store.
    pub key_value: bool,
    /// TLS that the guest begins.
    pub start_tls: bool,
}

impl Imports {
    /// Of the component; of none if it cannot be parsed.
    pub fn of(bytes: &[u8]) -> Self {
        let mut imports = Imports::default();
        for_each_import(bytes, |name| {
            let is_store = name.starts_with("wasi:keyvalue/");
            imports.key_value |= is_store;
            imports.start_tls |= name.starts_with("hotsocket:tls/");
            imports.wasi |= name.starts_with("wasi:") && !is_store;
        });
        imports
    }
}

/// Passes over what is nested in the component, as that may be in one another so often that
/// only to remember where would take gigabytes.
fn for_each_import(bytes: &[u8], mut note: impl FnMut(&str)) {
    let mut parser = Parser::new(0);
    let mut left = bytes;
    while let Ok(Chunk::Parsed { consumed, payload }) = parser.parse(left, true) {
        let mut passed = consumed;
        match payload {
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } => passed = passed.saturating_add(unchecked_range.len()),
            Payload::ComponentImportSection(section) => {
                let names = section.into_iter().flatten();
                names.for_each(|import| note(import.name.name));
            }
            Payload::End(_) => return,
            _ => {}
        }
        let Some(rest) = left.get(passed..) else {
            return;
        };
        left = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_component_itself_imports_counts() {
        let component = r#"(component
            (component (import "wasi:cli/stdout@0.2.0" (instance)))
            (core module (import "wasi:x" "y" (func)))
            (import "hotsocket:tls/start@0.1.0" (instance))
            (component (component (import "wasi:keyvalue/store@0.2.0" (instance)))))"#;
        let imports = Imports::of(&wat::parse_str(component).expect("a component"));
        assert!(imports.start_tls && !imports.wasi && !imports.key_value);
    }

    /// It would take the parser 100 bytes for each of them to remember where it is.
    #[test]
    fn what_is_nested_is_passed_over_however_deep() {
        // From the end on, as each has its length before it.
        let header = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
        let import = wat::parse_str("(component (import \"wasi:a/b@0.2.0\" (instance)))");
        let mut reversed: Vec<u8> = import.expect("a component")[header.len()..].to_vec();
        reversed.reverse();
        for level in 0..200_000 {
            if level > 0 {
                let mut length = Vec::new();
                let mut left = reversed.len();
                while left >= 0x80 {
                    length.push((left & 0x7f) as u8 | 0x80);
                    left >>= 7;
                }
                length.push(left as u8);
                reversed.extend(length.iter().rev());
                reversed.push(4);
            }
            reversed.extend(header.iter().rev());
        }
        reversed.reverse();
        assert!(
            !Imports::of(&reversed).wasi,
            "only the innermost imports it"
        );
    }
}
