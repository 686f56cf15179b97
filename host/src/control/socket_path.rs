//! Where control sockets are, and which server a command means when none is
//! named.
//!
//! Each server has a socket of its own, named by its process:
//! `$XDG_RUNTIME_DIR/hotsocket/PID.sock`, or `/tmp/hotsocket-UID/PID.sock`
//! where there is no runtime directory. In /tmp anybody can create a directory
//! of that name first. So servers and clients alike use one only if it belongs
//! to their user and nobody else can enter it; then nobody else can change what
//! is in it either.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

use super::connection;
use crate::socket_file;

/// Why there is no path for a control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketPathError {
    #[error(
        "no hotsocket server is running as this user; start one with `hotsocket`, or name its socket with --control PATH"
    )]
    NoServer,
    #[error("cannot create the control socket in {}: {reason}; choose another path with --control PATH, or --control none", .path.display())]
    Create {
        path: PathBuf,
        reason: String,
        /// As where everything is read-only: nothing can be created there, and nobody has
        /// done anything wrong.
        is_unwritable: bool,
    },
    #[error("no server is looked for in {}: {reason}; name its socket with --control PATH", .path.display())]
    Find { path: PathBuf, reason: String },
}

/// The directory of this user's sockets.
fn default_directory() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(runtime) if Path::new(&runtime).is_absolute() => Path::new(&runtime).join("hotsocket"),
        _ => PathBuf::from(format!("/tmp/hotsocket-{}", connection::uid())),
    }
}

/// The default path for this process' socket. Creates the directory.
///
/// # Errors
/// As [`private_directory`].
pub fn for_this_process() -> Result<PathBuf, SocketPathError> {
    Ok(private_directory()?.join(format!("{}.sock", std::process::id())))
}

/// The directory of this user's sockets, which is created if it is not there.
///
/// # Errors
/// When it can't be created, or others can enter it.
pub fn private_directory() -> Result<PathBuf, SocketPathError> {
    let path = default_directory();
    DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(&path)
        .map_err(|error| {
            let unwritable = socket_file::is_unwritable(&error);
            (crate::os_error::message(&error), unwritable)
        })
        .and_then(|()| open_private(&path).map_err(|reason| (reason, false)))
        .map_err(|(reason, is_unwritable)| SocketPathError::Create {
            path: path.clone(),
            reason,
            is_unwritable,
        })?;
    Ok(path)
}

/// The sockets of all servers that are running. One that doesn't take a connection in
/// this time runs all the same.
///
/// # Errors
/// When others can enter the directory.
pub fn all_running(timeout: Duration) -> Result<Vec<PathBuf>, SocketPathError> {
    let path = default_directory();
    live_sockets(&path, timeout).map_err(|reason| SocketPathError::Find { path, reason })
}

/// Open a directory that only this user can enter, and not through a symlink.
///
/// # Errors
/// Why it can't be used, for people.
fn open_private(path: &Path) -> Result<OwnedFd, String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(describe)?;
    let found = rustix::fs::fstat(&directory).map_err(describe)?;
    if found.st_uid != connection::uid() {
        return Err(format!("it belongs to another user ({})", found.st_uid));
    }
    let mode = Mode::from_raw_mode(found.st_mode);
    match mode.intersects(Mode::RWXG | Mode::RWXO) {
        true => Err(format!(
            "others can enter it; `chmod 700 {}` makes it private",
            path.display()
        )),
        false => Ok(directory),
    }
}

fn describe(error: Errno) -> String {
    match error {
        // What a symlink gives depends on the file system.
        Errno::NOTDIR | Errno::LOOP => "it is a symlink, or no directory".to_owned(),
        error => crate::os_error::message(&error.into()),
    }
}

/// The sockets that a server listens on. Removes those of servers that were
/// killed.
fn live_sockets(path: &Path, timeout: Duration) -> Result<Vec<PathBuf>, String> {
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(Vec::new());
    }
    let directory = open_private(path)?;
    let entries = Dir::read_from(&directory).map_err(describe)?;
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let shown = Path::new(OsStr::from_bytes(name.to_bytes()));
        let is_socket = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Socket);
        if !is_socket || shown.extension() != Some(OsStr::new("sock")) {
            continue;
        }
        let socket = path.join(shown);
        match socket_file::connect(&socket, timeout) {
            Ok(_) => found.push(socket),
            // The queue of a server that doesn't accept is full.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => found.push(socket),
            Err(error) => {
                // One that starts has a socket before it listens.
                if error.kind() == io::ErrorKind::ConnectionRefused && !is_running(shown) {
                    let _ = rustix::fs::unlinkat(&directory, name, AtFlags::empty());
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether the process runs that a socket is named by.
fn is_running(socket: &Path) -> bool {
    connection::pid_of(socket)
        .and_then(Pid::from_raw)
        .is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn private(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hotsocket");
        fs::create_dir(&path).expect("ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
        (dir, path)
    }

    #[test]
    fn a_directory_that_others_can_enter_is_not_used() {
        for mode in [0o770, 0o701, 0o755, 0o1777] {
            let (_dir, path) = private(mode);
            let error = live_sockets(&path, TIMEOUT).expect_err("not private");
            assert!(error.contains("chmod 700"), "{error}");
        }
        let (dir, path) = private(0o700);
        assert_eq!(live_sockets(&path, TIMEOUT), Ok(Vec::new()));
        let link = dir.path().join("link");
        symlink(&path, &link).expect("ours");
        let error = live_sockets(&link, TIMEOUT).expect_err("a symlink");
        assert!(error.contains("symlink"), "{error}");
        assert_eq!(
            live_sockets(&dir.path().join("none"), TIMEOUT),
            Ok(Vec::new())
        );
    }

    #[test]
    fn only_sockets_of_servers_that_are_gone_are_removed() {
        let (dir, path) = private(0o700);
        let at = |name: &str| path.join(name);
        let gone = |path: &Path| drop(UnixListener::bind(path).expect("a socket"));
        // No process has this number (PID_MAX_LIMIT in proc(5)).
        gone(&at("2000000000.sock"));
        // It has not begun to listen.
        gone(&at(&format!("{}.sock", std::process::id())));
        fs::write(at("file.sock"), "").expect("ours");
        let elsewhere = dir.path().join("elsewhere.sock");
        gone(&elsewhere);
        symlink(&elsewhere, at("1999999999.sock")).expect("ours");
        let live = UnixListener::bind(at("live.sock")).expect("a socket");
        assert_eq!(live_sockets(&path, TIMEOUT), Ok(vec![at("live.sock")]));
        assert!(!at("2000000000.sock").exists());
        assert!(at(&format!("{}.sock", std::process::id())).exists());
        assert!(at("file.sock").exists());
        assert!(elsewhere.exists() && at("1999999999.sock").exists());
        drop(live);
    }
}
