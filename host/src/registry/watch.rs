//! Swaps when the served file changes, however it is changed: overwritten,
//! renamed into place, deleted and created again, or a symlink on its path
//! pointed elsewhere.
//!
//! What counts is the content: a swap is attempted when the file has settled
//! and its bytes differ from those considered last. A file that is not a guest
//! (yet) is rejected with one line of the log; the next change is another
//! attempt. Content that was rejected because the machine was short of something is
//! attempted again by itself.
//!
//! Whatever stands in the file's place, watching goes on: everything that may hang
//! on a file system is a step of [`FileThread`], with a time limit, and after a
//! failure the next look comes within a second.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hotsocket_sandbox::{ComponentBytes, Hash, LoadError};
use tokio::time::Instant;

use super::{Outcome, Registry, SwapError};
use crate::guest_file;
use crate::rollout::Source;
use crate::watch::{ChangeSignal, FileThread, Stamp, directories_of, settle};

/// Content rejected for a passing reason is attempted again so often…
const RETRIES: u32 = 10;
/// …first after this time, and then after twice as long each time: 17 minutes in
/// all.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Swap whenever `path` has new content, until dropped. `served` is the content that was
/// considered last; `None`: whatever it has is swapped to, if that is not served already by
/// the time of the swap.
pub async fn watch(registry: Arc<Registry>, path: PathBuf, served: Option<Hash>) {
    let mut file = ServedFile {
        path,
        signal: ChangeSignal::new("the served file"),
        files: FileThread::default(),
        read: None,
        considered: served,
        retry: None,
        last_failure: None,
        last_warning: None,
    };
    loop {
        if !file.look_and_consider(&registry).await {
            file.signal.wait().await;
        }
    }
}

struct ServedFile {
    path: PathBuf,
    signal: ChangeSignal,
    files: FileThread,
    /// The state in which it was read last. `None` until it is read for the first
    /// time, as it may have changed since the server read it, and after a failure.
    read: Option<Stamp>,
    /// The content that was served or rejected last.
    considered: Option<Hash>,
    /// Present when that was rejected for a passing reason.
    retry: Option<Retry>,
    /// Why the file could not be read, so that it is not repeated.
    last_failure: Option<String>,
    /// The same for why its content was rejected.
    last_warning: Option<String>,
}

/// When to attempt the same content again.
#[derive(Clone, Copy)]
struct Retry {
    due: Instant,
    content: Hash,
    /// The generation that was active; when another one is, somebody has decided
    /// otherwise meanwhile.
    active: u64,
    /// Which one it is, from 1.
    number: u32,
}

impl Retry {
    /// `None` after the last one.
    fn new(number: u32, content: Hash, active: u64) -> Option<Self> {
        let wait = FIRST_RETRY * 2_u32.saturating_pow(number.saturating_sub(1));
        (number <= RETRIES).then(|| Retry {
            due: Instant::now() + wait,
            content,
            active,
            number,
        })
    }
}

/// A file as it was read.
struct Reading {
    /// Its state before and after.
    stamps: [Option<Stamp>; 2],
    content: io::Result<ComponentBytes>,
}

impl ServedFile {
    /// Swap if the file has new content. False if there is nothing to do before the
    /// next event or the next second.
    async fn look_and_consider(&mut self, registry: &Arc<Registry>) -> bool {
        let active = registry.active().number;
        self.retry = self.retry.filter(|retry| retry.active == active);
        if self.retry.is_some_and(|retry| retry.due <= Instant::now()) {
            (self.read, self.considered) = (None, None);
        }
        // It may change before it is watched, so look after that.
        match self.look(true).await {
            Ok(Some(stamp)) if Some(stamp) == self.read => return false,
            Ok(_) => {}
            Err(error) => {
                self.warn_unreadable(&error, registry);
                return false;
            }
        }
        settle(|| async { self.look(false).await.ok() }, None).await;
        let component = match self.read_file(registry).await {
            // It changed while it was being read.
            Ok(Reading { stamps, .. }) if stamps[0] != stamps[1] => return true,
            Ok(Reading {
                stamps: [stamp, _],
                content: Ok(content),
            }) => {
                self.read = stamp;
                self.last_failure = None;
                content
            }
            Ok(Reading {
                content: Err(error),
                ..
            })
            | Err(error) => {
                self.read = None;
                self.warn_unreadable(&error, registry);
                return false;
            }
        };
        if self.considered != Some(component.hash()) {
            self.considered = Some(component.hash());
            self.consider(component, registry).await;
        }
        true
    }

    /// The state of the file, with its directories watched first if so wanted.
    async fn look(&self, watching: bool) -> io::Result<Option<Stamp>> {
        let (path, signal) = (self.path.clone(), self.signal.clone());
        let look = move || {
            if watching {
                signal.watch_directories(directories_of(&path));
            }
            Stamp::of(&path)
        };
        self.files.run(look).await
    }

    async fn read_file(&self, registry: &Registry) -> io::Result<Reading> {
        let (path, max) = (self.path.clone(), registry.sandbox.max_component());
        let read = move || {
            let before = Stamp::of(&path);
            let content = guest_file::read(&path, max);
            Reading {
                content: content.map(ComponentBytes::new),
                stamps: [before, Stamp::of(&path)],
            }
        };
        self.files.run(read).await
    }

    /// Swap to this content.
    async fn consider(&mut self, component: ComponentBytes, registry: &Arc<Registry>) {
        let hash = component.hash();
        let last = self.retry.take().filter(|last| last.content == hash);
        let source = Source::File(self.path.clone());
        // A swap that has begun is finished, also if the file is not watched any more.
        let swapping = Arc::clone(registry);
        let swap = tokio::spawn(async move { swapping.swap(component, source, None).await });
        let Ok(swapped) = swap.await else {
            return;
        };
        match swapped {
            Ok(report) => {
                if report.outcome == Outcome::Unchanged && self.last_warning.is_some() {
                    report.log();
                }
                self.last_warning = None;
            }
            Err(error) => {
                if error.may_pass() {
                    let number = last.map_or(1, |last| last.number + 1);
                    self.retry = Retry::new(number, hash, registry.active().number);
                }
                self.warn_rejected(&error, registry);
            }
        }
    }

    fn warn_unreadable(&mut self, error: &io::Error, registry: &Registry) {
        let path = self.path.display();
        let what = match error.kind() {
            io::ErrorKind::NotFound => format!("{path} is gone"),
            _ => format!("cannot read {path}: {}", crate::os_error::message(error)),
        };
        let active = registry.active().number;
        let warning = format!("{what}; still serving generation {active}");
        warn(&mut self.last_failure, active, warning);
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
            false if self.retry.is_some() => "; trying again",
            false if error.may_pass() => "; trying again when the file changes",
            false => "",
        };
        let active = registry.active().number;
        let what = error.what();
        let warning = format!("{what}: {error}; still serving generation {active}{hint}");
        warn(&mut self.last_warning, active, warning);
    }
}

/// Log a warning, unless it was the last one.
fn warn(last: &mut Option<String>, active: u64, warning: String) {
    if last.as_ref() != Some(&warning) {
        tracing::warn!(
            kind = "swap",
            outcome = "failed",
            generation = active,
            "{warning}"
        );
        *last = Some(warning);
    }
}
