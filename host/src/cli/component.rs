//! The component that a command is given, read within its limit.

use std::path::{Path, PathBuf};

use hotsocket_sandbox::LoadError;

use crate::guest_file;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}: {}", .path.display(), crate::os_error::message(.error))]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("{} {error}", .path.display())]
    TooLarge { path: PathBuf, error: LoadError },
}

/// Read a component of at most so many bytes.
pub(super) fn read(path: &Path, max: usize) -> Result<Vec<u8>, Error> {
    let path = || path.to_owned();
    let bytes = guest_file::read(&path(), max).map_err(|error| Error::Read {
        path: path(),
        error,
    })?;
    match bytes.len() > max {
        true => Err(Error::TooLarge {
            path: path(),
            error: LoadError::TooLarge { max },
        }),
        false => Ok(bytes),
    }
}
