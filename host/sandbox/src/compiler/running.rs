//! A compiler's process while it runs: its pipes, its deadline and its end.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

/// How long a killed process may take to end. The kernel may have to write or
/// free much first; one that hangs in a file system is left alone.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two looks at a process that has closed its standard error.
const EXIT_POLL: Duration = Duration::from_millis(1);

/// Why there is no exit status.
pub(super) enum NoEnd {
    /// It was killed for the time it took.
    Late,
    Lost(io::Error),
}

/// A process that was started. It is killed if it is dropped before its end.
pub(super) struct Running {
    child: Child,
    deadline: Instant,
    /// The beginning of what it has printed to standard error.
    printed: Vec<u8>,
    /// So much of it, in bytes.
    max_printed: usize,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail, and do nothing, after its end.
        let _ = self.child.kill();
        let _ = self.child.try_wait();
    }
}

impl Running {
    pub fn new(child: Child, deadline: Instant, max_printed: usize) -> Self {
        Running {
            child,
            deadline,
            printed: Vec::new(),
            max_printed,
        }
    }

    pub fn printed(&self) -> &[u8] {
        &self.printed
    }

    /// Give it the component, and wait for its end or the deadline.
    pub fn run(&mut self, bytes: &[u8]) -> Result<ExitStatus, NoEnd> {
        let (stdin, stderr) = (self.child.stdin.take(), self.child.stderr.take());
        let talked = match (stdin, stderr) {
            (Some(stdin), Some(stderr)) => self.talk(stdin, stderr, bytes),
            _ => Err(io::Error::other("it has no pipes")),
        };
        if let Err(error) = talked {
            self.kill();
            return Err(NoEnd::Lost(error));
        }
        match self.wait_until(self.deadline) {
            Some(status) => Ok(status),
            None => {
                self.kill();
                Err(NoEnd::Late)
            }
        }
    }

    /// Write the component and read what the process prints, until it closes its
    /// standard error, as it does when it ends, or until the deadline.
    fn talk(
        &mut self,
        stdin: ChildStdin,
        mut stderr: ChildStderr,
        mut bytes: &[u8],
    ) -> io::Result<()> {
        rustix::fs::fcntl_setfl(&stdin, OFlags::NONBLOCK)?;
        rustix::fs::fcntl_setfl(&stderr, OFlags::NONBLOCK)?;
        let mut stdin = Some(stdin);
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            {
                let mut watched = vec![PollFd::new(&stderr, PollFlags::IN)];
                watched.extend(stdin.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::OUT)));
                let timeout = Timespec::try_from(left).ok();
                match poll(&mut watched, timeout.as_ref()) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if let Some(pipe) = &mut stdin {
                match pipe.write(bytes) {
                    Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                    Err(error) if is_transient(&error) => {}
                    // It has ended; the status says why.
                    Err(_) => bytes = &[],
                }
                if bytes.is_empty() {
                    stdin = None;
                }
            }
            let mut buffer = [0; 1024];
            match stderr.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    let room = self.max_printed.saturating_sub(self.printed.len());
                    let kept = buffer.get(..count.min(room)).unwrap_or_default();
                    self.printed.extend_from_slice(kept);
                }
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn wait_until(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(EXIT_POLL),
                _ => return None,
            }
        }
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        self.wait_until(Instant::now() + KILL_TIMEOUT);
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
