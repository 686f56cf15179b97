//! `hotsocket new`: the beginnings of a guest.
//!
//! Owns which files a new guest consists of; their contents are in
//! `guest/templates/`, compiled in. A Rust guest is a package with the SDK in
//! it, so that editors understand it and it can be built anywhere; guests in
//! other languages are one file, and the build brings the rest. Nothing that
//! exists is ever changed.

mod lock;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::build;

/// The conversation that comes with every new guest.
pub const TEST: &str = "conversation.test";
/// Where a Rust guest keeps the SDK and the contract.
const SDK: &str = "hotsocket";
/// Longest name: what file systems and registries take.
const MAX_NAME: usize = 64;

/// What a guest is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    #[value(alias = "rs")]
    Rust,
    #[value(alias = "javascript")]
    Js,
    #[value(alias = "py")]
    Python,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    #[error("{name:?} is no name for a guest: {why}")]
    Name { name: String, why: &'static str },
    #[error("{} exists already, and is left as it is; choose another name", .0.display())]
    Exists(PathBuf),
    #[error("cannot make {}: {}", .path.display(), crate::os_error::told(.error))]
    Make { path: PathBuf, error: io::Error },
}

/// What was made.
#[derive(Clone, Copy, Debug)]
pub struct Created {
    /// The file to begin with.
    pub guest: &'static str,
    /// What `build`, `dev` and `test` are given in the new directory.
    pub source: &'static str,
}

type Template = &'static [(&'static str, &'static str)];

macro_rules! template {
    ($dir:literal: $($file:literal),* $(,)?) => {
        &[
            (TEST, include_str!("../../../guest/templates/conversation.test")),
            $(($file, include_str!(concat!("../../../guest/templates/", $dir, "/", $file)))),*
        ]
    };
}

const RUST: Template = template!("rust": "Cargo.toml", "README.md", "gitignore", "src/lib.rs");
const JS: Template = template!("js": "README.md", "gitignore", "package.json", "server.js");
const PYTHON: Template = template!("python": "README.md", "gitignore", "handler.py");

/// Make a directory with a guest that builds, serves and has a test.
///
/// # Errors
/// When the name is none, or the directory cannot be made; then there is
/// nothing new on disk.
pub fn create(dir: &Path, language: Language) -> Result<Created, NewError> {
    let name = name_of(dir)?;
    let (template, created) = match language {
        Language::Rust => (RUST, ("src/lib.rs", ".")),
        Language::Js => (JS, ("server.js", ".")),
        Language::Python => (PYTHON, ("handler.py", "handler.py")),
    };
    let make = |path: &Path, error| NewError::Make {
        path: path.to_owned(),
        error,
    };
    fs::create_dir(dir).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => NewError::Exists(dir.to_owned()),
        _ => make(dir, error),
    })?;
    let mut files: Vec<_> = template
        .iter()
        .map(|(path, content)| {
            // Under its own name it would speak for the template, too.
            let path = path.replace("gitignore", ".gitignore");
            (path, content.replace("{name}", name))
        })
        .collect();
    if language == Language::Rust {
        for (path, content) in build::RUST_SDK {
            match *path {
                "Cargo.lock" => files.push(("Cargo.lock".to_owned(), lock::of(content, name))),
                path => files.push((format!("{SDK}/{path}"), (*content).to_owned())),
            }
        }
    }
    for (path, content) in files {
        let path = dir.join(path);
        let parent = path.parent().unwrap_or(dir);
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, content));
        if let Err(error) = written {
            // It was made a moment ago, and by us.
            let _ = fs::remove_dir_all(dir);
            return Err(make(&path, error));
        }
    }
    let (guest, source) = created;
    Ok(Created { guest, source })
}

/// The last part of the path, if a package can be called so.
fn name_of(dir: &Path) -> Result<&str, NewError> {
    let name = dir.file_name().and_then(|name| name.to_str());
    let wrong = |why| {
        Err(NewError::Name {
            name: dir.display().to_string(),
            why,
        })
    };
    let Some(name) = name else {
        return wrong("name a directory to be made");
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match name {
        _ if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(fits) => {
            wrong("it begins with a letter, and letters, digits, - and _ follow")
        }
        _ if name.len() > MAX_NAME => wrong("it is too long"),
        _ if lock::has(name) => wrong("a package that every guest uses is called so"),
        _ => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_packages() {
        for name in ["chat", "my-guest_2", "some/where/chat", "Chat"] {
            assert!(name_of(Path::new(name)).is_ok(), "{name}");
        }
        for name in [
            "",
            "..",
            "/",
            "2nd",
            "-x",
            "a b",
            "grüße",
            "a.b",
            "hotsocket-guest",
        ] {
            let error = name_of(Path::new(name)).expect_err(name).to_string();
            assert!(error.contains("is no name for a guest: "), "{error}");
        }
        assert!(name_of(Path::new(&"x".repeat(65))).is_err());
    }

    #[test]
    fn what_exists_is_left_alone() {
        let dir = std::env::temp_dir().join(format!("hotsocket-new-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("writable");
        let error = create(&dir, Language::Js).expect_err("it exists");
        assert!(matches!(error, NewError::Exists(_)), "{error}");
        assert_eq!(fs::read_dir(&dir).expect("it is there").count(), 0);
        let error = create(&dir.join("no/where"), Language::Js).expect_err("no parent");
        assert!(error.to_string().contains("No such file or directory"));
        for (name, language) in [
            ("a", Language::Rust),
            ("b", Language::Js),
            ("c", Language::Python),
        ] {
            let created = create(&dir.join(name), language).expect("made");
            for file in [
                created.guest,
                created.source,
                TEST,
                "README.md",
                ".gitignore",
            ] {
                assert!(dir.join(name).join(file).exists(), "{name}/{file}");
            }
            let readme = fs::read_to_string(dir.join(name).join("README.md")).expect("text");
            assert!(readme.starts_with(&format!("# {name}\n")), "{readme}");
        }
        fs::remove_dir_all(&dir).expect("removable");
    }
}
