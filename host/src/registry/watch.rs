//! Swaps when the served file changes, however it is changed: overwritten,
//! renamed into place, deleted and made again, or a symlink on its path turned
//! elsewhere.
//!
//! What counts is the content: an attempt is made when the bytes have come to
//! rest and differ from those looked at last. A file that is no guest (yet) is
//! refused with one line; the next change is another attempt.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::{Outcome, Registry, Source, SwapError};
use crate::runtime::{Hash, LoadError};
use crate::thread::run_on_thread;

/// The file must be unchanged this long before it is read.
const REST: Duration = Duration::from_millis(50);
/// Where the kernel tells nothing (network file systems), look this often.
const LOOK: Duration = Duration::from_secs(1);
/// Symlinks followed on the way to the file.
const MAX_HOPS: usize = 16;

/// Swap whenever `path` has new content, until dropped. `known` is the content
/// that is served now.
pub async fn watch(registry: Arc<Registry>, path: PathBuf, known: Hash) {
    let mut file = Watched {
        bell: Bell::new(),
        seen: None,
        considered: Some(known),
        complaint: None,
        path,
    };
    loop {
        file.bell.listen_around(&file.path);
        // Something may have changed before the kernel was asked.
        if Some(stamp(&file.path)) == file.seen {
            let _ = timeout(LOOK, file.bell.rung.notified()).await;
        }
        file.come_to_rest().await;
        file.consider(&registry).await;
    }
}

struct Watched {
    path: PathBuf,
    bell: Bell,
    /// What the file looked like from outside when it was read last.
    /// `None` if it has not been: it may have changed since the server read it.
    seen: Option<Stamp>,
    /// The content that was served or refused last.
    considered: Option<Hash>,
    /// The last refusal, told once.
    complaint: Option<String>,
}

impl Watched {
    /// Wait until nothing has changed for a while.
    async fn come_to_rest(&self) {
        loop {
            let before = stamp(&self.path);
            if Some(before) == self.seen {
                return;
            }
            sleep(REST).await;
            if stamp(&self.path) == before {
                return;
            }
        }
    }

    async fn consider(&mut self, registry: &Registry) {
        let now = stamp(&self.path);
        if Some(now) == self.seen {
            return;
        }
        let (path, runtime) = (self.path.clone(), Arc::clone(registry.runtime()));
        let read = run_on_thread("read", None, move || runtime.read(&path)).await;
        let bytes = match read.flatten() {
            // It changed while it was being read: look again.
            _ if stamp(&self.path) != now => return,
            Ok(bytes) => bytes,
            Err(error) => {
                self.seen = Some(now);
                let active = registry.orders().active().number;
                return self.complain(match error.kind() {
                    io::ErrorKind::NotFound => {
                        format!(
                            "{} is gone; generation {active} goes on",
                            self.path.display()
                        )
                    }
                    _ => format!(
                        "cannot read {}: {error}; generation {active} goes on",
                        self.path.display()
                    ),
                });
            }
        };
        self.seen = Some(now);
        let hash = Hash::of(&bytes);
        if self.considered == Some(hash) {
            return;
        }
        self.considered = Some(hash);
        match registry
            .swap(bytes, Source::File(self.path.clone()), None)
            .await
        {
            Ok(report) => {
                if report.outcome == Outcome::Unchanged && self.complaint.is_some() {
                    tracing::info!("{}", report.told());
                }
                self.complaint = None;
            }
            Err(error) => {
                let active = registry.orders().active().number;
                let unfinished = matches!(
                    &error,
                    SwapError::Load {
                        error: LoadError::Truncated | LoadError::Empty,
                        ..
                    }
                );
                let hint = if unfinished {
                    "; waiting for the rest"
                } else {
                    ""
                };
                self.complain(format!(
                    "not swapped: {error}; generation {active} goes on{hint}"
                ));
            }
        }
    }

    /// The same complaint is made once, however often the file changes.
    fn complain(&mut self, complaint: String) {
        if self.complaint.as_ref() != Some(&complaint) {
            tracing::warn!("{complaint}");
            self.complaint = Some(complaint);
        }
    }
}

/// What tells two states of a file apart without reading it: the file that the
/// path leads to, its size and its times.
type Stamp = Option<(u64, u64, u64, i64, i64, i64, i64)>;

fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    Some((
        file.dev(),
        file.ino(),
        file.size(),
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
    ))
}

/// The kernel's word that something happened near the file.
struct Bell {
    rung: Arc<Notify>,
    /// Absent where the kernel gives no word; then looking now and then must do.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Bell {
    fn new() -> Self {
        let rung = Arc::new(Notify::new());
        let ring = Arc::clone(&rung);
        let watcher = notify::recommended_watcher(move |_| ring.notify_one())
            .inspect_err(|error| {
                tracing::warn!("the served file is looked at once a second: {error}");
            })
            .ok();
        Bell {
            rung,
            watcher,
            watched: BTreeSet::new(),
        }
    }

    /// Watch every directory in which a change could lead the path elsewhere.
    fn listen_around(&mut self, path: &Path) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let wanted = directories(path);
        for gone in self.watched.difference(&wanted) {
            let _ = watcher.unwatch(gone);
        }
        // A directory that was deleted and made again needs a new watch, and
        // watching one twice does no harm.
        self.watched = wanted
            .into_iter()
            .filter(|directory| {
                watcher
                    .watch(directory, RecursiveMode::NonRecursive)
                    .is_ok()
            })
            .collect();
    }
}

/// The directories that hold the file and each symlink on the way to it.
fn directories(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut at = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for _ in 0..MAX_HOPS {
        // The first symlink on the path, from the root on, if there is one.
        let mut walked = PathBuf::new();
        let mut parts = at.components();
        let mut turned = None;
        for part in parts.by_ref() {
            let parent = walked.clone();
            walked.push(part);
            if let Ok(target) = fs::read_link(&walked) {
                found.insert(parent.clone());
                turned = Some(parent.join(target).join(parts.as_path()));
                break;
            }
        }
        match turned {
            Some(next) => at = normal(&next),
            None => break,
        }
    }
    found.insert(
        at.parent()
            .map_or_else(|| PathBuf::from("/"), Path::to_owned),
    );
    found
}

/// Take out `.` and `..`, which is right here because every symlink before
/// them has been followed.
fn normal(path: &Path) -> PathBuf {
    let mut parts: Vec<OsString> = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                if parts.len() > 1 {
                    parts.pop();
                }
            }
            std::path::Component::CurDir => {}
            part => parts.push(part.as_os_str().to_owned()),
        }
    }
    parts.iter().collect()
}
