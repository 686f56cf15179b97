//! `hotsocket new`: creates a guest project.
//!
//! Owns which files a new project consists of; their contents are in
//! `guest/templates/`, compiled in. A Rust guest is a package with the SDK in
//! it, so that editors understand it and it can be built anywhere; guests in
//! other languages are one file, and the build adds the rest. Existing files
//! are never changed.

mod lock;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::build;

/// The conversation that comes with every new guest.
pub const TEST: &str = "conversation.test";
/// The directory of the SDK and the contract in a Rust project.
const SDK: &str = "hotsocket";
/// Length of the longest name: crates.io accepts no longer ones.
const MAX_NAME: usize = 64;

/// The language of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    #[value(alias = "rs")]
    Rust,
    #[value(alias = "javascript")]
    Js,
    #[value(alias = "py")]
    Python,
    C,
}

/// Why no project was created.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    #[error("{name:?} is not a valid name for a guest: {why}")]
    Name { name: String, why: &'static str },
    #[error("{} already exists; choose another name", .0.display())]
    Exists(PathBuf),
    #[error("cannot create {}: {}", .path.display(), crate::os_error::message(.error))]
    Create { path: PathBuf, error: io::Error },
}

/// A new project.
#[derive(Clone, Copy, Debug)]
pub struct Created {
    /// The file with the guest's code.
    pub guest: &'static str,
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
const C: Template = template!("c": "README.md", "gitignore", "handler.c");

/// Create a directory with a guest that builds, serves and has a test.
///
/// # Errors
/// When the name is not valid, or the directory can't be created; then nothing
/// is left on disk.
pub fn create(dir: &Path, language: Language) -> Result<Created, NewError> {
    let name = name_of(dir)?;
    let (template, guest) = match language {
        Language::Rust => (RUST, "src/lib.rs"),
        Language::Js => (JS, "server.js"),
        Language::Python => (PYTHON, "handler.py"),
        Language::C => (C, "handler.c"),
    };
    let failed = |path: &Path, error| NewError::Create {
        path: path.to_owned(),
        error,
    };
    fs::create_dir(dir).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => NewError::Exists(dir.to_owned()),
        _ => failed(dir, error),
    })?;
    let mut files: Vec<_> = template
        .iter()
        .map(|(path, content)| {
            // As .gitignore it would apply to the template itself.
            let path = path.replace("gitignore", ".gitignore");
            (path, content.replace("{name}", name))
        })
        .collect();
    if language == Language::Rust {
        for (path, content) in build::RUST_SDK {
            match *path {
                "Cargo.lock" => files.push(("Cargo.lock".to_owned(), lock::renamed(content, name))),
                path => files.push((format!("{SDK}/{path}"), (*content).to_owned())),
            }
        }
    }
    for (path, content) in files {
        let path = dir.join(path);
        let parent = path.parent().unwrap_or(dir);
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, content));
        if let Err(error) = written {
            // Nothing is lost: it was created above.
            let _ = fs::remove_dir_all(dir);
            return Err(failed(&path, error));
        }
    }
    Ok(Created { guest })
}

/// The last part of the path, if it is a valid name of a package.
fn name_of(dir: &Path) -> Result<&str, NewError> {
    let name = dir.file_name().and_then(|name| name.to_str());
    let invalid = |why| {
        Err(NewError::Name {
            name: dir.display().to_string(),
            why,
        })
    };
    let Some(name) = name else {
        return invalid("name the directory to create");
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match name {
        _ if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(fits) => {
            invalid("use a letter first, then letters, digits, - and _")
        }
        _ if name.len() > MAX_NAME => invalid("use at most 64 characters"),
        _ if lock::has(name) => invalid("every guest depends on a package of this name"),
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
            assert!(
                error.contains("is not a valid name for a guest: "),
                "{error}"
            );
        }
        assert!(name_of(Path::new(&"x".repeat(65))).is_err());
    }

    #[test]
    fn what_exists_is_left_alone() {
        let kept = tempfile::tempdir().expect("a directory");
        let dir = kept.path().join("guests");
        fs::create_dir(&dir).expect("writable");
        let error = create(&dir, Language::Js).expect_err("it exists");
        assert!(matches!(error, NewError::Exists(_)), "{error}");
        assert_eq!(fs::read_dir(&dir).expect("it is there").count(), 0);
        let error = create(&dir.join("no/where"), Language::Js).expect_err("no parent");
        assert!(error.to_string().contains("No such file or directory"));
        for (name, language) in [
            ("a", Language::Rust),
            ("b", Language::Js),
            ("c", Language::Python),
            ("d", Language::C),
        ] {
            let created = create(&dir.join(name), language).expect("made");
            for file in [created.guest, TEST, "README.md", ".gitignore"] {
                assert!(dir.join(name).join(file).exists(), "{name}/{file}");
            }
            let readme = fs::read_to_string(dir.join(name).join("README.md")).expect("text");
            assert!(readme.starts_with(&format!("# {name}\n")), "{readme}");
        }
    }
}
