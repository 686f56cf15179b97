//! The file of a listening control socket: created for the owner only, and
//! removed in the end.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

use super::connection;

/// How long a process that listens already may take to show it. One whose queue
/// is full for so long listens, too.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A listening control socket. Dropping it removes the file, if it is still the
/// one that was created.
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Of the file that was created.
    device_inode: (u64, u64),
}

impl ControlSocket {
    /// Listen on this path, for the owner only. Replaces a socket that no
    /// process listens on any more.
    ///
    /// # Errors
    /// When the path is in use or can't be created.
    pub fn bind(path: &Path) -> Result<Self, String> {
        let failed = |reason: String| {
            format!(
                "cannot create the control socket {}: {reason}; choose another path with --control PATH, or --control none",
                path.display()
            )
        };
        let old = fs::symlink_metadata(path).ok().filter(is_socket);
        if let Some(old) = old {
            match connection::connect(path, PROBE_TIMEOUT) {
                Ok(_) => return Err(failed("a running server uses it".to_owned())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(failed("a running server uses it, and hangs".to_owned()));
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    remove(path, device_inode(&old))
                        .map_err(|error| failed(crate::os_error::message(&error)))?;
                }
                Err(error) => return Err(failed(crate::os_error::message(&error))),
            }
        }
        bind_private(path).map_err(|error| {
            failed(match error.kind() {
                io::ErrorKind::AddrInUse => "there is a file of that name".to_owned(),
                io::ErrorKind::NotFound => "there is no such directory".to_owned(),
                _ => crate::os_error::message(&error),
            })
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// # Errors
    /// As `accept`.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = remove(&self.path, self.device_inode);
    }
}

/// Bind with mode 0600 from the start, so that at no moment other users can
/// connect.
fn bind_private(path: &Path) -> io::Result<ControlSocket> {
    // The umask is process-wide, but no other thread creates files yet: the
    // server binds before it starts to serve.
    let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(mask);
    let listener = listener?;
    let created = fs::symlink_metadata(path)?;
    if !is_socket(&created) {
        return Err(io::Error::other("another process has replaced it"));
    }
    // Where the directory has a default ACL, that takes the place of the umask
    // (acl(5)).
    if created.mode() & 0o177 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(ControlSocket {
        listener,
        path: path.to_owned(),
        device_inode: device_inode(&created),
    })
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

    #[tokio::test]
    async fn a_server_removes_only_the_socket_that_it_made() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("it.sock");
        let socket = ControlSocket::bind(&path).expect("ours");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(ControlSocket::bind(&path).is_err(), "it is in use");
        drop(socket);
        assert!(!path.exists());

        let socket = ControlSocket::bind(&path).expect("ours");
        fs::rename(&path, dir.path().join("elsewhere")).expect("ours");
        let other = ControlSocket::bind(&path).expect("free");
        drop(socket);
        assert!(path.exists(), "it is another's");
        drop(other);
        assert!(!path.exists());

        let socket = ControlSocket::bind(&path).expect("ours");
        fs::remove_file(&path).expect("ours");
        fs::write(&path, "a file").expect("ours");
        drop(socket);
        assert!(path.exists(), "it is no socket");
        let error = ControlSocket::bind(&path).err().expect("a file is there");
        assert!(error.contains("there is a file of that name"), "{error}");
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_on_is_replaced_and_a_link_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, link) = (dir.path().join("it.sock"), dir.path().join("link"));
        drop(std::os::unix::net::UnixListener::bind(&path).expect("ours"));
        std::os::unix::fs::symlink(&path, &link).expect("ours");
        assert!(ControlSocket::bind(&link).is_err());
        assert!(path.exists());
        let _socket = ControlSocket::bind(&path).expect("replaced");
    }
}
