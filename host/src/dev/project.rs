//! What `hotsocket dev` builds, and which files it consists of.
//!
//! Reads the metadata of files only; compilers read their contents. What builds
//! write (components, `target`, caches) is not a source.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::watch::Stamp;

/// Names that a guest in a directory may have; the first that exists is built.
const ENTRY_FILES: [&str; 8] = [
    "server.js",
    "server.mjs",
    "server.cjs",
    "handler.js",
    "handler.py",
    "server.py",
    "handler.rs",
    "handler.c",
];
/// Directories without sources; hidden ones are skipped as well.
const SKIPPED_DIRS: [&str; 3] = ["target", "node_modules", "__pycache__"];
/// Extensions of files that builds and editors write.
const GENERATED: [&str; 6] = ["wasm", "pyc", "part", "tmp", "swp", "swx"];
/// Files that a build may write among its sources.
const LOCK_FILES: [&str; 2] = ["Cargo.lock", "package-lock.json"];
/// Files and directories that are watched at most; a guest has fewer.
const MAX_FILES: usize = 10_000;
const MAX_DIRS: usize = 1_000;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Project {
    /// Shown in messages.
    pub name: PathBuf,
    /// Passed to the build.
    pub source: PathBuf,
    /// Everything below this directory is watched. `None`: the source, and the
    /// files with the same extension in its directory.
    root: Option<PathBuf>,
}

/// Why there is nothing to build.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    #[error("cannot read {}: {}", .path.display(), crate::os_error::message(.error))]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error(
        "{} is already a component: `hotsocket serve` serves it and swaps when it changes",
        .0.display()
    )]
    Component(PathBuf),
    #[error(
        "no guest source in {}: no Cargo.toml, server.js, handler.py…; name the file, or create a project with `hotsocket new`",
        .0.display()
    )]
    NoSource(PathBuf),
}

/// The files of a project in their states at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<PathBuf, Stamp>);

impl Project {
    /// The project of a file, or of what there is to build in a directory.
    ///
    /// # Errors
    /// When there is nothing to build.
    pub fn find(path: &Path) -> Result<Self, ProjectError> {
        let kind = fs::metadata(path).map_err(|error| ProjectError::Read {
            path: path.to_owned(),
            error,
        })?;
        if kind.is_file() {
            return match path.extension() {
                Some(extension) if extension == "wasm" => {
                    Err(ProjectError::Component(path.to_owned()))
                }
                _ => Ok(Project {
                    name: path.to_owned(),
                    source: path.to_owned(),
                    root: None,
                }),
            };
        }
        let root = Some(path.to_owned());
        let mut guests = ENTRY_FILES.iter().map(|name| path.join(name));
        let entry = guests.find(|path| path.is_file());
        let has = |manifest| path.join(manifest).is_file();
        if has("Cargo.toml") || entry.is_none() && has("package.json") {
            // The directory's name instead of `.`.
            let full = fs::canonicalize(path).ok();
            let name = full.as_deref().and_then(Path::file_name);
            return Ok(Project {
                name: name.map_or_else(|| path.to_owned(), PathBuf::from),
                source: path.to_owned(),
                root,
            });
        }
        let source = entry.ok_or_else(|| ProjectError::NoSource(path.to_owned()))?;
        Ok(Project {
            name: source
                .file_name()
                .map_or_else(|| source.clone(), PathBuf::from),
            source,
            root,
        })
    }

    /// The files that it consists of, as they are now.
    pub fn files(&self) -> Files {
        let mut files = BTreeMap::new();
        for dir in self.directories() {
            for entry in entries(&dir) {
                let path = entry.path();
                if files.len() < MAX_FILES
                    && self.is_source(&path)
                    && let Some(stamp) = stamp(&path)
                {
                    files.insert(path, stamp);
                }
            }
        }
        Files(files)
    }

