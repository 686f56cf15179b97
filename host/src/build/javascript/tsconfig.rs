//! Which files a `tsconfig.json` extends (<https://www.typescriptlang.org/tsconfig/#extends>),
//! as esbuild finds them: a change of one makes another component of the same script.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::sources;

/// More than anybody's settings are made of.
const MAX_BASES: usize = 16;

/// The files that these settings extend, and those that these extend in turn. A package is
/// none of the author's files, and is not looked for.
pub(super) fn bases(tsconfig: &Path) -> Vec<PathBuf> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let mut waiting = vec![tsconfig.to_owned()];
    while let Some(file) = waiting.pop() {
        let dir = file.parent().unwrap_or(Path::new("/"));
        for name in extended_by(&file) {
            if let Some(base) = base(dir, &name)
                && found.len() < MAX_BASES
                && fs::canonicalize(&base).is_ok_and(|real| seen.insert(real))
            {
                found.push(base.clone());
                waiting.push(base);
            }
        }
    }
    found
}

/// What a file names under `extends`: a text or a list of some.
fn extended_by(file: &Path) -> Vec<String> {
    let text = sources::read(file).unwrap_or_default();
    let text = without_comments(&String::from_utf8_lossy(&text));
    let settings: Value = serde_json::from_str(&text).unwrap_or_default();
    let names = match settings.get("extends") {
        Some(Value::Array(names)) => names.as_slice(),
        Some(name) => std::slice::from_ref(name),
        None => &[],
    };
    let names = names.iter().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

/// The file of this name, with or without its `.json`, unless the name is a package's.
fn base(dir: &Path, name: &str) -> Option<PathBuf> {
    let is_path = ["/", "./", "../"]
        .iter()
        .any(|start| name.starts_with(start));
    // Without the `.` in the middle.
    let path: PathBuf = dir.join(name).components().collect();
    let with_json = path.with_added_extension("json");
    let mut places = [path, with_json].into_iter().filter(|_| is_path);
    places.find(|path| path.is_file())
}

/// Plain JSON: without comments, and without a comma behind the last of a list.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.trim_start_matches('\u{feff}').chars().peekable();
    let mut is_quoted = false;
    while let Some(c) = rest.next() {
        match (c, rest.peek().copied()) {
            ('\\', _) if is_quoted => {
                plain.push(c);
                plain.extend(rest.next());
            }
            ('"', _) => {
                is_quoted = !is_quoted;
                plain.push(c);
            }
            ('/', Some('/')) if !is_quoted => while rest.next_if(|c| *c != '\n').is_some() {},
            ('/', Some('*')) if !is_quoted => {
                rest.next();
                let mut last = ' ';
                while let Some(c) = rest.next()
                    && (last, c) != ('*', '/')
                {
                    last = c;
                }
            }
            (']' | '}', _) if !is_quoted => {
                let end = plain.trim_end().trim_end_matches(',').len();
                plain.truncate(end);
                plain.push(c);
            }
            _ => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_last_commas_are_taken_out() {
        for (text, plain) in [
            ("\u{feff}{ // \"a\" }\n }", "{}"),
            ("{ /* , */ \"a\": [1, /**/ ], }", "{  \"a\": [1]}"),
            (
                r#"{"a//": "/*\"//", "b": ",]"}"#,
                r#"{"a//": "/*\"//", "b": ",]"}"#,
            ),
            ("/* open", ""),
        ] {
            assert_eq!(without_comments(text), plain, "{text}");
        }
    }

    #[test]
    fn all_that_settings_extend_are_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("own")).expect("writable");
        for (name, text) in [
            (
                "own/tsconfig.json",
                r#"{ "extends": ["../one", "../two.json", "@tsconfig/x"], }"#,
            ),
            (
                "one.json",
                "// A base.\n{ \"extends\": \"./own/tsconfig.json\" }",
            ),
            ("two.json", r#"{ "extends": "./three.json" }"#),
            ("three.json", r#"{ "extends": "./none.json" }"#),
        ] {
            fs::write(at(name), text).expect("writable");
        }
        let mut found: Vec<_> = bases(&at("own/tsconfig.json"))
            .iter()
            .map(|path| fs::canonicalize(path).expect("there"))
            .collect();
        found.sort();
        let names = ["one.json", "own/tsconfig.json", "three.json", "two.json"];
        let expected = names.map(|name| fs::canonicalize(at(name)).expect("there"));
        assert_eq!(found, expected);
        fs::write(at("own/tsconfig.json"), "no JSON").expect("writable");
        assert!(bases(&at("own/tsconfig.json")).is_empty());
    }
}
