//! What `hotsocket dev` builds, and which files it consists of.
//!
//! After a build these are the files that it has read, wherever they are. Before the
//! first one, and after one that has failed, nobody knows them: then all that may be a
//! source counts. What builds write (components, `target`, caches) is none.
//!
//! Reads the metadata of files only; compilers read their contents.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::build;
use crate::watch::{Stamp, directories_of};

/// Directories without sources; hidden ones are skipped as well.
const SKIPPED_DIRS: [&str; 3] = ["target", "node_modules", "__pycache__"];
/// What is in a directory with this file was generated (<https://bford.info/cachedir/>): cargo
/// puts it into its target directory, whatever that is called.
const CACHE_TAG: &str = "CACHEDIR.TAG";
/// Extensions of files that builds and editors write.
const GENERATED: [&str; 6] = ["wasm", "pyc", "part", "tmp", "swp", "swx"];
/// Files that a build may write among its sources.
const LOCK_FILES: [&str; 2] = ["Cargo.lock", "package-lock.json"];
/// Files and directories that are watched at most; a guest has fewer.
const MAX_FILES: usize = 10_000;
const MAX_DIRS: usize = 1_000;

/// What is built and watched. [`find`](Self::find) it; before each build take
/// [`files`](Self::all_files), after it say [`built`](Self::built) or
/// [`failed`](Self::failed), which give the files to compare with.
#[derive(Clone, Debug)]
pub struct Project {
    /// Shown in messages.
    pub name: PathBuf,
    /// Passed to the build, which finds the source in it.
    pub source: PathBuf,
    /// Where sources are looked for while it is not known which files a build reads: all
    /// that is in this directory, or, with `only`, its files with this extension.
    root: PathBuf,
    only: Option<OsString>,
    /// The files that the last build has read.
    inputs: BTreeSet<PathBuf>,
    /// Whether there may be others: no build has succeeded, or the last one has failed.
    looks_around: bool,
}

/// The files of a project in their states at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<PathBuf, Stamp>);

impl Project {
    /// The project of a file, or of what there is to build in a directory.
    ///
    /// # Errors
    /// When there is nothing to build.
    pub fn find(path: &Path) -> Result<Self, build::Error> {
        let build::Source { path: source, name } = build::find(path)?;
        let full = absolute(&source);
        let (root, only) = match path.is_dir() {
            true => (absolute(path), None),
            false => {
                let parent = full.parent().unwrap_or(Path::new("/")).to_owned();
                (parent, full.extension().map(OsString::from))
            }
        };
        Ok(Project {
            name,
            source: path.to_owned(),
            root,
            only,
            inputs: source.is_file().then_some(full).into_iter().collect(),
            looks_around: true,
        })
    }

    /// The files that are watched, as they are now.
    pub fn files(&self) -> Files {
        match self.looks_around {
            true => self.all_files(),
            false => Files(stamps(&self.inputs).collect()),
        }
    }

