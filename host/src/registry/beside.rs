//! Work beside the threads that serve, each piece on a thread of its own: where
//! there is no room for one more, that is an error here, while tokio's own pool
//! panics.

use std::io;
use std::thread::Builder;

/// Do something that takes long or waits for a disk, and wait for its end. It
/// can't be stopped: if nobody waits any more, it goes on to its end.
///
/// # Errors
/// When there is no room for the thread, or when it panics.
pub async fn beside<R: Send + 'static>(
    thread: Builder,
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<R> {
    let (done, result) = tokio::sync::oneshot::channel();
    thread.spawn(move || {
        // Nobody waits any more when the server is shutting down.
        let _ = done.send(work());
    })?;
    result
        .await
        .map_err(|_| io::Error::other("the thread for it died"))
}
