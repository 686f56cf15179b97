//! The signals that end a server, and those that must not.
//!
//! Listen, then wait for [`Signals::next`], or for [`Signals::stop`] where nothing but the
//! end is of interest. What a signal leads to is up to whoever waits.

use std::future::pending;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGXFSZ.
const FILE_SIZE: i32 = rustix::process::Signal::XFSZ.as_raw();

/// See the module's documentation.
pub(super) struct Signals {
    stops: Stops,
    /// Sent when a file would grow beyond `ulimit -f`, which ends a process that
    /// has no handler; with one, the write fails with EFBIG (setrlimit(2)). It may
    /// be the file that the log goes to, or one that a guest writes.
    _file_size: Signal,
    /// Read the configuration again; see [`Self::survive`].
    hangup: Option<Signal>,
    /// See [`Self::survive`].
    ignored: Vec<Signal>,
}

/// Those that end a server.
struct Stops {
    interrupt: Signal,
    terminate: Signal,
    /// When the last one came that [`Self::next`] has returned.
    last: Option<Instant>,
}

/// What a server is asked for by a signal.
pub(super) enum Asked {
    /// To stop, or to stop sooner.
    Stop,
    /// To read its configuration again.
    Reload,
}

/// A signal that comes so soon after another says the same: npm and timeout(1) send two,
/// one to the process and one to its group.
const SAME: Duration = Duration::from_millis(100);

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Signals {
            stops: Stops {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                last: None,
            },
            _file_size: signal(SignalKind::from_raw(FILE_SIZE))?,
            hangup: None,
            ignored: Vec::new(),
        })
    }

    /// From now on SIGHUP, SIGUSR1 and SIGUSR2, which end a process that has no handler,
    /// end it no more. SIGHUP is for [`Self::next`]; the others do nothing: to other servers
    /// they mean something, so they are sent to this one too.
    pub(super) fn survive(&mut self) {
        self.hangup = signal(SignalKind::hangup()).ok();
        for kind in [SignalKind::user_defined1(), SignalKind::user_defined2()] {
            // The handler stays for as long as the process lives.
            self.ignored.extend(signal(kind));
        }
    }

    /// Wait for a signal that asks for something. Safe to cancel.
    pub(super) async fn next(&mut self) -> Asked {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.stops.next() => Asked::Stop,
            () = hangup => Asked::Reload,
        }
    }

    /// Whether one has come that ends the server.
    pub(super) fn has_stop_come(&self) -> bool {
        self.stops.last.is_some()
    }

    /// Wait for one that ends the server, and return the exit code that shells expect after
    /// it. Safe to cancel.
    pub(super) async fn stop(&mut self) -> ExitCode {
        self.stops.next().await
    }
}

impl Stops {
    async fn next(&mut self) -> ExitCode {
        loop {
            let code = tokio::select! {
                _ = self.interrupt.recv() => 130,
                _ = self.terminate.recv() => 143,
            };
            let now = Instant::now();
            let is_same = |last| now.saturating_duration_since(last) < SAME;
            if !self.last.is_some_and(is_same) {
                self.last = Some(now);
                return ExitCode::from(code);
            }
        }
    }
}
