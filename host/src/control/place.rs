//! Where control sockets are, and which server is meant when nobody says.
//!
//! Each server has its own, named by its process: `$XDG_RUNTIME_DIR/hotsocket/
//! PID.sock`, or `/tmp/hotsocket-UID/PID.sock` where there is no runtime
//! directory. The directory is the owner's alone.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Why no server is found.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    #[error(
        "no hotsocket server of yours is running; start one with `hotsocket`, or name its socket with --control"
    )]
    None,
    #[error("several hotsocket servers are running; say which with --control: {}", .0.join(", "))]
    Several(Vec<String>),
    #[error("cannot use {} for the control socket: {reason}; name another with --control PATH, or --control none", .path.display())]
    Directory { path: PathBuf, reason: String },
}

fn directory() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(runtime) if Path::new(&runtime).is_absolute() => Path::new(&runtime).join("hotsocket"),
        _ => PathBuf::from(format!("/tmp/hotsocket-{}", uid())),
    }
}

pub(super) fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The default socket of this process, in a directory that is ours alone.
///
/// # Errors
/// When the directory can't be made, or is someone else's.
pub fn own() -> Result<PathBuf, PlaceError> {
    let path = directory();
    let failed = |reason: String| PlaceError::Directory {
        path: path.clone(),
        reason,
    };
    fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(&path)
        .map_err(|error| failed(crate::os_error::told(&error)))?;
    // In /tmp anybody could have made it first, for us to fall into.
    let found =
        fs::symlink_metadata(&path).map_err(|error| failed(crate::os_error::told(&error)))?;
    if !found.is_dir() || found.uid() != uid() || found.mode() & 0o022 != 0 {
        return Err(failed("others can write to it".to_owned()));
    }
    Ok(path.join(format!("{}.sock", std::process::id())))
}

/// The socket of the one server that is running.
///
/// # Errors
/// When there is none, or more than one.
pub fn find() -> Result<PathBuf, PlaceError> {
    let mut found = running();
    match found.len() {
        0 => Err(PlaceError::None),
        1 => found.pop().ok_or(PlaceError::None),
        _ => Err(PlaceError::Several(
            found
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
        )),
    }
}

/// Sockets that a server answers on. Those left behind by a server that was
/// killed are removed.
fn running() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory()) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "sock")
        })
        .filter(|path| match UnixStream::connect(path) {
            Ok(_) => true,
            Err(error) => {
                if error.kind() == io::ErrorKind::ConnectionRefused {
                    let _ = fs::remove_file(path);
                }
                false
            }
        })
        .collect();
    found.sort();
    found
}
