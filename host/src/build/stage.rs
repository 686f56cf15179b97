//! A temporary directory of one build, in the user's cache.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Error, single};

/// The directory; removed when dropped.
pub(super) struct Stage(PathBuf);

impl Stage {
    /// An empty directory; `kind` goes into its name.
    pub(super) fn new(kind: &str) -> Result<Self, Error> {
        // One process may build several guests at once.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{kind}-stage-{}-{number}", std::process::id());
        let dir = single::cache_dir()?.join(name);
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::write(&dir, error));
            }
            _ => {}
        }
        fs::create_dir_all(&dir).map_err(|error| Error::write(&dir, error))?;
        Ok(Stage(dir))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
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
        // If that fails, a later build with the same name removes it.
        let _ = fs::remove_dir_all(&self.0);
    }
}
