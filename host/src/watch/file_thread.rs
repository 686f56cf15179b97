//! A thread for what may hang: looking at and reading files, whose file system may
//! be on a network.

use std::io;
use std::thread;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::guest_file::{READ_TIMEOUT, no_answer};

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs one after the other on a thread of its own, and waits for none of them
/// longer than [`READ_TIMEOUT`]. While one hangs, others time out, and the server
/// goes on; when its file system answers, the thread does, too. It ends after this
/// value.
#[derive(Default)]
pub struct FileThread {
    /// `None` until it is started. There is room for one job, so no more than that
    /// collect behind one that hangs.
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
}

impl FileThread {
    /// Run a job there. One that is not waited for any longer may still run later.
    ///
    /// # Errors
    /// When the job takes too long, or there is no thread for it.
    pub async fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> io::Result<R> {
        let jobs = self.jobs()?;
        let (send, result) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Nobody waits for what has taken too long.
            let _ = send.send(job());
        });
        let done = async {
            jobs.send(job).await.ok();
            result.await
        };
        match timeout(READ_TIMEOUT, done).await {
            Ok(done) => done.map_err(|_| io::Error::other("its thread has ended")),
            Err(_) => Err(no_answer(READ_TIMEOUT)),
        }
    }

    /// Where jobs go; starts the thread if there is none.
    fn jobs(&self) -> io::Result<mpsc::Sender<Job>> {
        let mut jobs = self.jobs.lock();
        if let Some(jobs) = jobs.as_ref().filter(|jobs| !jobs.is_closed()) {
            return Ok(jobs.clone());
        }
        let (send, mut received) = mpsc::channel::<Job>(1);
        let thread = thread::Builder::new().name("files".to_owned());
        thread.spawn(move || {
            while let Some(job) = received.blocking_recv() {
                job();
            }
        })?;
        Ok(jobs.insert(send).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[tokio::test]
    async fn one_that_hangs_is_not_waited_for_and_the_next_ones_run_in_the_end() {
        let files = FileThread::default();
        let name = || thread::current().name().map(str::to_owned);
        let ran = files.run(name).await.expect("it runs");
        assert_eq!(ran.as_deref(), Some("files"));
        // From here on the clock jumps to the end of each wait.
        tokio::time::pause();
        let (answer, hangs) = sync_channel::<()>(0);
        let hung = files.run(move || hangs.recv()).await;
        assert_eq!(
            hung.map(drop).map_err(|error| error.kind()),
            Err(io::ErrorKind::TimedOut)
        );
        for _ in 0..3 {
            let behind = files.run(|| ()).await.map_err(|error| error.kind());
            assert_eq!(behind, Err(io::ErrorKind::TimedOut));
        }
        drop(answer);
        tokio::time::resume();
        assert_eq!(files.run(|| 7).await.expect("it runs again"), 7);
    }
}
