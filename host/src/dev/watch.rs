//! Waits for a change of a project's files that is to be built.

use std::future::ready;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::project::{Files, Project};
use crate::watch::{ChangeSignal, settle};

/// Files that never stop changing are built after this time.
const MAX_SETTLE_TIME: Duration = Duration::from_secs(5);

/// A change that is to be built.
pub struct Change {
    pub file: PathBuf,
    /// When it was saved, as far as is known.
    pub at: Instant,
}

/// See the module's documentation.
pub struct ProjectWatcher(ChangeSignal);

impl ProjectWatcher {
    pub fn new(project: &Project) -> Self {
        let signal = ChangeSignal::new("the source");
        signal.watch_directories(project.directories());
        ProjectWatcher(signal)
    }

    /// Wait until the files differ from those that were `built`, and have
    /// settled.
    pub async fn next_change(&mut self, project: &Project, built: &Files) -> Change {
        let Self(signal) = self;
        loop {
            signal.watch_directories(project.directories());
            let first_event = signal.take_first_event();
            // They may have changed before they were watched.
            if built.difference(&project.files()).is_some() {
                let at = first_event.unwrap_or_else(Instant::now);
                let settled = settle(|| ready(project.files()), Some(MAX_SETTLE_TIME)).await;
                // A change that was undone at once is none.
                if let Some(file) = built
                    .difference(&settled)
                    .filter(|_| project.source_exists())
                {
                    return Change { file, at };
                }
            }
            signal.wait().await;
        }
    }
}
