//! Removes the names of functions from a component: those of a language's
//! interpreter, which are of no use to a guest's author.

use wasmparser::{BinaryReaderError, Parser, Payload};

use super::section::push_length;

/// The component without its names; the rest stays as it is.
///
/// # Errors
/// When it is no component.
pub(super) fn names(component: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    // What is being written: a module or component, and those around it.
    let mut around: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut out = Vec::with_capacity(component.len());
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        match &payload {
            Payload::Version { range, .. } => {
                out.extend_from_slice(component.get(range.clone()).unwrap_or_default());
            }
            Payload::ModuleSection { .. } => around.push((CORE_MODULE, std::mem::take(&mut out))),
            Payload::ComponentSection { .. } => around.push((COMPONENT, std::mem::take(&mut out))),
            Payload::End(_) => {
                if let Some((id, outer)) = around.pop() {
                    let inner = std::mem::replace(&mut out, outer);
                    push_section(&mut out, id, &inner);
                }
            }
            Payload::CustomSection(section)
                if matches!(section.name(), "name" | "component-name") => {}
            _ => {
                if let Some((id, range)) = payload.as_section() {
                    push_section(&mut out, id, component.get(range).unwrap_or_default());
                }
            }
        }
    }
    Ok(out)
}

/// The numbers of the sections that hold a module or a component.
const CORE_MODULE: u8 = 1;
const COMPONENT: u8 = 4;

fn push_section(out: &mut Vec<u8>, id: u8, content: &[u8]) {
    out.push(id);
    push_length(out, content.len());
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_and_the_rest_stays() {
        let named = r#"(component $outer
            (core module $m (func $secret (export "f") nop) (@custom "kept" "data"))
            (component $inner (core module $deep (func $secret)))
            (core instance $i (instantiate $m)))"#;
        let named = wat::parse_str(named).expect("WAT");
        let bare = names(&named).expect("a component");
        let has = |bytes: &[u8], word: &str| {
            bytes
                .windows(word.len())
                .any(|window| window == word.as_bytes())
        };
        assert!(has(&named, "secret") && !has(&bare, "secret"));
        assert!(has(&bare, "kept") && !has(&bare, "outer"));
        wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::default())
            .validate_all(&bare)
            .expect("still valid");
        assert_eq!(names(&bare).expect("a component"), bare);
    }
}
