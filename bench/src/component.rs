//! Components made from others: with a custom section that only changes their
//! hash, or with more code.
//!
//! A component is eight bytes and then sections, each with a number, its
//! length in LEB128, and its content.

use crate::Result;

const PREAMBLE: usize = 8;
const CUSTOM: u8 = 0;
const CORE_MODULE: u8 = 1;

/// The component with a custom section appended.
pub fn with_note(component: &[u8], note: &str) -> Vec<u8> {
    let mut content = Vec::new();
    leb128(&mut content, 4);
    content.extend_from_slice(b"note");
    content.extend_from_slice(note.as_bytes());
    let mut changed = component.to_vec();
    section(&mut changed, CUSTOM, &content);
    changed
}

/// The component with copies of a core module appended, which are compiled but
/// never used.
pub fn with_modules(component: &[u8], module: &[u8], copies: usize) -> Vec<u8> {
    let mut changed = component.to_vec();
    for _ in 0..copies {
        section(&mut changed, CORE_MODULE, module);
    }
    changed
}

/// The largest core module of a component: its code.
pub fn core_module(component: &[u8]) -> Result<&[u8]> {
    let mut rest = component.get(PREAMBLE..).unwrap_or_default();
    let mut largest: &[u8] = &[];
    while let Some((number, after)) = rest.split_first() {
        let (length, after) = read_leb128(after).ok_or("not a component")?;
        let (content, after) = after.split_at_checked(length).ok_or("not a component")?;
        if *number == CORE_MODULE && content.len() > largest.len() {
            largest = content;
        }
        rest = after;
    }
    match largest.is_empty() {
        true => Err("the component has no core module".into()),
        false => Ok(largest),
    }
}

fn section(component: &mut Vec<u8>, number: u8, content: &[u8]) {
    component.push(number);
    leb128(component, content.len());
    component.extend_from_slice(content);
}

fn leb128(bytes: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        number |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A preamble and one core module of 300 bytes.
    fn component() -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        section(&mut bytes, CORE_MODULE, &[7; 300]);
        bytes
    }

    #[test]
    fn the_core_module_is_found_behind_other_sections() {
        let component = with_note(&component(), "first");
        let component = with_modules(&component, &[8; 10], 2);
        assert_eq!(core_module(&component).ok(), Some(&[7_u8; 300][..]));
    }

    #[test]
    fn a_truncated_component_is_an_error() {
        let component = component();
        assert!(core_module(&component[..component.len() - 1]).is_err());
    }
}
