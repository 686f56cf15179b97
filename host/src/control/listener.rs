//! A listening control socket: for its owner only, and removed in the end.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use tokio::net::{UnixListener, UnixStream};

use crate::socket_file::{self, SocketFile};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// See the module's documentation.
pub struct ControlSocket {
    listener: UnixListener,
    file: SocketFile,
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
        let (socket, file) = socket_file::bind(path).map_err(|error| failed(error.to_string()))?;
        let listener = socket
            .listen(BACKLOG)
            .and_then(|()| UnixListener::from_std(OwnedFd::from(socket).into()))
            .map_err(|error| failed(crate::os_error::message(&error)))?;
        Ok(ControlSocket { listener, file })
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
