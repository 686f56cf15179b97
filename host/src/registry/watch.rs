//! Swaps when the served file changes, however it is changed: overwritten,
//! renamed into place, deleted and created again, or a symlink on its path
//! pointed elsewhere.
//!
//! What counts is the content: a swap is attempted when the file has settled
//! and its bytes differ from those considered last. A file that is not a guest
//! (yet) is rejected with one line of the log; the next change is another
//! attempt.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hotsocket_sandbox::{Hash, LoadError, run_on_thread};

use super::{Outcome, Registry, SwapError};
use crate::guest_file;
use crate::rollout::Source;
use crate::watch::{ChangeSignal, Stamp, directories_of, settle};

/// Swap whenever `path` has new content, until dropped. `served` is the content
/// that is served now.
pub async fn watch(registry: Arc<Registry>, path: PathBuf, served: Hash) {
    let mut signal = ChangeSignal::new("the served file");
    let mut file = ServedFile {
        read: None,
        considered: Some(served),
        last_warning: None,
        path,
    };
    loop {
        signal.watch_directories(directories_of(&file.path));
        // It may have changed before it was watched.
        if !file.has_changed() {
            signal.wait().await;
        }
        if file.has_changed() {
            settle(|| file.stamp(), None).await;
            file.consider(&registry).await;
        }
    }
}

struct ServedFile {
    path: PathBuf,
    /// The state in which it was read last; the inner `None` stands for a
    /// missing file. `None` until it is read for the first time, as it may have
    /// changed since the server read it.
    read: Option<Option<Stamp>>,
    /// The content that was served or rejected last.
    considered: Option<Hash>,
    /// What was logged last, so that it is not repeated.
    last_warning: Option<String>,
}

impl ServedFile {
    fn stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.path)
    }

    fn has_changed(&self) -> bool {
        Some(self.stamp()) != self.read
    }

    /// Read the file, and swap if its content is new.
    async fn consider(&mut self, registry: &Registry) {
        let now = self.stamp();
        if Some(now) == self.read {
            return;
        }
        let (path, max) = (self.path.clone(), registry.sandbox.max_component());
        let read = run_on_thread("read", None, move || guest_file::read(&path, max)).await;
        let bytes = match read.flatten() {
            // It changed while it was being read: try again.
            _ if self.stamp() != now => return,
            Ok(bytes) => bytes,
            Err(error) => {
                self.read = Some(now);
                return self.warn_unreadable(&error, registry);
            }
        };
        self.read = Some(now);
        let hash = Hash::of(&bytes);
        if self.considered == Some(hash) {
            return;
        }
        self.considered = Some(hash);
        let source = Source::File(self.path.clone());
        match registry.swap(bytes, source, None).await {
            Ok(report) => {
                if report.outcome == Outcome::Unchanged && self.last_warning.is_some() {
                    report.log();
                }
                self.last_warning = None;
            }
            Err(error) => self.warn_rejected(&error, registry),
        }
    }

    fn warn_unreadable(&mut self, error: &io::Error, registry: &Registry) {
        let path = self.path.display();
        let what = match error.kind() {
            io::ErrorKind::NotFound => format!("{path} is gone"),
            _ => format!("cannot read {path}: {error}"),
        };
        let active = registry.active().number;
        self.warn(active, format!("{what}; still serving generation {active}"));
    }

    fn warn_rejected(&mut self, error: &SwapError, registry: &Registry) {
        let is_incomplete = matches!(
            error,
            SwapError::Load {
                error: LoadError::Truncated | LoadError::Empty,
                ..
            }
        );
        let hint = match is_incomplete {
            true => "; waiting for the rest",
            false => "",
        };
        let active = registry.active().number;
        self.warn(
            active,
            format!(
                "{}: {error}; still serving generation {active}{hint}",
                error.what()
            ),
        );
    }

    /// Log a warning, unless it was the last one.
    fn warn(&mut self, active: u64, warning: String) {
        if self.last_warning.as_ref() != Some(&warning) {
            tracing::warn!(
                kind = "swap",
                outcome = "failed",
                generation = active,
                "{warning}"
            );
            self.last_warning = Some(warning);
        }
    }
}
