//! The imports of a Python file, found in its text: which files belong to a guest must be
//! known before any Python runs. What only looks like an import does no harm.

use std::iter::Peekable;

/// A module that a statement names, and what it takes from it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Import<'a> {
    /// The dots in front of a relative name.
    pub(super) level: usize,
    /// The parts of the module's name.
    pub(super) module: Vec<&'a str>,
    /// What follows `from … import`.
    pub(super) names: Vec<&'a str>,
}

/// All imports of a file.
pub(super) fn of(source: &str) -> Vec<Import<'_>> {
    let mut found = Vec::new();
    let mut rest = source.strip_prefix('\u{feff}').unwrap_or(source);
    loop {
        add_statement(&mut found, rest);
        match rest.split_once(['\n', '\r', ';', ':']) {
            Some((_, next)) => rest = next,
            None => return found,
        }
    }
}

/// Add what the text imports, if it begins with such a statement.
fn add_statement<'a>(found: &mut Vec<Import<'a>>, text: &'a str) {
    let text = text.trim_start_matches([' ', '\t', '\u{c}']);
    let (rest, from) = match (text.strip_prefix("import"), text.strip_prefix("from")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return,
    };
    if rest.starts_with(is_of_word) {
        return;
    }
    let tokens = Tokens {
        rest,
        in_parentheses: false,
    };
    let mut tokens = tokens.peekable();
    if from {
        let (level, module) = dotted(&mut tokens);
        if tokens.next_if_eq(&"import").is_some() {
            tokens.next_if_eq(&"(");
            let names = listed(&mut tokens, |tokens| tokens.next_if(|token| is_word(token)));
            found.push(Import {
                level,
                module,
                names,
            });
        }
    } else {
        let modules = listed(&mut tokens, |tokens| {
            Some(dotted(tokens).1).filter(|module| !module.is_empty())
        });
        found.extend(modules.into_iter().map(|module| Import {
            module,
            ..Import::default()
        }));
    }
}

/// A name with dots: how many are in front of it, and its parts.
fn dotted<'a>(tokens: &mut Peekable<Tokens<'a>>) -> (usize, Vec<&'a str>) {
    let mut level = 0;
    while tokens.next_if_eq(&".").is_some() {
        level += 1;
    }
    let mut parts = Vec::new();
    while let Some(part) = tokens.next_if(|token| is_word(token) && *token != "import") {
        parts.push(part);
        if tokens.next_if_eq(&".").is_none() {
            break;
        }
    }
    (level, parts)
}

/// Things with commas between them, each perhaps `as` another.
fn listed<'a, T>(
    tokens: &mut Peekable<Tokens<'a>>,
    one: impl Fn(&mut Peekable<Tokens<'a>>) -> Option<T>,
) -> Vec<T> {
    let mut all = Vec::new();
    while let Some(each) = one(tokens) {
        all.push(each);
        if tokens.next_if_eq(&"as").is_some() {
            tokens.next();
        }
        if tokens.next_if_eq(&",").is_none() {
            break;
        }
    }
    all
}

/// The words and marks of one statement, which ends at the end of a line, unless that is
/// in parentheses or behind a backslash.
struct Tokens<'a> {
    rest: &'a str,
    in_parentheses: bool,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let rest = self.rest;
            let first = rest.chars().next()?;
            let length = match first {
                '#' => rest.find(['\n', '\r']).unwrap_or(rest.len()),
                '\\' => ["\\\r\n", "\\\n", "\\\r"]
                    .iter()
                    .find(|joined| rest.starts_with(**joined))?
                    .len(),
                '\n' | '\r' if !self.in_parentheses => return None,
                _ if is_of_word(first) => rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len()),
                _ => first.len_utf8(),
            };
            let (token, rest) = rest.split_at(length);
            self.rest = rest;
            match first {
                '#' | '\\' => continue,
                _ if first.is_ascii_whitespace() => continue,
                '(' => self.in_parentheses = true,
                ')' => self.in_parentheses = false,
                _ => {}
            }
            return Some(token);
        }
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(is_of_word)
}

/// Whether it may be a part of a name: more is, than Python takes for one.
fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `module`, or `module: name name`.
    fn found(source: &str) -> Vec<String> {
        let show = |import: Import<'_>| {
            let module = ".".repeat(import.level) + &import.module.join(".");
            match import.names.is_empty() {
                true => module,
                false => format!("{module}: {}", import.names.join(" ")),
            }
        };
        of(source).into_iter().map(show).collect()
    }

    #[test]
    fn imports_are_found_in_every_form() {
        for (source, expected) in [
            ("import a\nimport b.c as d, e # f", &["a", "b.c", "e"][..]),
            ("if x: import g; from h.i import j", &["g", "h.i: j"]),
            ("try:\n    from k import (\n        l,\n    )\n", &["k: l"]),
            (
                "from . import m\nfrom ..n import o as p",
                &[".: m", "..n: o"],
            ),
            (
                "from a import (\n  b,  # the peer (remote)\n  c as d,\n)\n",
                &["a: b c"],
            ),
            (
                "from a import b, \\\n  c\nimport d,\\\r\n e\r\n",
                &["a: b c", "d", "e"],
            ),
            (
                "from  a  import  b\nimport\tc\nfrom.d import(e)",
                &["a: b", "c", ".d: e"],
            ),
            ("\u{feff}import a\rimport b", &["a", "b"]),
            ("\timport a . b\n\u{c}from é import *", &["a.b", "é"]),
            (
                "imports = 1\nfrom_a = 2\nx = important\nfrom the peer\nimport = 3",
                &[],
            ),
            ("import", &[]),
            ("from a import \\", &["a"]),
            ("from a import (b", &["a: b"]),
        ] {
            assert_eq!(found(source), expected, "{source:?}");
        }
    }
}
