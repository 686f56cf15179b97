//! Compiled code on disk, so that a guest that was compiled before is not
//! compiled again.
//!
//! The files hold machine code that the server will run without checking it
//! again. So the directory and all above it must be such that only
//! their owner (or root) can write to them. Otherwise the cache is not used, and a
//! warning is logged.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash as _, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::hash::Hash;
use crate::write_whole::write_whole;

/// Entries kept; the least recently used are removed first.
const MAX_ENTRIES: usize = 1024;
/// Bytes kept. A small guest takes 0.3 MB, one with an interpreter some 50.
const MAX_KEPT: u64 = 1 << 30;
/// The permission of group and others to write.
const OTHERS_WRITE: u32 = 0o022;
/// Set on directories like /tmp, where only owners may rename.
const STICKY: u32 = 0o1000;

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
    /// Identifies the engine, as code runs only in one with the same configuration.
    engine: u64,
}

impl CodeCache {
    /// The code that an engine can run, in a directory from [`open`].
    pub fn new(dir: Option<PathBuf>, engine: &Engine) -> Self {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        CodeCache {
            dir,
            engine: hasher.finish(),
        }
    }

    /// Where the functions of large components may be kept.
    pub fn functions(&self) -> Option<PathBuf> {
        let dir = self.dir.as_ref()?;
        Some(dir.join(format!("functions-{:016x}", self.engine)))
    }

    fn path(&self, hash: Hash) -> Option<PathBuf> {
        let dir = self.dir.as_ref()?;
        Some(dir.join(format!("{hash}-{:016x}", self.engine)))
    }

    /// The code of a component that was compiled before.
    pub fn load(&self, engine: &Engine, hash: Hash) -> Option<Component> {
        let path = self.path(hash)?;
        if !path.exists() {
            return None;
        }
        // SAFETY: the file was written whole by `store`, from `serialize`, and
        // nobody but this user could have changed it since: `private` has
        // checked the directory. Without this a start takes the time of a
        // compilation, some 50 ms for a small guest and seconds for a large
        // one, instead of 1 ms.
        match unsafe { Component::deserialize_file(engine, &path) } {
            Ok(component) => {
                touch(&path);
                Some(component)
            }
            Err(error) => {
                tracing::debug!("{}: {error:#}", path.display());
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Store compiled code. A failure only costs time, later.
    pub fn store(&self, component: &Component, hash: Hash) {
        let Some(path) = self.path(hash) else { return };
        let stored = component
            .serialize()
            .map_err(io::Error::other)
            .and_then(|code| write_whole(&path, &code));
        if let Err(error) = stored {
            tracing::debug!("{}: {error}", path.display());
        }
        if let Some(dir) = &self.dir {
            let _ = evict(dir);
        }
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

/// Mark an entry as used just now.
pub(crate) fn touch(path: &Path) {
    let touched = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(error) = touched {
        tracing::debug!("{}: {error}", path.display());
    }
}

fn evict(dir: &Path) -> io::Result<()> {
    let mut entries: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(dir)?
        .flatten()
        .filter_map(|entry| {
            let found = entry.metadata().ok()?;
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
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn the_oldest_entries_are_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        for entry in 0..MAX_ENTRIES + 3 {
            let file = File::create(dir.path().join(entry.to_string())).expect("ours");
            let age = std::time::Duration::from_secs((MAX_ENTRIES + 3 - entry) as u64);
            file.set_modified(SystemTime::now() - age).expect("ours");
        }
        evict(dir.path()).expect("ours");
        assert!(!dir.path().join("2").exists());
        assert!(dir.path().join("3").exists());
        touch(&dir.path().join("3"));
        File::create(dir.path().join("new")).expect("ours");
        evict(dir.path()).expect("ours");
        assert!(dir.path().join("3").exists());
        assert!(!dir.path().join("4").exists());
    }

    #[test]
    fn entries_are_removed_when_too_large_in_total() {
        let dir = tempfile::tempdir().expect("a directory");
        for (entry, age) in [("oldest", 30), ("old", 20), ("small", 10)] {
            let file = File::create(dir.path().join(entry)).expect("ours");
            // Nothing is written, so no space is taken.
            let size = if entry == "small" { 1 } else { MAX_KEPT - 1 };
            file.set_len(size).expect("ours");
            let age = std::time::Duration::from_secs(age);
            file.set_modified(SystemTime::now() - age).expect("ours");
        }
        evict(dir.path()).expect("ours");
        let there = |entry| dir.path().join(entry).exists();
        assert!(!there("oldest") && there("old") && there("small"));
    }
}
