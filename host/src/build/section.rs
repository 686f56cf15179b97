//! The custom section `hotsocket` with a component's metadata. It is optional: a
//! component without one is served the same.

use hotsocket_sandbox::component::is_handler;
use serde_json::{Value, json};
use wasmparser::{Encoding, Parser, Payload};

const NAME: &str = "hotsocket";

/// The metadata of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The guest's name.
    pub name: String,
    /// The language that it is written in.
    pub language: String,
    /// The version of the SDK, if it uses one.
    pub sdk: Option<String>,
    /// The SHA-256 of its sources, as hexadecimal digits.
    pub sources: Option<String>,
    /// The settings that its sources name (`serve --set`).
    pub settings: Vec<String>,
    /// The port that `serve` listens on unless `--listen` names one.
    pub port: Option<u16>,
}

/// The metadata of a component; `None` if it has none, or none that can be parsed.
pub fn read(component: &[u8]) -> Option<Section> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.ok()? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 && section.name() == NAME => {
                return parse(section.data());
            }
            _ => {}
        }
    }
    None
}

fn parse(json: &[u8]) -> Option<Section> {
    let value: Value = serde_json::from_slice(json).ok()?;
    let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
    Some(Section {
        name: text("name")?,
        language: text("language")?,
        sdk: text("sdk"),
        sources: text("sources"),
        settings: value
            .get("settings")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str))
            .map(|names| names.map(str::to_owned).collect())
            .unwrap_or_default(),
        port: value
            .get("port")
            .and_then(Value::as_u64)
            .and_then(|port| port.try_into().ok()),
    })
}

/// Append the section to a component.
pub(super) fn append(component: &mut Vec<u8>, section: &Section) {
    let mut json = json!({
        "name": section.name,
        "language": section.language,
        "sdk": section.sdk,
        "sources": section.sources,
    });
    // Only where there are some, so that other components keep their bytes.
    if let Some(json) = json.as_object_mut() {
        if let Some(port) = section.port {
            json.insert("port".to_owned(), port.into());
        }
        if !section.settings.is_empty() {
            json.insert("settings".to_owned(), section.settings.clone().into());
        }
    }
    let json = json.to_string();
    let mut content = Vec::new();
    push_length(&mut content, NAME.len());
    content.extend_from_slice(NAME.as_bytes());
    content.extend_from_slice(json.as_bytes());
    component.push(0);
    push_length(component, content.len());
    component.extend_from_slice(&content);
}

/// Unsigned LEB128, as WebAssembly writes lengths.
pub(super) fn push_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = length.to_le_bytes()[0] & 0x7f;
        length >>= 7;
        if length == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Whether this is a component that exports the handler of the contract, in any
/// version that the host knows.
pub(super) fn exports_handler(component: &[u8]) -> bool {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::Version {
                encoding: Encoding::Module,
                ..
            }) if depth == 0 => return false,
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::ComponentExportSection(exports)) if depth == 0 => {
                if exports
                    .into_iter()
                    .flatten()
                    .any(|export| is_handler(export.name.name))
                {
                    return true;
                }
            }
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn an_appended_section_is_read() {
        let section = Section {
            name: "x".repeat(300),
            language: "rust".to_owned(),
            sdk: Some("0.1.0".to_owned()),
            sources: None,
            settings: vec!["greeting".to_owned()],
            port: Some(4000),
        };
        let mut component = EMPTY_COMPONENT.to_vec();
        append(&mut component, &section);
        assert_eq!(read(&component), Some(section));
    }

    #[test]
    fn a_missing_or_invalid_section_is_none() {
        assert_eq!(read(EMPTY_COMPONENT), None);
        assert_eq!(read(b"text"), None);
        assert_eq!(parse(b"{"), None);
        assert_eq!(parse(b"{\"name\":1,\"language\":\"rust\"}"), None);
        let mut cut = EMPTY_COMPONENT.to_vec();
        cut.extend_from_slice(&[0, 20, 9]);
        assert_eq!(read(&cut), None);
    }

    #[test]
    fn only_a_guest_exports_the_handler() {
        for bytes in [EMPTY_COMPONENT, EMPTY_MODULE, b"text", b""] {
            assert!(!exports_handler(bytes));
        }
    }
}
