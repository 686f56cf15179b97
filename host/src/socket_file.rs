//! The file of a Unix socket: created for its owner only, in place of one that nobody
//! listens on any more, and removed in the end if it is still the one that was created.
//!
//! Who listens on it, and what is said, is up to [`crate::control`] and
//! [`crate::listener`].

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use socket2::{Domain, SockAddr, Socket, Type};

/// How long a process that listens already may take to show it. One whose queue
/// is full for so long listens, too.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// See the module's documentation: dropping it removes the file.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Of the file that was created.
    device_inode: (u64, u64),
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketFileError {
    #[error("a running server uses it")]
    InUse,
    #[error("a running server uses it, and hangs")]
    Hangs,
    #[error("there is a file of that name")]
    NoSocket,
    #[error("there is no such directory")]
    NoDirectory,
    #[error("{}", crate::os_error::message(.0))]
    Other(io::Error),
}

impl From<io::Error> for SocketFileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::NoSocket,
            io::ErrorKind::NotFound => Self::NoDirectory,
            _ => Self::Other(error),
        }
    }
}

/// A socket with this path, which does not listen yet: whoever connects is refused.
/// Replaces one that no process listens on.
///
/// # Errors
/// When the path is in use or can't be created.
pub fn bind(path: &Path) -> Result<(Socket, SocketFile), SocketFileError> {
    let old = fs::symlink_metadata(path).ok().filter(is_socket);
    if let Some(old) = old {
        match connect(path, PROBE_TIMEOUT) {
            Ok(_) => return Err(SocketFileError::InUse),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(SocketFileError::Hangs);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                remove(path, device_inode(&old))?;
            }
            Err(error) => return Err(SocketFileError::Other(error)),
        }
    }
    Ok(bind_private(path)?)
}

/// Bind with mode 0600 from the start, so that at no moment other users can
/// connect: the file gets the mode of the socket that is bound, less the umask
/// (unix_bind_bsd() in Linux' net/unix/af_unix.c).
fn bind_private(path: &Path) -> io::Result<(Socket, SocketFile)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(0o600))?;
    socket.bind(&SockAddr::unix(path)?)?;
    let created = fs::symlink_metadata(path)?;
    if !is_socket(&created) {
        return Err(io::Error::other("another process has replaced it"));
    }
    let file = SocketFile {
        path: path.to_owned(),
        device_inode: device_inode(&created),
    };
    // Where the directory has a default ACL, that takes the place of the umask
    // (acl(5)).
    if created.mode() & 0o777 != 0o600 {
        file.allow(0o600)?;
    }
    Ok((socket, file))
}

/// Whether an error means that nothing can be created in a place, as where everything is
/// read-only: not that somebody has put something else there.
pub fn is_unwritable(error: &io::Error) -> bool {
    use io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull};
    matches!(
        error.kind(),
        ReadOnlyFilesystem | PermissionDenied | NotFound | StorageFull
    )
}

impl SocketFile {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who may connect: those who may write to it.
    ///
    /// # Errors
    /// As open(2) and chmod(2); [`io::ErrorKind::AddrInUse`] when something else is in its
    /// place, whose mode is left alone.
    pub fn allow(&self, mode: u32) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(&self.path, flags, Mode::empty())?);
        if device_inode(&file.metadata()?) != self.device_inode {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        // What the descriptor is of, and not what has the path by now. fchmod(2) takes none
        // that was opened with O_PATH, but this link leads to its file (proc(5)).
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        fs::set_permissions(link, fs::Permissions::from_mode(mode))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = remove(&self.path, self.device_inode);
    }
}

/// Connect, and have each step from here on fail with EAGAIN after this time.
/// Connecting waits while the server's queue is full (unix(7)), as it is
/// when it has been stopped.
///
/// # Errors
/// As connecting.
pub fn connect(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(timeout))?;
    socket.set_read_timeout(Some(timeout))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(OwnedFd::from(socket).into())
}

/// Remove this very socket: another server may have put its own in its place.
fn remove(path: &Path, expected: (u64, u64)) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    match is_socket(&found) && device_inode(&found) == expected {
        true => fs::remove_file(path),
        false => Ok(()),
    }
}

fn is_socket(found: &Metadata) -> bool {
    found.file_type().is_socket()
}

fn device_inode(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(path: &Path) -> Result<(Socket, SocketFile), SocketFileError> {
        let bound = bind(path)?;
        bound.0.listen(1)?;
        Ok(bound)
    }

    #[test]
    fn a_server_removes_only_the_socket_that_it_made() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("it.sock");
        let socket = listening(&path).expect("ours");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(listening(&path).is_err(), "it is in use");
        drop(socket);
        assert!(!path.exists());

        let socket = listening(&path).expect("ours");
        fs::rename(&path, dir.path().join("elsewhere")).expect("ours");
        let other = listening(&path).expect("free");
        drop(socket);
        assert!(path.exists(), "it is another's");
        drop(other);
        assert!(!path.exists());

        let socket = listening(&path).expect("ours");
        fs::remove_file(&path).expect("ours");
        fs::write(&path, "a file").expect("ours");
        drop(socket);
        assert!(path.exists(), "it is no socket");
        let error = listening(&path).expect_err("a file is there");
        let error = error.to_string();
        assert!(error.contains("there is a file of that name"), "{error}");
    }

    #[test]
    fn only_the_socket_that_was_made_gets_a_mode() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, target) = (dir.path().join("it.sock"), dir.path().join("target"));
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let (_socket, file) = bind(&path).expect("ours");
        file.allow(0o660).expect("ours");
        assert_eq!(mode(&path), 0o660);
        // Another server has taken it for dead, as it did not listen yet.
        let (_other, theirs) = bind(&path).expect("ours");
        let error = file.allow(0o666).expect_err("theirs");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(mode(&path), 0o600);
        // Somebody else who may write the directory has put a link there.
        fs::write(&target, "").expect("ours");
        let before = mode(&target);
        fs::remove_file(&path).expect("ours");
        std::os::unix::fs::symlink(&target, &path).expect("ours");
        theirs.allow(0o666).expect_err("a link");
        assert_eq!(mode(&target), before);
    }

    #[test]
    fn a_socket_that_nobody_listens_on_is_replaced_and_a_link_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, link) = (dir.path().join("it.sock"), dir.path().join("link"));
        drop(std::os::unix::net::UnixListener::bind(&path).expect("ours"));
        std::os::unix::fs::symlink(&path, &link).expect("ours");
        assert!(listening(&link).is_err());
        assert!(path.exists());
        let _socket = listening(&path).expect("replaced");
    }
}
