//! Long or blocking work on a thread of its own. Where the system refuses a
//! thread that is an error here; tokio's `spawn_blocking` panics.

use std::io;
use std::thread::Builder;

/// Run `work` on a new thread and wait for its result. The work can't be
/// cancelled: if nobody waits any more, it continues to its end.
///
/// # Errors
/// When the system refuses the thread, or the work panics.
pub async fn run_on_thread<R: Send + 'static>(
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
        .map_err(|_| io::Error::other("the thread panicked"))
}
