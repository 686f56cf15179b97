//! Events of the kernel (inotify) in watched directories.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Without an event, look this often: network file systems send none.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Files of the watched directories that are known to be written; more are not noted.
const MAX_WRITTEN: usize = 64;

/// Signals that something happened in a watched directory.
///
/// Call [`watch_directories`](Self::watch_directories), look at the files, and
/// only if they have not changed [`wait`](Self::wait): a change before the
/// first call causes no event. A clone is the same signal, for a thread that may hang
/// in the directories.
#[derive(Clone)]
pub struct ChangeSignal {
    events: Arc<Events>,
    watching: Arc<Mutex<Watching>>,
}

struct Watching {
    /// `None` where the kernel refuses a watcher: then polling must do.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

#[derive(Default)]
struct Events {
    arrived: Notify,
    /// When the first one arrived that nobody has asked for yet.
    first: Mutex<Option<Instant>>,
    /// Files that were written to and have not been closed since.
    written: Mutex<BTreeSet<PathBuf>>,
}

impl Events {
    /// Note which files somebody is writing.
    fn note(&self, event: &Event) {
        let mut written = self.written.lock();
        if event.need_rescan() {
            // Events are missing: whoever is not known to write is not waited for.
            written.clear();
        }
        for path in &event.paths {
            match event.kind {
                EventKind::Modify(ModifyKind::Data(_)) if written.len() < MAX_WRITTEN => {
                    written.insert(path.clone());
                }
                EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Modify(ModifyKind::Name(_))
                | EventKind::Remove(_) => {
                    written.remove(path);
                }
                _ => {}
            }
        }
    }
}

impl ChangeSignal {
    /// Watches nothing yet. `what` is to be watched, for the log.
    pub fn new(what: &str) -> Self {
        let events = Arc::<Events>::default();
        let sender = Arc::clone(&events);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = &event {
                sender.note(event);
            }
            if event.map_or(true, |event| may_change_a_file(event.kind)) {
                sender.first.lock().get_or_insert_with(Instant::now);
                sender.arrived.notify_one();
            }
        });
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!("no file events, so {what} is polled once a second: {error}");
            })
            .ok();
        ChangeSignal {
            events,
            watching: Arc::new(Mutex::new(Watching {
                watcher,
                watched: BTreeSet::new(),
            })),
        }
    }

    /// Watch these directories (not those below them) and no others.
    pub fn watch_directories(&self, directories: BTreeSet<PathBuf>) {
        let Watching { watcher, watched } = &mut *self.watching.lock();
        let Some(watcher) = watcher else {
            return;
        };
        for gone in watched.difference(&directories) {
            let _ = watcher.unwatch(gone);
        }
        // A directory that was deleted and created again needs a new watch;
        // watching one twice is harmless. One that can't be watched is tried
        // again with the next call.
        *watched = directories
            .into_iter()
            .filter(|dir| watcher.watch(dir, RecursiveMode::NonRecursive).is_ok())
            .collect();
    }

    /// Whether somebody has written to the file that the path leads to, and still has it
    /// open. False where the kernel sends no events. It may hang in the directories.
    pub fn is_being_written(&self, path: &Path) -> bool {
        let written = self.events.written.lock().clone();
        let Ok(file) = fs::canonicalize(path) else {
            return false;
        };
        written
            .iter()
            .any(|written| fs::canonicalize(written).is_ok_and(|written| written == file))
    }

    /// Wait for an event, or until it is time to look without one.
    pub async fn wait(&self) {
        let _ = timeout(POLL_INTERVAL, self.events.arrived.notified()).await;
    }

    /// When the first event arrived since this was last called.
    pub fn take_first_event(&self) -> Option<Instant> {
        self.events.first.lock().take()
    }
}

/// Compilers and servers read watched files all the time, which changes none.
/// Closing a file that was open for writing counts: writes through a memory
/// mapping cause no other event (inotify(7)).
fn may_change_a_file(event: EventKind) -> bool {
    match event {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn writing_is_an_event_and_reading_is_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        fs::write(&file, "old").expect("writable");
        let signal = ChangeSignal::new("a test's file");
        signal.watch_directories(BTreeSet::from([dir.path().to_owned()]));
        fs::read(&file).expect("readable");
        // Events arrive in order, so that of the write is the first one.
        let before = Instant::now();
        fs::write(&file, "new").expect("writable");
        for _ in 0..10 {
            signal.wait().await;
            if let Some(at) = signal.take_first_event() {
                assert!(at >= before);
                return;
            }
        }
        panic!("no event");
    }

    #[tokio::test]
    async fn a_file_is_being_written_until_it_is_closed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, link) = (dir.path().join("file"), dir.path().join("link"));
        std::os::unix::fs::symlink("file", &link).expect("writable");
        let signal = ChangeSignal::new("a test's file");
        signal.watch_directories(BTreeSet::from([dir.path().to_owned()]));
        let becomes = async |is_written: bool| {
            let deadline = Instant::now() + Duration::from_secs(60);
            while signal.is_being_written(&link) != is_written {
                assert!(Instant::now() < deadline, "not {is_written}");
                signal.wait().await;
            }
        };
        for _ in 0..2 {
            let mut file = fs::File::create(&path).expect("writable");
            file.write_all(b"half").expect("writable");
            becomes(true).await;
            drop(file);
            becomes(false).await;
        }
        // One that is put in its place is whole, whoever wrote it.
        let mut file = fs::File::create(&path).expect("writable");
        file.write_all(b"half").expect("writable");
        becomes(true).await;
        fs::write(dir.path().join("new"), "whole").expect("writable");
        fs::rename(dir.path().join("new"), &path).expect("writable");
        becomes(false).await;
    }
}
