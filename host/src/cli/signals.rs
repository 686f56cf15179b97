//! The signals that end a server, and one that must not.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGXFSZ.
const FILE_SIZE: i32 = rustix::process::Signal::XFSZ.as_raw();

/// See the module's documentation.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Sent when a file would grow beyond `ulimit -f`, which ends a process that
    /// has no handler; with one, the write fails with EFBIG (setrlimit(2)). It may
    /// be the file that the log goes to, or one that a guest writes.
    _file_size: Signal,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            _file_size: signal(SignalKind::from_raw(FILE_SIZE))?,
        })
    }

    /// Wait for one, and return the exit code that shells expect after it.
    pub(super) async fn any(&mut self) -> ExitCode {
        tokio::select! {
            _ = self.interrupt.recv() => ExitCode::from(130),
            _ = self.terminate.recv() => ExitCode::from(143),
        }
    }
}
