//! Which source a path stands for: one rule for `build`, `serve`, `dev`, `swap` and
//! `test`.
//!
//! A file is its own source. In a directory that is a cargo package, the main script
//! of a package.json, a file with a name that guests have, or the only source file.
//! Compilers read what is in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Error, extension, is_source_file, sources};

/// Names that a guest in a directory may have, the first first.
const ENTRY_FILES: [&str; 12] = [
    "server.js",
    "server.mjs",
    "server.cjs",
    "server.ts",
    "handler.js",
    "handler.ts",
    "handler.py",
    "server.py",
    "handler.rs",
    "handler.c",
    "server.rs",
    "server.c",
];

/// Directory entries that are looked at; one with more is no guest's.
const MAX_ENTRIES: usize = 10_000;

/// What is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// A cargo package's directory, or a file.
    pub path: PathBuf,
    /// How messages call it: the file as it was given, or the package's directory by its
    /// own name where that was given as `.`.
    pub name: PathBuf,
}

/// The source that a file or directory stands for.
///
/// # Errors
/// When there is none, or more than one.
pub fn find(path: &Path) -> Result<Source, Error> {
    let kind = fs::metadata(path).map_err(|error| Error::read(path, error))?;
    if kind.is_dir() {
        return in_directory(path);
    }
    if !is_source_file(path) {
        return Err(match extension(path) {
            "wasm" => Error::Component(path.to_owned()),
            _ => Error::NotSource {
                path: path.to_owned(),
            },
        });
    }
    if !kind.is_file() {
        // A FIFO would be waited for, and a device may have no end.
        let error = io::Error::other("it is neither a regular file nor a directory");
        return Err(Error::read(path, error));
    }
    Ok(Source {
        path: path.to_owned(),
        name: path.to_owned(),
    })
}

fn in_directory(dir: &Path) -> Result<Source, Error> {
    if dir.join("Cargo.toml").is_file() {
        return Ok(Source {
            path: dir.to_owned(),
            name: name_of(dir),
        });
    }
    let entries = ENTRY_FILES.iter().map(|name| dir.join(name));
    let index = || Some(dir.join("index.js")).filter(|_| dir.join("package.json").is_file());
    let known = main_of(dir)
        .into_iter()
        .chain(entries)
        .chain(index())
        .find(|path| path.is_file());
    let path = match known {
        Some(path) => path,
        None => only_source(dir)?,
    };
    // `server.js`, and not `./server.js`.
    let path = path.strip_prefix(".").map(PathBuf::from).unwrap_or(path);
    Ok(Source {
        name: path.clone(),
        path,
    })
}

/// The main script of a directory with a `package.json` that names one, as Node finds
/// it: <https://nodejs.org/api/modules.html#all-together>.
fn main_of(dir: &Path) -> Option<PathBuf> {
    let manifest = sources::read(&dir.join("package.json")).ok()?;
    let manifest: Value = serde_json::from_slice(&manifest).ok()?;
    let main = dir.join(manifest.get("main")?.as_str()?);
    let with_js = main.with_added_extension("js");
    let index = main.join("index.js");
    let mut places = [main, with_js, index].into_iter();
    places.find(|path| path.is_file())
}

fn only_source(dir: &Path) -> Result<PathBuf, Error> {
    let entries = fs::read_dir(dir).map_err(|error| Error::read(dir, error))?;
    let files = entries
        .flatten()
        .take(MAX_ENTRIES)
        .map(|entry| entry.path());
    let mut found: Vec<_> = files
        .filter(|path| is_source_file(path) && path.is_file())
        .collect();
    found.sort();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::NoSource(dir.to_owned())),
        [first, second, ..] => Err(Error::SeveralSources {
            dir: dir.to_owned(),
            first: first.file_name().unwrap_or_default().into(),
            second: second.file_name().unwrap_or_default().into(),
        }),
    }
}

/// A directory's own name where the path ends in `.` or `..`.
fn name_of(dir: &Path) -> PathBuf {
    let ends_in_name = dir.file_name().is_some() && !dir.as_os_str().is_empty();
    let full = fs::canonicalize(dir).ok().filter(|_| !ends_in_name);
    let name = full.as_deref().and_then(Path::file_name);
    name.map_or_else(|| dir.to_owned(), PathBuf::from)
}

/// Whether this path is a source that [`build`](super::build()) takes, and not a
/// component: a directory, or a file that is called like a source.
pub fn is_source(path: &Path) -> bool {
    is_source_file(path) || path.is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rule_for_what_is_in_a_directory() {
        let kept = tempfile::tempdir().expect("a directory");
        let dir = kept.path();
        let put = |name: &str, content: &str| {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("ours");
            fs::write(path, content).expect("ours");
        };
        let found = || find(dir).map(|source| source.path);
        let told = || found().expect_err("no source").to_string();
        assert!(told().contains("no guest source in "), "{}", told());
        put("notes.txt", "");
        put("lines.c", "");
        assert_eq!(found().expect("the only one"), dir.join("lines.c"));
        put("other.ts", "");
        assert!(told().contains("lines.c and other.ts"), "{}", told());
        // Known names come first, then what a manifest names.
        for name in [
            "server.c",
            "server.rs",
            "handler.c",
            "handler.py",
            "server.js",
        ] {
            put(name, "");
            assert_eq!(found().expect(name), dir.join(name));
        }
        put("package.json", r#"{ "main": "lib/main" }"#);
        assert_eq!(found().expect("main is missing"), dir.join("server.js"));
        put("lib/main.js", "");
        assert_eq!(found().expect("main"), dir.join("lib/main.js"));
        put("Cargo.toml", "");
        assert_eq!(found().expect("a package"), dir);
        let here = find(&dir.join("lib/..")).expect("a package").name;
        assert_eq!(
            Some(here.as_os_str()),
            fs::canonicalize(dir).expect("there").file_name()
        );
    }

    #[test]
    fn a_fifo_is_not_waited_for() {
        let kept = tempfile::tempdir().expect("a directory");
        for name in ["x.js", "package.json"] {
            let path = kept.path().join(name);
            rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).expect("a FIFO");
        }
        assert!(find(kept.path()).is_err());
        let told = find(&kept.path().join("x.js"))
            .expect_err("a FIFO")
            .to_string();
        assert!(
            told.contains("neither a regular file nor a directory"),
            "{told}"
        );
    }
}
