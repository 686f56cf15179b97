//! One connection to a control socket, and who is at its other end.
//!
//! What is said over it is up to [`super::client`] and [`super::server`].

use std::ffi::OsStr;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The process at the other end: the one that connected, or began to listen
/// (SO_PEERCRED in unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// `None` for a process that this one can't see (pid_namespaces(7)). Its number
    /// is 0 then, which rustix' type for it can't hold.
    pub pid: Option<i32>,
    pub uid: u32,
}

impl Peer {
    /// # Errors
    /// When the system doesn't say.
    pub fn of(stream: &tokio::net::UnixStream) -> io::Result<Self> {
        let found = stream.peer_cred()?;
        Ok(Peer {
            pid: found.pid().filter(|pid| *pid > 0),
            uid: found.uid(),
        })
    }

    /// The same for a client, which has no runtime: std can't ask yet
    /// (<https://github.com/rust-lang/rust/issues/42839>).
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_blocking(stream: &UnixStream) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let _entered = runtime.enter();
        // Both descriptors share the flag.
        let other = stream.try_clone()?;
        other.set_nonblocking(true)?;
        let found = tokio::net::UnixStream::from_std(other).and_then(|other| Self::of(&other));
        stream.set_nonblocking(false)?;
        found
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
