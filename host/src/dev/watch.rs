//! When the files of a project have changed, and have come to rest.
//!
//! The kernel's word only tells that it is time to look; what counts is how the
//! files look. So it works, more slowly, where the kernel gives no word, and
//! whatever an editor does on the way to a saved file.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::project::{Files, Project};

/// The files must be unchanged this long before they are built.
const REST: Duration = Duration::from_millis(50);
/// Files that never come to rest are built all the same.
const RESTLESS: Duration = Duration::from_secs(5);
/// Where the kernel tells nothing (network file systems), look this often.
const LOOK: Duration = Duration::from_secs(1);

/// A change that is to be built.
pub struct Change {
    pub file: PathBuf,
    /// When it was saved, as far as is known.
    pub at: Instant,
}

#[derive(Default)]
struct Bell {
    rung: Notify,
    /// The first time since it was last looked at.
    since: Mutex<Option<Instant>>,
}

/// See the module's documentation.
pub struct Watch {
    bell: Arc<Bell>,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Watch {
    pub fn new(project: &Project) -> Self {
        let bell = Arc::<Bell>::default();
        let ring = Arc::clone(&bell);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Whoever only reads changes nothing; compilers do it all the time.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                ring.since.lock().get_or_insert_with(Instant::now);
                ring.rung.notify_one();
            }
        });
        let watcher = watcher
            .inspect_err(|error| tracing::warn!("the source is looked at once a second: {error}"))
            .ok();
        let mut watch = Watch {
            bell,
            watcher,
            watched: BTreeSet::new(),
        };
        watch.listen(project);
        watch
    }

    /// Wait until the files look different from these, and rest.
    pub async fn next(&mut self, project: &Project, known: &Files) -> Change {
        loop {
            self.listen(project);
            let rung = self.bell.since.lock().take();
            // Something may have changed before the kernel was asked.
            let files = project.files();
            if known.difference(&files).is_some() {
                let at = rung.unwrap_or_else(Instant::now);
                let rested = come_to_rest(project, files).await;
                // What was written and taken back is no change.
                if let Some(file) = known.difference(&rested).filter(|_| project.is_there()) {
                    return Change { file, at };
                }
            }
            let _ = timeout(LOOK, self.bell.rung.notified()).await;
        }
    }

    /// Watch every directory that holds sources.
    fn listen(&mut self, project: &Project) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let wanted = project.directories();
        for gone in self.watched.difference(&wanted) {
            let _ = watcher.unwatch(gone);
        }
        // A directory that was deleted and made again needs a new watch, and
        // watching one twice does no harm.
        self.watched = wanted
            .into_iter()
            .filter(|dir| watcher.watch(dir, RecursiveMode::NonRecursive).is_ok())
            .collect();
    }
}

async fn come_to_rest(project: &Project, mut files: Files) -> Files {
    let begun = Instant::now();
    loop {
        sleep(REST).await;
        let now = project.files();
        if now == files || begun.elapsed() > RESTLESS {
            return now;
        }
        files = now;
    }
}
