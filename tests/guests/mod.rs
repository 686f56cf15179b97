//! Guests that do one odd thing each, written in WebAssembly text where that
//! can say it.
//!
//! A [`Guest`] is `template.wat` with the bodies of some exported functions
//! filled in. In a body, a string literal stands for its address and length,
//! so `(call $say "bye")` writes `bye` to the peer. `bodies` has the bodies and
//! guests that several tests use.

mod bodies;
mod bombs;

use std::collections::BTreeMap;

pub use bodies::*;
pub use bombs::*;

const TEMPLATE: &str = include_str!("template.wat");
/// Where the strings of bodies lie in memory.
const STRINGS: usize = 1024;
/// The functions that a guest exports, and what they do if nothing is said.
const BODIES: [(&str, &str); 8] = [
    ("listening", ""),
    ("open", "(call $ok)"),
    ("data", ""),
    ("drained", ""),
    ("end", ""),
    ("timer", ""),
    ("close", ""),
    ("save", "(call $none)"),
];

/// A guest in the making.
#[derive(Default)]
pub struct Guest {
    bodies: BTreeMap<&'static str, String>,
    /// Changes to the template: this text becomes that text.
    changes: Vec<(String, String)>,
}

/// Begin with a guest that does nothing.
pub fn guest() -> Guest {
    Guest::default()
}

impl Guest {
    /// What an exported function does. See `template.wat` for what is there to
    /// be called.
    pub fn body(mut self, function: &'static str, body: &str) -> Self {
        assert!(
            BODIES.iter().any(|(name, _)| *name == function),
            "no function {function}"
        );
        self.bodies.insert(function, body.to_owned());
        self
    }

    pub fn data(self, body: &str) -> Self {
        self.body("data", body)
    }

    /// It tells its peer in `close` for which reason, as a number: `bye 5`.
    pub fn says_bye(self) -> Self {
        self.body("close", r#"(call $say-digit "bye " (local.get $reason))"#)
    }

    /// It prints in `close` for which reason, as a number: `closed 5`.
    pub fn prints_closed(self) -> Self {
        self.body(
            "close",
            r#"(call $print-digit "closed " (local.get $reason))"#,
        )
    }

    /// Change the component itself.
    pub fn change(mut self, this: &str, that: &str) -> Self {
        self.changes.push((this.to_owned(), that.to_owned()));
        self
    }

    pub fn build(&self) -> Vec<u8> {
        let mut strings = Vec::new();
        let mut text = TEMPLATE.to_owned();
        for (function, default) in BODIES {
            let body = self.bodies.get(function).map_or(default, String::as_str);
            text = text.replace(
                &format!(";; body of {function}"),
                &placed(body, &mut strings),
            );
        }
        let escaped: String = strings.iter().map(|byte| format!("\\{byte:02x}")).collect();
        text = text.replace("STRINGS", &escaped);
        for (this, that) in &self.changes {
            assert!(text.contains(this), "the template has no {this}");
            text = text.replace(this, that);
        }
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl From<&Guest> for Vec<u8> {
    fn from(guest: &Guest) -> Self {
        guest.build()
    }
}

/// Put the string literals of a body into memory, and their places into it.
fn placed(body: &str, strings: &mut Vec<u8>) -> String {
    body.split('"')
        .enumerate()
        .map(|(at, part)| {
            if at % 2 == 0 {
                return part.to_owned();
            }
            let start = STRINGS + strings.len();
            strings.extend_from_slice(part.as_bytes());
            format!("(i32.const {start}) (i32.const {})", part.len())
        })
        .collect()
}

/// A component of another world.
pub fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}
