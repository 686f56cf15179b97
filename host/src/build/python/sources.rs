//! The files of a Python guest: the one that was named, and what it imports from
//! its directory or from the active virtual environment. The standard library is
//! part of the interpreter.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::sources::Hashed;

/// More than any guest needs: such imports are a mistake.
const MAX_FILES: usize = 10_000;

/// What a guest is made of.
pub(super) struct Sources {
    main: String,
    /// By path below the guest's directory: where it was found, and the content.
    files: BTreeMap<String, (PathBuf, Vec<u8>)>,
}

impl Sources {
    pub(super) fn of(file: &Path) -> io::Result<Self> {
        let file = std::path::absolute(file)?;
        let main = file.file_name().unwrap_or_default().to_string_lossy();
        let mut sources = Sources {
            main: main.into_owned(),
            files: BTreeMap::new(),
        };
        let mut roots = vec![file.parent().unwrap_or(Path::new("/")).to_owned()];
        roots.extend(env::var_os("VIRTUAL_ENV").and_then(|venv| packages(Path::new(&venv))));
        let mut waiting = vec![(sources.main.clone(), file)];
        while let Some((name, path)) = waiting.pop() {
            if sources.files.contains_key(&name) {
                continue;
            }
            if sources.files.len() == MAX_FILES {
                return Err(io::Error::other(format!(
                    "it imports more than {MAX_FILES} files"
                )));
            }
            let content = super::super::sources::read(&path)?;
            for module in imported(&String::from_utf8_lossy(&content)) {
                if let Some(found) = roots.iter().find_map(|root| find(root, module)) {
                    waiting.extend(found);
                }
            }
            sources.files.insert(name, (path, content));
        }
        Ok(sources)
    }

    /// The name of the file that holds the handler.
    pub(super) fn main(&self) -> &str {
        &self.main
    }

    /// Where they are.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.files.values().map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(name, (_, content))| (name.as_str(), content.as_slice()))
    }

    /// A message with the real paths of these files instead of those in the
    /// stage.
    pub(super) fn with_real_paths(&self, message: &str) -> String {
        self.files
            .iter()
            .fold(message.to_owned(), |message, (name, (path, _))| {
                message.replace(
                    &format!("\"/0/{name}\""),
                    &format!("\"{}\"", path.display()),
                )
            })
    }

    /// The hash of these files and of what they are built with.
    pub(super) fn hash(&self) -> String {
        let mut hashed = Hashed::default();
        hashed.add("tool", super::tool::NAME.as_bytes());
        for (name, content) in super::FILES {
            hashed.add(name, content.as_bytes());
        }
        for (name, content) in self.files() {
            hashed.add(name, content);
        }
        hashed.hex()
    }
}

/// Where a virtual environment has its packages.
fn packages(venv: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(venv.join("lib")).ok()?.flatten();
    versions
        .map(|version| version.path().join("site-packages"))
        .find(|dir| dir.is_dir())
}

/// The files of a module, if it lies in this directory: one, or all of a
/// package.
fn find(root: &Path, module: &str) -> Option<Vec<(String, PathBuf)>> {
    // The SDK's own name is never the guest's.
    if module == "hotsocket" {
        return None;
    }
    let name = format!("{module}.py");
    let file = root.join(&name);
    if file.is_file() {
        return Some(vec![(name, file)]);
    }
    let mut found = Vec::new();
    let dir = root.join(module);
    if dir.join("__init__.py").is_file() {
        add_package(&mut found, &dir, module);
    }
    (!found.is_empty()).then_some(found)
}

fn add_package(found: &mut Vec<(String, PathBuf)>, dir: &Path, prefix: &str) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        // Neither caches nor links that may lead around in circles.
        if path.is_symlink() || name.starts_with("__pycache__") || found.len() > MAX_FILES {
            continue;
        }
        let name = format!("{prefix}/{name}");
        if path.is_dir() {
            add_package(found, &path, &name);
        } else if name.ends_with(".py") && path.is_file() {
            found.push((name, path));
        }
    }
}

/// The first parts of the names of all modules that a file may import. What
/// only looks like an import does no harm: it names no file, or one too many.
fn imported(source: &str) -> Vec<&str> {
    let mut modules = Vec::new();
    for statement in source.split(['\n', ';', ':']) {
        let words = statement.trim_start();
        let names = if let Some(names) = words.strip_prefix("import ") {
            names.split(',').collect()
        } else if let Some(rest) = words.strip_prefix("from ") {
            vec![rest]
        } else {
            continue;
        };
        let ends = |c: char| c.is_whitespace() || matches!(c, '.' | '#' | '\\');
        let firsts = names
            .into_iter()
            .filter_map(|name| name.trim_start().split(ends).next());
        modules.extend(firsts.filter(|name| !name.is_empty() && !name.contains('/')));
    }
    modules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_found_in_every_form() {
        let source = "import a\nimport b.c as d, e # f\nif x: import g; from h.i import j\n\
                      try:\n    from k import (\n        l,\n    )\nfrom . import m\nimports = 1\n";
        assert_eq!(imported(source), ["a", "b", "e", "g", "h", "k"]);
    }

    #[test]
    fn only_what_is_imported_is_taken() {
        let dir = tempfile::tempdir().expect("a directory");
        let put = |name: &str, content: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("ours");
            fs::write(path, content).expect("ours");
        };
        put("guest-1.py", "import one, two.deep\nimport os\n");
        put("one.py", "import one, guest_2");
        put("other.py", "");
        put("two/__init__.py", "");
        put("two/deep/__init__.py", "from . import x");
        put("two/deep/data.so", "");
        put("two/__pycache__/x.py", "");
        let sources = Sources::of(&dir.path().join("guest-1.py")).expect("readable");
        let names: Vec<_> = sources.files().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "guest-1.py",
                "one.py",
                "two/__init__.py",
                "two/deep/__init__.py"
            ]
        );
        let real = sources.with_real_paths("File \"/0/one.py\", line 1");
        assert_eq!(
            real,
            format!("File \"{}\", line 1", dir.path().join("one.py").display())
        );
    }
}
