//! Notices that files have changed and puts new certificates in place, for new handshakes.
//! Connections that are open are not touched.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::Tls;
use super::material::{Change, Material};
use crate::watch::{ChangeSignal, FileThread, Stamp, directories_of, settle};

/// Between two warnings that a certificate expires.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A file that never stops changing is looked at after this time.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

type Stamps = Vec<Option<Stamp>>;

/// What has been seen of the files.
pub struct Reload {
    /// Nothing is watched for one that is gone.
    tls: Weak<Tls>,
    files: Vec<PathBuf>,
    signal: ChangeSignal,
    thread: FileThread,
    /// When they were read last. `None`: they are to be read.
    read: Option<Stamps>,
    /// What was wrong then, so that it is not repeated.
    failures: Vec<String>,
    warned: Instant,
}

impl Reload {
    pub fn new(tls: &Arc<Tls>) -> Self {
        let files = tls.options.files().map(Into::into).collect();
        Reload {
            tls: Arc::downgrade(tls),
            files,
            signal: ChangeSignal::new("the certificates"),
            thread: FileThread::default(),
            read: None,
            failures: Vec::new(),
            warned: Instant::now(),
        }
    }

    /// Reload whenever files change, as long as there is somebody to reload for.
    pub async fn run(mut self) {
        if let Some(tls) = self.tls.upgrade() {
            tls.warn_of_expiry();
        }
        while self.tls.strong_count() > 0 {
            match self.look(true).await {
                Ok(stamps) if Some(&stamps) != self.read.as_ref() => self.reload().await,
                Ok(_) => self.signal.wait().await,
                Err(error) => {
                    self.warn(vec![format!("cannot look at the certificates: {error}")]);
                    self.signal.wait().await;
                }
            }
            if self.warned.elapsed() >= DAY
                && let Some(tls) = self.tls.upgrade()
            {
                self.warned = Instant::now();
                tls.warn_of_expiry();
            }
        }
    }

    /// The state of the files, with their directories watched first if so wanted.
    async fn look(&self, watching: bool) -> io::Result<Stamps> {
        let (files, signal) = (self.files.clone(), self.signal.clone());
        let look = move || {
            if watching {
                let directories = files.iter().flat_map(|file| directories_of(file));
                signal.watch_directories(directories.collect());
            }
            files.iter().map(|file| Stamp::of(file)).collect()
        };
        self.thread.run(look).await
    }

    async fn reload(&mut self) {
        let settled = settle(
            || async { self.look(false).await.ok() },
            Some(SETTLED_AFTER),
        )
        .await;
        let Some(tls) = self.tls.upgrade() else {
            return;
        };
        let reading = Arc::clone(&tls);
        let read = move || {
            let mut material = reading.config.load().material.clone();
            let changes = material.reload(&reading.options, &super::provider());
            (material, changes)
        };
        match self.thread.run(read).await {
            Ok((material, changes)) => {
                self.read = settled;
                self.apply(&tls, material, changes);
            }
            Err(error) => self.warn(vec![format!("cannot read the certificates: {error}")]),
        }
    }

    fn apply(&mut self, tls: &Tls, material: Material, changes: Vec<Change>) {
        let (mut changed, mut failures) = (Vec::new(), Vec::new());
        for change in changes {
            match change {
                Ok(what) => changed.push(what),
                Err(error) => failures.push(error.to_string()),
            }
        }
        if !changed.is_empty() {
            match tls.replace(material) {
                Ok(()) => {
                    for what in changed {
                        tracing::info!(kind = "tls", "{what}");
                    }
                    tls.warn_of_expiry();
                    self.warned = Instant::now();
                }
                Err(error) => failures.push(error.to_string()),
            }
        }
        self.warn(failures);
    }

    /// Log what is wrong, unless it was so before.
    fn warn(&mut self, failures: Vec<String>) {
        for what in &failures {
            if !self.failures.contains(what) {
                tracing::warn!(
                    kind = "tls",
                    "{what}; new handshakes still use what was read before"
                );
            }
        }
        self.failures = failures;
    }
}
