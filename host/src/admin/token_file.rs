//! Notices that the file of the token has changed: from then on the new token is right and
//! the one before is not. A file that is wrong changes nothing.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::server::Shared;
use super::token::Token;
use crate::watch::{ChangeSignal, FileThread, Stamp, directories_of, settle};

/// A file that never stops changing is looked at after this time.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// Follow the file, for as long as this is polled.
pub(super) async fn follow(path: PathBuf, shared: &Shared) -> Infallible {
    let signal = ChangeSignal::new("the file of the token");
    let thread = FileThread::default();
    let look = async |is_watching: bool| {
        let (path, signal) = (path.clone(), signal.clone());
        let look = move || {
            if is_watching {
                signal.watch_directories(directories_of(&path).into_iter().collect());
            }
            Stamp::of(&path)
        };
        thread.run(look).await.ok().flatten()
    };
    // Whatever happened since the start is found now.
    let mut read = None;
    let mut failure = None;
    loop {
        let stamp = look(true).await;
        if stamp.is_none() || stamp == read {
            signal.wait().await;
            continue;
        }
        read = settle(|| look(false), Some(SETTLED_AFTER)).await;
        let file = path.clone();
        match thread.run(move || Token::read(&file)).await {
            Ok(Ok(token)) => {
                failure = None;
                if shared.set_token(token) {
                    tracing::info!(kind = "admin", "the admin address has another token");
                    warn_if_readable(&path);
                }
            }
            Ok(Err(error)) => {
                let what = error.to_string();
                if failure.as_ref() != Some(&what) {
                    tracing::warn!(kind = "admin", "{what}; the token before stays");
                }
                failure = Some(what);
                // It may be possible to read it later, and nothing tells of that.
                read = None;
                signal.wait().await;
            }
            Err(error) => {
                let (path, error) = (path.display(), crate::os_error::message(&error));
                tracing::warn!(kind = "admin", "cannot read {path}: {error}");
                read = None;
                signal.wait().await;
            }
        }
    }
}

/// Say so if other users can read the token.
pub(super) fn warn_if_readable(path: &Path) {
    if fs::metadata(path).is_ok_and(|found| found.mode() & 0o077 != 0) {
        tracing::warn!(
            kind = "admin",
            "others can read the token in {0}; `chmod 600 {0}` keeps it secret",
            path.display()
        );
    }
}