    /// The directories that hold them.
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        let Some(root) = &self.root else {
            let parent = self.source.parent().filter(|dir| *dir != Path::new(""));
            return BTreeSet::from([parent.unwrap_or(Path::new(".")).to_owned()]);
        };
        let mut found = BTreeSet::new();
        let mut next = vec![root.clone()];
        while let Some(dir) = next.pop() {
            if found.len() == MAX_DIRS {
                break;
            }
            // Symlinks are not followed: they may form a cycle.
            let below = entries(&dir).filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir()));
            let below = below.map(|entry| entry.path());
            next.extend(below.filter(|path| !is_skipped(path)));
            found.insert(dir);
        }
        found
    }

    /// Whether the source itself exists; an editor may just be replacing it.
    pub fn source_exists(&self) -> bool {
        self.source.exists()
    }

    /// Assume that lock files were written by the build that is over.
    pub fn accept_lock_files(&self, files: &mut Files) {
        for (path, stamp) in self.files().0 {
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| LOCK_FILES.contains(&name)) {
                files.0.insert(path, stamp);
            }
        }
    }

    fn is_source(&self, path: &Path) -> bool {
        if self.root.is_none() {
            return path.extension() == self.source.extension();
        }
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("~");
        let extension = path.extension().and_then(|extension| extension.to_str());
        // Temporary files of Emacs and Vim: `#name#`, `name~` and `4913`.
        let is_editors = name.starts_with(['.', '#']) || name.ends_with('~') || name == "4913";
        !is_editors && !extension.is_some_and(|extension| GENERATED.contains(&extension))
    }
}

impl Files {
    /// A file that is not in the same state in both.
    pub fn difference(&self, other: &Files) -> Option<PathBuf> {
        let differs =
            |(path, stamp): &(&PathBuf, &Stamp), other: &Files| other.0.get(*path) != Some(*stamp);
        let new = other.0.iter().find(|file| differs(file, self));
        let gone = || self.0.iter().find(|file| differs(file, other));
        new.or_else(gone).map(|(path, _)| path.clone())
    }
}

fn entries(dir: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(dir).into_iter().flatten().flatten()
}

fn is_skipped(dir: &Path) -> bool {
    let name = dir.file_name().and_then(|name| name.to_str());
    name.is_none_or(|name| name.starts_with('.') || SKIPPED_DIRS.contains(&name))
}

/// The state of a regular file.
fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some((&metadata).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_are_not_sources() {
        let kept = tempfile::tempdir().expect("a directory");
        let dir = kept.path().to_owned();
        let write = |name: &str| {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("writable");
            fs::write(path, name).expect("writable");
        };
        assert!(matches!(
            Project::find(&dir),
            Err(ProjectError::NoSource(_))
        ));
        ["Cargo.toml", "src/lib.rs", "src/deep/x.txt"]
            .into_iter()
            .for_each(write);
        let project = Project::find(&dir).expect("a package");
        let before = project.files();
        for generated in [
            "g.wasm",
            "target/x.rs",
            ".git/index",
            "src/lib.rs~",
            "src/.lib.rs.swp",
            "src/4913",
            "node_modules/x/index.js",
            "__pycache__/x.pyc",
            "x.part",
        ] {
            write(generated);
        }
        assert_eq!(before.difference(&project.files()), None);
        write("Cargo.lock");
        let mut accepted = before.clone();
        project.accept_lock_files(&mut accepted);
        assert_eq!(accepted.difference(&project.files()), None);
        write("src/new.rs");
        let new = dir.join("src/new.rs");
        assert_eq!(accepted.difference(&project.files()), Some(new.clone()));
        let with = project.files();
        fs::remove_file(&new).expect("there");
        assert_eq!(with.difference(&project.files()), Some(new));
    }

    #[test]
    fn a_file_is_watched_with_others_of_its_extension() {
        let kept = tempfile::tempdir().expect("a directory");
        let dir = kept.path().to_owned();
        for name in ["a.rs", "b.rs", "c.txt", "server.js"] {
            fs::write(dir.join(name), name).expect("writable");
        }
        let project = Project::find(&dir.join("a.rs")).expect("a file");
        assert_eq!(project.files().0.len(), 2);
        let project = Project::find(&dir).expect("a directory");
        assert_eq!(project.source, dir.join("server.js"));
        assert_eq!(project.files().0.len(), 4);
        assert!(matches!(
            Project::find(&dir.join("none")),
            Err(ProjectError::Read { .. })
        ));
    }
}
