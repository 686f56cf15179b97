//! One connection to a control socket, and who is at its other end.
//!
//! What is said over it is up to [`super::client`] and [`super::server`].

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use socket2::{Domain, SockAddr, Socket, Type};

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

/// The process at the other end: the one that connected, or began to listen
/// (SO_PEERCRED in unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub pid: i32,
    pub uid: u32,
}

impl Peer {
    /// # Errors
    /// When the system doesn't say.
    pub fn of(stream: impl AsFd) -> io::Result<Self> {
        let found = socket_peercred(stream)?;
        Ok(Peer {
            pid: found.pid.as_raw_pid(),
            uid: found.uid.as_raw(),
        })
    }

    /// Whether it may control this process, and be sent a component: it is of the
    /// same user, or root's.
    pub fn is_trusted(self) -> bool {
        self.uid == uid() || self.uid == 0
    }
}

pub(super) fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The process that a default socket is named by.
pub fn pid_of(socket: &Path) -> Option<i32> {
    let stem = socket.file_stem().and_then(OsStr::to_str)?;
    stem.parse().ok().filter(|pid| *pid > 0)
}

/// Whether a process has been stopped by a signal, as far as it can be seen
/// (`/proc/PID/stat` in proc(5)).
pub fn is_stopped(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        // The name before the state may have parentheses of its own.
        .and_then(|stat| Some(stat.rsplit_once(") ")?.1.starts_with(['T', 't'])))
        .unwrap_or(false)
}
