//! Compiled code on disk, so that a guest that was compiled before is not
//! compiled again.
//!
//! The files hold machine code that the server will run. So the directory and all
//! above it must be such that only their owner (or root) can write to them;
//! otherwise the cache is not used, and a warning is logged. And each file is a
//! [`CheckedFile`]: one that is not this user's, or damaged, is deleted with a
//! warning, and the guest compiled again.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::io::Errno;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::checked_file::{self, CheckedFile};
use crate::hash::Hash;

/// Entries kept; the least recently used are removed first.
const MAX_ENTRIES: usize = 1024;
/// Bytes kept. A small guest takes 0.3 MB, one with an interpreter some 50.
const MAX_KEPT: u64 = 1 << 30;
/// The permission of group and others to write.
const OTHERS_WRITE: u32 = 0o022;
/// Set on directories like /tmp, where only owners may rename.
const STICKY: u32 = 0o1000;

/// Changes with the format of files, so that those of another are not found.
const FORMAT: &str = "checked files 1";

/// Which directory holds compiled code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CodeCacheDir {
    /// `hotsocket/code` in the user's cache directory.
    #[default]
    Default,
    At(PathBuf),
    None,
}

/// The directory of compiled code. `None` with a warning in the log if it cannot be
/// used.
pub fn open(wanted: &CodeCacheDir) -> Option<PathBuf> {
    let dir = match wanted {
        CodeCacheDir::None => None,
        CodeCacheDir::At(dir) => Some(dir.clone()),
        CodeCacheDir::Default => default_dir(),
    };
    dir.and_then(|dir| match private(&dir) {
        Ok(dir) => Some(dir),
        Err(error) => {
            tracing::warn!(
                "compiled code is not cached: {}: {error}; use --code-cache to name another directory, or none",
                dir.display()
            );
            None
        }
    })
}

/// A directory of compiled code, or none.
pub struct CodeCache {
    dir: Option<PathBuf>,
    /// See [`engine_name`].
    engine: String,
}

