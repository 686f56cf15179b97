//! Notices that files have changed and puts new certificates in place, for new handshakes.
//! Connections that are open are not touched.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::material::{Change, Material};
use super::{Tls, TlsError};
use crate::watch::{ChangeSignal, FileThread, Stamp, directories_of, settle};

/// Between two warnings that a certificate expires.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Whether a day has passed since something was logged.
#[derive(Debug)]
struct Daily(Instant);

impl Daily {
    /// It is logged now.
    fn now() -> Self {
        Daily(Instant::now())
    }

    /// If so, it is logged now.
    fn is_due(&mut self) -> bool {
        let is_due = self.0.elapsed() >= DAY;
        if is_due {
            *self = Daily::now();
        }
        is_due
    }
}

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
    /// The warnings that certificates expire.
    warned: Daily,
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
            warned: Daily::now(),
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
            if let Some(tls) = self.tls.upgrade()
                && self.warned.is_due()
            {
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
                // What cannot be read now, as for want of descriptors, can be later, and
                // nothing tells of that.
                let is_unread = |change: &Change| matches!(change, Err(TlsError::Read { .. }));
                let all_read = !changes.iter().any(is_unread);
                self.read = settled.filter(|_| all_read);
                self.apply(&tls, material, changes);
            }
            Err(error) => self.warn(vec![format!("cannot read the certificates: {error}")]),
        }
        if self.read.is_none() {
            drop(tls);
            self.signal.wait().await;
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
                    self.warned = Daily::now();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_expires_is_logged_once_a_day() {
        let mut warned = Daily::now();
        let mut times = 0;
        // As often as files are looked at where the system reports no changes.
        for _ in 0..3 * 24 * 3600 {
            tokio::time::advance(Duration::from_secs(1)).await;
            times += u32::from(warned.is_due());
        }
        assert_eq!(times, 3);
    }
}
