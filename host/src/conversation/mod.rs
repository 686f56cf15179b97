//! `hotsocket test`: runs scripted conversations with a guest, without a server
//! and without a network.
//!
//! The guest runs in the production sandbox, its connections are production
//! sessions, and a swap goes through the production registry. Only
//! the socket is replaced, by a [`wire`] in memory, and the clock: it stands
//! still while any task has work to do, and jumps to the next timer when none
//! has. So waiting takes no real time, also for what never arrives.
//!
//! - [`script`]: the format, which `docs/testing.md` describes
//! - [`literal`]: bytes in a script's notation
//! - [`wire`]: a connection in memory
//! - [`environment`]: the sandbox that all scripts of a run share
//! - [`runner`]: runs the steps of a script, one after the other
//! - [`peer`]: what a step does with, or expects of, one connection
//! - [`difference`]: how received bytes differ from expected ones

mod difference;
mod environment;
mod facts;
pub(crate) mod literal;
mod peer;
mod runner;
pub(crate) mod script;
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub use environment::{Environment, EnvironmentError, Guest, Settings};
pub use script::{Action, ParseError, Step};

/// Scripts are written by hand: nobody writes more.
const MAX_SCRIPT: usize = 4 << 20;

/// A valid script and its file.
#[derive(Clone, Debug)]
pub struct Script {
    pub path: PathBuf,
    pub steps: Vec<Step>,
}

/// Why a script cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("cannot read {}: {}", .path.display(), crate::os_error::message(.error))]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("cannot read {}: {what}", .path.display())]
    NotText { path: PathBuf, what: &'static str },
    #[error("{}:{}: {}", .path.display(), .error.line, .error.message)]
    Invalid { path: PathBuf, error: ParseError },
}

impl Script {
    /// Read a script from its file.
    ///
    /// # Errors
    /// When it cannot be read, or a line of it is wrong.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let owned = || path.to_owned();
        let not_text = |what| ScriptError::NotText {
            path: owned(),
            what,
        };
        let read = |error| ScriptError::Read {
            path: owned(),
            error,
        };
        let bytes = crate::guest_file::read(path, MAX_SCRIPT).map_err(read)?;
        if bytes.len() > MAX_SCRIPT {
            return Err(not_text("larger than 4 MiB"));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| not_text("not UTF-8; write other bytes as \\xNN"))?;
        let steps = script::parse(&text).map_err(|error| ScriptError::Invalid {
            path: owned(),
            error,
        })?;
        Ok(Script {
            path: owned(),
            steps,
        })
    }

    /// The files that it swaps to.
    pub fn guests(&self) -> impl Iterator<Item = PathBuf> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Swap(Some(name)) => Some(self.relative(name)),
            _ => None,
        })
    }

    /// The path that a script means by this name: relative to its own directory.
    fn relative(&self, name: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(name)
    }

    fn swaps(&self) -> usize {
        let is_swap = |step: &&Step| matches!(step.action, Action::Swap(_));
        self.steps.iter().filter(is_swap).count()
    }
}

/// The guests that the scripts of a run swap to, by their paths.
pub type Guests = BTreeMap<PathBuf, Guest>;

/// Every step of a script did what it should.
#[derive(Clone, Copy, Debug)]
pub struct Success {
    pub steps: usize,
    pub swaps: usize,
    pub took: Duration,
}

/// A step failed.
#[derive(Clone, Debug)]
pub struct Failure {
    pub line: usize,
    /// What failed, in one line.
    pub message: String,
    /// Expected and received bytes, and the last lines of the host's log.
    pub details: Vec<String>,
}

/// Run a script on a thread of its own. `limit` bounds it on the real clock,
/// whatever the guest does; after one that took longer, none is run.
///
/// # Errors
/// Names the first step that failed.
pub fn run(
    environment: &Arc<Environment>,
    script: &Script,
    guest: &Guest,
    others: &Arc<Guests>,
    limit: Duration,
) -> Result<Success, Failure> {
    if environment.is_in_use.load(Ordering::Relaxed) {
        return Err(Failure {
            line: script.steps.first().map_or(1, |step| step.line),
            message: "not run: an earlier script has timed out and still runs, and what its \
                      guest prints and stores would get into this one; run it by itself"
                .to_owned(),
            details: Vec::new(),
        });
    }
    let started = Instant::now();
    let line = Arc::new(AtomicUsize::new(0));
    let (done, result) = mpsc::sync_channel(1);
    let work = {
        let (environment, script, guest) = (Arc::clone(environment), script.clone(), guest.clone());
        let (others, line) = (Arc::clone(others), Arc::clone(&line));
        move || {
            // Nobody receives any more after a timeout.
            let _ = done.send(runner::run(&environment, &script, &guest, &others, &line));
        }
    };
    let failure = |message| {
        Err(Failure {
            line: line.load(Ordering::Relaxed),
            message,
            details: Vec::new(),
        })
    };
    let thread = std::thread::Builder::new().name("conversation".to_owned());
    if let Err(error) = thread.spawn(work) {
        return failure(format!("cannot start a thread: {error}"));
    }
    match result.recv_timeout(limit) {
        Ok(Ok(())) => Ok(Success {
            steps: script.steps.len(),
            swaps: script.swaps(),
            took: started.elapsed(),
        }),
        Ok(Err(failure)) => Err(failure),
        Err(mpsc::RecvTimeoutError::Timeout) => {
            environment.is_in_use.store(true, Ordering::Relaxed);
            failure(format!(
                "timed out after {} (raise --time-limit)",
                crate::duration::show(limit)
            ))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            failure("internal error: the thread that ran the script has panicked".to_owned())
        }
    }
}
