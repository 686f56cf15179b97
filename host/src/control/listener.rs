//! A listening control socket: for its owner only, and removed in the end.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::socket_file::{self, SocketFile, SocketFileError};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// See the module's documentation.
pub struct ControlSocket {
    listener: UnixListener,
    file: SocketFile,
}

/// Why there is no control socket at a path.
#[derive(Debug, thiserror::Error)]
#[error("cannot create the control socket {}: {error}; choose another path with --control PATH, or --control none", .path.display())]
pub struct ControlSocketError {
    path: PathBuf,
    error: SocketFileError,
}

impl ControlSocketError {
    /// Whether nothing can be created there, as where everything is read-only.
    pub fn is_unwritable(&self) -> bool {
        matches!(&self.error, SocketFileError::Other(error) if socket_file::is_unwritable(error))
    }

    /// Without the path and what to do about it.
    pub fn reason(&self) -> String {
        self.error.to_string()
    }
}

impl ControlSocket {
    /// Listen on this path, for the owner only. Replaces a socket that no
    /// process listens on any more.
    ///
    /// # Errors
    /// When the path is in use or can't be created.
    pub fn bind(path: &Path) -> Result<Self, ControlSocketError> {
        let listen = || {
            let (socket, file) = socket_file::bind(path)?;
            socket.listen(BACKLOG)?;
            let listener = UnixListener::from_std(OwnedFd::from(socket).into())?;
            Ok(ControlSocket { listener, file })
        };
        listen().map_err(|error| ControlSocketError {
            path: path.to_owned(),
            error,
        })
    }

    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// # Errors
    /// As `accept`.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}
