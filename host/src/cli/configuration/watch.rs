//! Notices when the configuration file has other content, however it is changed: as a
//! Kubernetes ConfigMap is, by pointing a symlink elsewhere, too. See [`crate::watch`].

use std::io;
use std::path::PathBuf;

use crate::guest_file;
use crate::watch::{ChangeSignal, FileThread, Stamp, directories_of, settle};

use super::load::MAX_FILE;

/// Watches one file. [`Self::changed`] again and again.
pub(in crate::cli) struct FileWatch {
    path: PathBuf,
    signal: ChangeSignal,
    files: FileThread,
    /// The state in which it was read last.
    read: Option<Stamp>,
    /// What it had then.
    content: Option<Vec<u8>>,
    /// Why it could not be read, so that it is not repeated.
    failure: Option<String>,
}

impl FileWatch {
    /// Of a file that has been read already. A change since then may be reported or not.
    pub(in crate::cli) fn new(path: PathBuf) -> Self {
        FileWatch {
            content: guest_file::read(&path, MAX_FILE).ok(),
            path,
            signal: ChangeSignal::new("the configuration"),
            files: FileThread::default(),
            read: None,
            failure: None,
        }
    }

    /// Wait until the file has other content, which has settled. Safe to cancel.
    pub(in crate::cli) async fn changed(&mut self) {
        loop {
            match self.look(true).await {
                Ok(Some(stamp)) if Some(stamp) == self.read => {
                    self.signal.wait().await;
                    continue;
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.failed(&io::ErrorKind::NotFound.into());
                    self.signal.wait().await;
                    continue;
                }
                Err(error) => {
                    self.failed(&error);
                    self.signal.wait().await;
                    continue;
                }
            }
            settle(|| async { self.look(false).await.ok() }, None).await;
            let path = self.path.clone();
            let read = move || {
                let before = Stamp::of(&path);
                let content = guest_file::read(&path, MAX_FILE);
                (content, before, Stamp::of(&path))
            };
            match self.files.run(read).await {
                // It changed while it was being read.
                Ok((_, before, after)) if before != after => {}
                Ok((Ok(content), stamp, _)) => {
                    (self.read, self.failure) = (stamp, None);
                    if self.content.as_ref() != Some(&content) {
                        self.content = Some(content);
                        return;
                    }
                }
                Ok((Err(error), ..)) | Err(error) => {
                    self.failed(&error);
                    self.signal.wait().await;
                }
            }
        }
    }

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

    fn failed(&mut self, error: &io::Error) {
        self.read = None;
        let path = self.path.display();
        let what = match error.kind() {
            io::ErrorKind::NotFound => format!("{path} is gone"),
            _ => format!("cannot read {path}: {}", crate::os_error::message(error)),
        };
        if self.failure.as_ref() != Some(&what) {
            tracing::warn!(kind = "reload", "{what}; the configuration stays as it is");
            self.failure = Some(what);
        }
    }
}
