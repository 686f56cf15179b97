//! Where control sockets are, and which server a command means when none is
//! named.
//!
//! Each server has a socket of its own, named by its process:
//! `$XDG_RUNTIME_DIR/hotsocket/PID.sock`, or `/tmp/hotsocket-UID/PID.sock`
//! where there is no runtime directory. Only the owner can write to the
//! directory.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Why there is no path for a control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketPathError {
    #[error(
        "no hotsocket server is running as this user; start one with `hotsocket`, or name its socket with --control PATH"
    )]
    NoServer,
    #[error("several hotsocket servers are running; choose one with --control PATH: {}", .0.join(", "))]
    SeveralServers(Vec<String>),
    #[error("cannot create the control socket in {}: {reason}; choose another path with --control PATH, or --control none", .path.display())]
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

/// The default path for this process' socket. Creates the directory.
///
/// # Errors
/// When the directory can't be created, or others can write to it.
pub fn for_this_process() -> Result<PathBuf, SocketPathError> {
    let path = directory();
    let failed = |reason: String| SocketPathError::Directory {
        path: path.clone(),
        reason,
    };
    fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(&path)
        .map_err(|error| failed(crate::os_error::message(&error)))?;
    // In /tmp another user could have created it first.
    let found =
        fs::symlink_metadata(&path).map_err(|error| failed(crate::os_error::message(&error)))?;
    if !found.is_dir() || found.uid() != uid() || found.mode() & 0o022 != 0 {
        return Err(failed("others can write to it".to_owned()));
    }
    Ok(path.join(format!("{}.sock", std::process::id())))
}

/// The socket of the only server that is running.
///
/// # Errors
/// When there is none, or more than one.
pub fn find_running() -> Result<PathBuf, SocketPathError> {
    let mut found = live_sockets();
    match found.len() {
        0 => Err(SocketPathError::NoServer),
        1 => found.pop().ok_or(SocketPathError::NoServer),
        _ => Err(SocketPathError::SeveralServers(
            found
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
        )),
    }
}

/// The sockets that a server listens on. Removes those of servers that were
/// killed.
fn live_sockets() -> Vec<PathBuf> {
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