    /// The files that the next build may read, as far as is known, as they are now.
    pub fn all_files(&self) -> Files {
        let mut files: BTreeMap<_, _> = stamps(&self.inputs).collect();
        for dir in self.directories_around() {
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

    /// A build that began at this time, with the files in these states, has read these
    /// files. What is given is what it has read, without what was saved meanwhile.
    pub fn built(&mut self, inputs: Vec<PathBuf>, before: &Files, began: SystemTime) -> Files {
        let source = absolute(&self.source);
        self.inputs = inputs.into_iter().take(MAX_FILES).collect();
        if source.is_file() {
            // Where it is a symlink, the build has named what it leads to.
            self.inputs.insert(source);
        }
        self.looks_around = false;
        let mut files = self.files();
        files.0.retain(|path, stamp| match before.0.get(path) {
            Some(known) => {
                *stamp = *known;
                true
            }
            None => !is_changed_since(path, began),
        });
        files
    }

    /// A build has failed, so that any file may be the one that mends it.
    pub fn failed(&mut self, before: Files) -> Files {
        self.looks_around = true;
        before
    }

    /// The directories to watch.
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        let mut found: BTreeSet<_> = self
            .inputs
            .iter()
            .flat_map(|path| directories_of(path))
            .collect();
        if self.looks_around {
            found.extend(self.directories_around());
        }
        found
    }

    fn directories_around(&self) -> BTreeSet<PathBuf> {
        if self.only.is_some() {
            return BTreeSet::from([self.root.clone()]);
        }
        let mut found = BTreeSet::new();
        let mut next = vec![self.root.clone()];
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
        if self.only.is_some() {
            return path.extension() == self.only.as_deref();
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
        || dir.join(CACHE_TAG).exists()
}

/// With symlinks followed, as current directories are given, where there is such a path.
fn absolute(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    match path.file_name() {
        // A symlink itself is watched as well as what it leads to.
        Some(name) => fs::canonicalize(parent.unwrap_or(Path::new(".")))
            .map_or_else(|_| path.to_owned(), |parent| parent.join(name)),
        None => fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
    }
}

/// Time stamps of files lag behind the clock by up to a tick of the kernel, 10 ms.
pub(super) fn is_changed_since(path: &Path, time: SystemTime) -> bool {
    let modified = fs::metadata(path).and_then(|file| file.modified());
    modified.is_ok_and(|modified| modified + Duration::from_millis(10) >= time)
}

fn stamps(paths: &BTreeSet<PathBuf>) -> impl Iterator<Item = (PathBuf, Stamp)> {
    let stamped = paths.iter().map(|path| (path, stamp(path)));
    stamped.filter_map(|(path, stamp)| Some((path.clone(), stamp?)))
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
        let dir = fs::canonicalize(kept.path()).expect("there");
        let write = |name: &str| {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("writable");
            fs::write(path, name).expect("writable");
        };
        assert!(matches!(
            Project::find(&dir),
            Err(build::Error::NoSource(_))
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
            "out/CACHEDIR.TAG",
            "out/wasm32-wasip2/release/g.d",
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
    fn after_a_build_the_files_that_it_has_read_are_watched_and_no_others() {
        let kept = tempfile::tempdir().expect("a directory");
        let root = fs::canonicalize(kept.path()).expect("there");
        let dir = root.join("guest");
        fs::create_dir_all(root.join("shared")).expect("writable");
        fs::create_dir_all(&dir).expect("writable");
        for name in ["guest/a.js", "guest/b.js", "guest/c.txt", "shared/x.js"] {
            fs::write(root.join(name), name).expect("writable");
        }
        let mut project = Project::find(&dir.join("a.js")).expect("a file");
        assert_eq!(project.files().0.len(), 2);
        let began = SystemTime::now() + Duration::from_secs(60);
        let before = project.all_files();
        let shared = root.join("shared/x.js");
        let inputs = vec![dir.join("a.js"), shared.clone()];
        let files = project.built(inputs.clone(), &before, began);
        assert_eq!(files.difference(&project.files()), None);
        let directories = BTreeSet::from([dir.clone(), root.join("shared")]);
        assert_eq!(project.directories(), directories);
        fs::write(dir.join("b.js"), "unrelated").expect("writable");
        fs::write(dir.join("a.test.js"), "new").expect("writable");
        assert_eq!(files.difference(&project.files()), None);
        fs::write(&shared, "longer than before").expect("writable");
        assert_eq!(files.difference(&project.files()), Some(shared.clone()));

        // Saved while it was built, and not known before: build again.
        let files = project.built(inputs.clone(), &before, SystemTime::UNIX_EPOCH);
        assert_eq!(files.difference(&project.files()), Some(shared));
        // What mends a failure may be any file.
        let before = project.all_files();
        let files = project.failed(before);
        fs::write(dir.join("new.js"), "new").expect("writable");
        assert_eq!(files.difference(&project.files()), Some(dir.join("new.js")));
    }

    #[test]
    fn a_directory_is_a_project() {
        let kept = tempfile::tempdir().expect("a directory");
        fs::write(kept.path().join("server.js"), "").expect("writable");
        let project = Project::find(kept.path()).expect("a directory");
        assert_eq!(project.source, kept.path());
        assert_eq!(project.name, kept.path().join("server.js"));
        assert!(matches!(
            Project::find(&kept.path().join("none")),
            Err(build::Error::Read { .. })
        ));
    }
}
