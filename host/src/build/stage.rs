//! A temporary directory of one build, in the user's cache. It has a name that
//! nobody can guess, and only this user has access to it.

use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Error, single};

/// Names tried. The first is taken only if another process has drawn the same 64
/// random bits.
const MAX_ATTEMPTS: u32 = 8;
/// A directory older than this is of a build that was killed.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// The directory; removed when dropped.
pub(super) struct Stage(PathBuf);

impl Stage {
    /// An empty directory; `kind` goes into its name.
    pub(super) fn new(kind: &str) -> Result<Self, Error> {
        let all = single::cache_dir()?.join("stages");
        fs::create_dir_all(&all).map_err(|error| Error::write(&all, error))?;
        remove_stale(&all);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let random = RandomState::new().hash_one(attempt);
            let dir = all.join(format!("{kind}-{random:016x}"));
            // Fails if anything is there, a symlink as well.
            match DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => return Ok(Stage(dir)),
                Err(error)
                    if error.kind() == ErrorKind::AlreadyExists && attempt < MAX_ATTEMPTS => {}
                Err(error) => return Err(Error::write(&dir, error)),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// A directory in it for the temporary files of programs, as `TMPDIR`.
    pub(super) fn temporary(&self) -> Result<PathBuf, Error> {
        let dir = self.0.join("tmp");
        fs::create_dir_all(&dir).map_err(|error| Error::write(&dir, error))?;
        Ok(dir)
    }

    pub(super) fn put(&self, path: &str, content: &[u8]) -> Result<(), Error> {
        let path = self.0.join(path);
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, content))
            .map_err(|error| Error::write(&path, error))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // If that fails, a later build removes it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn remove_stale(all: &Path) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|found| found.modified());
        let age = modified.map(|time| SystemTime::now().duration_since(time));
        if matches!(age, Ok(Ok(age)) if age > STALE) {
            // It follows no symlinks.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