/// Names an engine's configuration, as code runs only in one with the same. It
/// changes with the format of the files, too.
pub fn engine_name(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    FORMAT.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

impl CodeCache {
    /// The code that an engine can run, in a directory from [`open`].
    pub fn new(dir: Option<PathBuf>, engine: &Engine) -> Self {
        CodeCache {
            dir,
            engine: engine_name(engine),
        }
    }

    /// Where the functions of large components may be kept.
    pub fn functions(&self) -> Option<PathBuf> {
        let dir = self.dir.as_ref()?;
        Some(dir.join(format!("functions-{}", self.engine)))
    }

    /// The name of the file with the code of a component, here or anywhere.
    pub fn name(&self, hash: Hash) -> String {
        format!("{hash}-{}", self.engine)
    }

    /// The code of a component that was compiled before.
    pub fn load(&self, engine: &Engine, hash: Hash) -> Option<Component> {
        let path = self.dir.as_ref()?.join(self.name(hash));
        let checked = match CheckedFile::open(&path, MAX_KEPT) {
            Ok(checked) => checked?,
            Err(why) => {
                tracing::warn!("{}", checked_file::discard(&path, &why));
                return None;
            }
        };
        match load(engine, &checked) {
            Ok(component) => {
                checked.touch();
                Some(component)
            }
            // It may be all right: this process has no room for it now.
            Err(error) if is_shortage(&error) => None,
            // Of a machine with another processor, or for a larger pool.
            Err(error) => {
                tracing::debug!("{}: {error:#}", path.display());
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Store code that was compiled by this process. A failure only costs time,
    /// later.
    pub fn store(&self, component: &Component, hash: Hash) {
        self.store_with(hash, |path| {
            let code = component.serialize().map_err(io::Error::other)?;
            checked_file::write(path, &code)
        });
    }

    /// Store code that is in a file of the right name. A failure only costs time,
    /// later.
    pub fn copy(&self, code: &CheckedFile, hash: Hash) {
        self.store_with(hash, |path| code.copy_to(path));
    }

    fn store_with(&self, hash: Hash, write: impl FnOnce(&Path) -> io::Result<()>) {
        let Some(dir) = &self.dir else { return };
        let path = dir.join(self.name(hash));
        if let Err(error) = write(&path) {
            tracing::debug!("{}: {error}", path.display());
        }
        let _ = evict(dir);
    }
}

/// Whether the system has refused memory or a descriptor.
fn is_shortage(error: &wasmtime::Error) -> bool {
    let error = error.chain().find_map(|cause| {
        let error = cause.downcast_ref::<io::Error>();
        let errno = cause.downcast_ref::<Errno>();
        let error = error.and_then(io::Error::raw_os_error);
        error.or(errno.map(|errno| errno.raw_os_error()))
    });
    error.is_some_and(checked_file::is_shortage)
}

/// Map the code in a file that was checked.
///
/// # Errors
/// When this engine cannot run it.
pub fn load(engine: &Engine, code: &CheckedFile) -> wasmtime::Result<Component> {
    // wasmtime opens files by their path only. This one leads to the descriptor
    // that was checked (proc_pid_fd(5)).
    let path = format!("/proc/self/fd/{}", code.file().as_raw_fd());
    // SAFETY: the content was written by `serialize` or `precompile_component`, as
    // its checksum says, by this user or a process of this server, as its owner and
    // permissions say, or the seals of a file in memory. Nobody else can change it
    // from now on, and neither does this program: files are only ever replaced.
    // Checking the code instead is not possible, and without this a start takes as
    // long as a compilation: seconds for a large guest instead of milliseconds.
    match unsafe { Component::deserialize_file(engine, &path) } {
        Err(_) if !Path::new(&path).exists() => {
            // No /proc: then it costs memory.
            let content = code.content()?;
            // SAFETY: as above.
            unsafe { Component::deserialize(engine, content) }
        }
        loaded => loaded,
    }
}

fn default_dir() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("hotsocket").join("code"))
}

/// Create the directory if need be, and check that only its owner can write to it
/// or replace it.
fn private(dir: &Path) -> io::Result<PathBuf> {
    DirBuilder::new().mode(0o700).recursive(true).create(dir)?;
    let dir = dir.canonicalize()?;
    let us = rustix::process::geteuid().as_raw();
    for (depth, level) in dir.ancestors().enumerate() {
        let found = fs::metadata(level)?;
        let ours = found.uid() == us || (depth > 0 && found.uid() == 0);
        let open = found.mode() & OTHERS_WRITE != 0 && (depth == 0 || found.mode() & STICKY == 0);
        if !ours || open {
            return Err(io::Error::other(format!(
                "others can write to {}",
                level.display()
            )));
        }
    }
    Ok(dir)
}

/// Whether the cache has given a file this name: the code of a component, functions, or one
/// of these while it is written. What else is in the directory is somebody's own.
fn is_ours(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    let name = name.strip_suffix(".part").map_or(name, |part| {
        // Which one it is.
        part.rsplit_once('.').map_or(part, |(name, _)| name)
    });
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    name.rsplit_once('-').is_some_and(|(what, engine)| {
        is_hex(engine, 16) && (what == "functions" || is_hex(what, 64))
    })
}

fn evict(dir: &Path) -> io::Result<()> {
    let mut entries: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(dir)?
        .flatten()
        .filter(|entry| is_ours(&entry.file_name()))
        .filter_map(|entry| {
            let found = entry.metadata().ok().filter(Metadata::is_file)?;
            Some((found.modified().ok()?, found.len(), entry.path()))
        })
        .collect();
    entries.sort();
    let mut kept: u64 = 0;
    for (number, (_, size, path)) in entries.iter().rev().enumerate() {
        kept = kept.saturating_add(*size);
        // The most recently used stays, whatever its size.
        if number > 0 && (number >= MAX_ENTRIES || kept > MAX_KEPT) {
            // A server that has mapped the file keeps its pages.
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_that_others_can_write_is_not_used() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = dir.path().join("code");
        assert!(private(&cache).is_ok());
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).expect("ours");
        assert!(private(&cache).is_err());
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o1777)).expect("ours");
        assert!(
            private(&cache).is_err(),
            "sticky is not enough for the directory itself"
        );
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).expect("ours");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("ours");
        assert!(private(&cache).is_err(), "it could be replaced");
    }

    #[test]
    fn that_memory_is_short_says_nothing_about_a_file() {
        let mapping = wasmtime::Error::from(Errno::NOMEM).context("cannot map it");
        let opening = wasmtime::Error::from(io::Error::from(Errno::MFILE)).context("no");
        assert!(is_shortage(&mapping) && is_shortage(&opening));
        let damaged = wasmtime::Error::from(io::Error::from(Errno::IO));
        assert!(!is_shortage(&damaged) && !is_shortage(&wasmtime::Error::msg("other engine")));
    }

    /// Of the code of a component.
    fn name(component: usize) -> String {
        format!("{component:064x}-0123456789abcdef")
    }

    #[test]
    fn the_oldest_entries_are_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |entry| dir.path().join(name(entry));
        for entry in 0..MAX_ENTRIES + 3 {
            let file = File::create(path(entry)).expect("ours");
            let age = std::time::Duration::from_secs((MAX_ENTRIES + 3 - entry) as u64);
            file.set_modified(SystemTime::now() - age).expect("ours");
        }
        evict(dir.path()).expect("ours");
        assert!(!path(2).exists());
        assert!(path(3).exists());
        let used = File::open(path(3)).expect("ours");
        used.set_modified(SystemTime::now()).expect("ours");
        File::create(path(10_000)).expect("ours");
        evict(dir.path()).expect("ours");
        assert!(path(3).exists());
        assert!(!path(4).exists());
    }

    #[test]
    fn entries_are_removed_when_too_large_in_total() {
        let dir = tempfile::tempdir().expect("a directory");
        let part = format!("{}.fedcba9876543210.part", name(1));
        let functions = "functions-0123456789abcdef".to_owned();
        // What somebody else has put there stays, and counts for nothing.
        let foreign = ["photographs.tar", "1-2", "functions-old"];
        let old = [part, functions, name(2), name(3)];
        let all = foreign.map(str::to_owned).into_iter().chain(old.clone());
        for (age, entry) in (0..).zip(all.rev()) {
            let file = File::create(dir.path().join(&entry)).expect("ours");
            // Nothing is written, so no space is taken.
            let size = if entry == name(3) { 1 } else { MAX_KEPT - 1 };
            file.set_len(size).expect("ours");
            let age = std::time::Duration::from_secs(10 * age);
            file.set_modified(SystemTime::now() - age).expect("ours");
        }
        fs::create_dir(dir.path().join(name(4))).expect("ours");
        evict(dir.path()).expect("ours");
        let there = |entry: &String| dir.path().join(entry).exists();
        assert_eq!(old.each_ref().map(there), [false, false, true, true]);
        assert!(foreign.iter().all(|entry| dir.path().join(entry).exists()));
    }
}
