//! Notices when the configuration file has other content, however it is changed: as a
//! Kubernetes ConfigMap is, by pointing a symlink elsewhere, too. See [`crate::watch`].

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::watch::{ChangeSignal, FileThread, Stamp, directories_of, settle};

use super::load::read_bytes;

/// Files, and the state of each.
pub(in crate::cli) type Stamps = Vec<(PathBuf, Option<Stamp>)>;

/// A file that never stops changing is looked at after this time.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// Whoever writes the file is waited for so long: a program may write it in pieces, with
/// pauses between them, and each may end where a shorter configuration would.
const WRITTEN_AFTER: Duration = Duration::from_secs(30);

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
    /// Files that the configuration waits for, as they were when it was refused.
    awaited: Stamps,
}

impl FileWatch {
    /// Of a file that has been read already, and had this then: a start may take as long as
    /// it takes to compile a guest, and what has changed meanwhile is a change.
    pub(in crate::cli) fn new(path: PathBuf, content: &str) -> Self {
        FileWatch {
            content: Some(content.as_bytes().to_vec()),
            path,
            signal: ChangeSignal::new("the configuration"),
            files: FileThread::default(),
            read: None,
            failure: None,
            awaited: Vec::new(),
        }
    }

    /// The content was refused, perhaps because of one of these files, which are given as
    /// they were then: from now on a change of one of them is a change, too.
    pub(in crate::cli) fn also(&mut self, awaited: Stamps) {
        self.awaited = awaited;
    }

    /// Wait until the file has other content, which has settled, or one of those that it
    /// waits for has changed. Safe to cancel.
    pub(in crate::cli) async fn changed(&mut self) {
        let mut writing_since = None;
        loop {
            let looked = self.look(true).await;
            if let Ok((_, awaited)) = &looked
                && *awaited != self.awaited
            {
                settle(
                    || async { self.look(false).await.ok() },
                    Some(SETTLED_AFTER),
                )
                .await;
                self.awaited.clear();
                return;
            }
            match looked.map(|(stamp, _)| stamp) {
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
            if self.is_being_written().await
                && writing_since.get_or_insert_with(Instant::now).elapsed() < WRITTEN_AFTER
            {
                self.signal.wait().await;
                continue;
            }
            writing_since = None;
            let path = self.path.clone();
            let read = move || {
                let before = Stamp::of(&path);
                let content = read_bytes(&path);
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

    async fn is_being_written(&self) -> bool {
        let (path, signal) = (self.path.clone(), self.signal.clone());
        let written = self.files.run(move || signal.is_being_written(&path));
        written.await.unwrap_or(false)
    }

    /// The state of the file, and of those that it waits for.
    async fn look(&self, watching: bool) -> io::Result<(Option<Stamp>, Stamps)> {
        let (path, signal) = (self.path.clone(), self.signal.clone());
        let mut awaited = self.awaited.clone();
        let look = move || {
            if watching {
                let files = awaited.iter().map(|(file, _)| file).chain([&path]);
                let directories = files.flat_map(|file| directories_of(file));
                signal.watch_directories(directories.collect());
            }
            for (file, stamp) in &mut awaited {
                *stamp = Stamp::of(file);
            }
            (Stamp::of(&path), awaited)
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn what_changed_while_the_server_started_is_a_change() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hotsocket.toml");
        std::fs::write(&path, "new").expect("writable");
        let mut watch = FileWatch::new(path, "old");
        let changed = tokio::time::timeout(Duration::from_secs(60), watch.changed());
        assert!(changed.await.is_ok());
    }

    #[tokio::test]
    async fn a_file_that_is_too_large_is_no_change() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hotsocket.toml");
        std::fs::write(&path, "#".repeat((1 << 20) + 1)).expect("writable");
        let mut watch = FileWatch::new(path.clone(), "old");
        while watch.failure.is_none() {
            let changed = tokio::time::timeout(Duration::from_secs(1), watch.changed());
            assert!(changed.await.is_err(), "a part of it is read");
        }
        let failure = watch.failure.clone().unwrap_or_default();
        assert!(
            failure.ends_with("hotsocket.toml: it is larger than 1 MiB"),
            "{failure}"
        );
        std::fs::write(&path, "new").expect("writable");
        let changed = tokio::time::timeout(Duration::from_secs(60), watch.changed());
        assert!(changed.await.is_ok());
    }

    #[tokio::test]
    async fn a_file_that_is_being_written_is_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hotsocket.toml");
        std::fs::write(&path, "old").expect("writable");
        let mut watch = FileWatch::new(path.clone(), "old");
        watch.signal.watch_directories(directories_of(&path));
        let mut file = std::fs::File::create(&path).expect("writable");
        file.write_all(b"half").expect("writable");
        while !watch.is_being_written().await {
            watch.signal.wait().await;
        }
        // Several times as long as a file takes to settle.
        let changed = tokio::time::timeout(Duration::from_secs(1), watch.changed());
        assert!(changed.await.is_err(), "half of it is read");
        file.write_all(b" and the other half").expect("writable");
        drop(file);
        let changed = tokio::time::timeout(Duration::from_secs(60), watch.changed());
        assert!(changed.await.is_ok());
        assert_eq!(
            watch.content.as_deref(),
            Some(&b"half and the other half"[..])
        );
    }
}
