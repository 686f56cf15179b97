//! `hotsocket test`: a guest has a conversation that is written in a text
//! file, without a server and without a network.
//!
//! The guest runs in the production sandbox, its connections are driven by the
//! production driver, and a swap goes through the production registry. Only
//! the socket is replaced, by a [`wire`] in memory, and the clock: it stands
//! still while anything has work to do, and leaps to the next timer when
//! nothing has. So timers cost no time, and what never comes is known at once.
//!
//! - [`script`]: the format, which `docs/testing.md` describes
//! - [`literal`]: bytes as people write them
//! - [`wire`]: a connection in memory
//! - [`environment`]: the sandbox that all scripts of a call share
//! - [`runner`]: the steps of a script, one after the other
//! - [`peer`]: what a step does with, or awaits from, one connection
//! - [`difference`]: how what came differs from what was expected

mod difference;
mod environment;
mod literal;
mod peer;
mod runner;
mod script;
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub use environment::{Environment, EnvironmentError, Guest, Settings};
pub use script::{Action, Mistake, Step};

/// Scripts are written by hand: nobody writes more.
const MAX_SCRIPT: u64 = 4 << 20;

/// A script that makes sense, with where it came from.
#[derive(Clone, Debug)]
pub struct Script {
    pub path: PathBuf,
    pub steps: Vec<Step>,
}

/// Why there is no script.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("cannot read {}: {}", .path.display(), crate::os_error::message(.error))]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("cannot read {}: {what}", .path.display())]
    NotText { path: PathBuf, what: &'static str },
    #[error("{}:{}: {}", .path.display(), .mistake.line, .mistake.told)]
    Wrong { path: PathBuf, mistake: Mistake },
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
        if std::fs::metadata(path).map_err(read)?.len() > MAX_SCRIPT {
            return Err(not_text("it is too large for a script"));
        }
        let bytes = std::fs::read(path).map_err(read)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| not_text("it is not UTF-8 text; write other bytes as \\xNN"))?;
        let steps = script::parse(&text).map_err(|mistake| ScriptError::Wrong {
            path: owned(),
            mistake,
        })?;
        Ok(Script {
            path: owned(),
            steps,
        })
    }

    /// The files that it swaps to; in a script they are named relative to it.
    pub fn guests(&self) -> impl Iterator<Item = PathBuf> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Swap(Some(name)) => Some(self.beside(name)),
            _ => None,
        })
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(name)
    }

    fn swaps(&self) -> usize {
        let is_swap = |step: &&Step| matches!(step.action, Action::Swap(_));
        self.steps.iter().filter(is_swap).count()
    }
}

/// The guests of a call, by the path that names them.
pub type Guests = BTreeMap<PathBuf, Guest>;

/// A conversation that went as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Success {
    pub steps: usize,
    pub swaps: usize,
    pub took: Duration,
}

/// A conversation that went otherwise.
#[derive(Clone, Debug)]
pub struct Failure {
    pub line: usize,
    /// What is wrong, in one line.
    pub told: String,
    /// What was expected and what came, and what the host has to say.
    pub details: Vec<String>,
}

/// Have the conversation. `limit` bounds it on the real clock, whatever the
/// guest does.
///
/// # Errors
/// Tells the first step that went wrong.
pub fn converse(
    environment: &Arc<Environment>,
    script: &Script,
    guest: &Guest,
    others: &Arc<Guests>,
    limit: Duration,
) -> Result<Success, Failure> {
    let begun = Instant::now();
    let line = Arc::new(AtomicUsize::new(0));
    let (done, result) = mpsc::sync_channel(1);
    let work = {
        let (environment, script, guest) = (Arc::clone(environment), script.clone(), guest.clone());
        let (others, line) = (Arc::clone(others), Arc::clone(&line));
        move || {
            // Nobody waits any more when the time is over.
            let _ = done.send(runner::run(&environment, &script, &guest, &others, &line));
        }
    };
    let failure = |told| {
        Err(Failure {
            line: line.load(Ordering::Relaxed),
            told,
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
            took: begun.elapsed(),
        }),
        Ok(Err(failure)) => Err(failure),
        Err(mpsc::RecvTimeoutError::Timeout) => failure(format!(
            "not over after {} (--time-limit)",
            crate::duration::show(limit)
        )),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            failure("the conversation broke off: this is a mistake of hotsocket".to_owned())
        }
    }
}
