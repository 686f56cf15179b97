//! A channel on its way out: without an instance, until its socket is closed.
//!
//! Closing never destroys a reply on its way. Closing a socket with unread bytes
//! in it, or into which bytes still come, makes the kernel send a RST (RFC 1122,
//! 4.2.2.13), and a RST makes the peer's kernel throw away what its program has
//! not read yet. So after FIN the channel is read and discarded, for a bounded
//! time.

use std::future::poll_fn;
use std::time::Duration;

use hotsocket_sandbox::let_others_run;
use tokio::time::{Instant, timeout_at};

use super::{Channel, ReadBuffer, Traffic};

/// A timer that rings so late has not run while the machine was paused. Then the
/// peer gets as long once more.
const PAUSE: Duration = Duration::from_secs(1);

/// A closing channel. [`Self::finish`] it.
pub struct Closing(Channel);

/// What the peer did not do in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// It did not read what was queued (`--grace`).
    Flush,
    /// It did not end its side (`--linger`).
    Linger,
}

/// What became of a channel that was closed.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    pub traffic: Traffic,
    /// `None` if the peer did all that it should.
    pub late: Option<Late>,
}

impl Channel {
    /// Close when both sides have ended, or the peer is gone.
    pub fn close(self) -> Closed {
        Closed {
            traffic: self.traffic,
            late: None,
        }
    }

    /// Close with a RST.
    pub fn reset(mut self) -> Closed {
        if let Some(stream) = self.stream.take() {
            stream.reset();
        }
        self.close()
    }

    /// Only what is queued is still sent.
    pub fn into_closing(self) -> Closing {
        Closing(self)
    }
}

impl Closing {
    /// Send what is queued until `flush_by`, then FIN; then read and discard
    /// until the peer ends, is quiet for `quiet`, or `linger` is over. Closes
    /// the socket. Calls `flushed` in between.
    pub async fn finish(
        mut self,
        flush_by: Instant,
        linger: Duration,
        quiet: Duration,
        flushed: impl FnOnce(),
    ) -> Closed {
        let late = self
            .flush_and_linger(flush_by, linger, quiet, flushed)
            .await;
        Closed {
            traffic: self.0.traffic(),
            late,
        }
    }

    async fn flush_and_linger(
        &mut self,
        flush_by: Instant,
        linger: Duration,
        quiet: Duration,
        flushed: impl FnOnce(),
    ) -> Option<Late> {
        let mut flush = timeout_at(flush_by, self.flush()).await;
        if flush.is_err() && flush_by.elapsed() > PAUSE {
            let end = Instant::now() + PAUSE;
            flush = timeout_at(end, self.flush()).await;
        }
        match flush {
            Err(_) => return Some(Late::Flush),
            Ok(Err(_)) => return None,
            Ok(Ok(())) if self.0.peer_ended() => return None,
            Ok(Ok(())) => {}
        }
        flushed();
        let end = Instant::now() + linger;
        let mut buffer = ReadBuffer::take();
        while Instant::now() < end {
            let next = end.min(Instant::now() + quiet);
            let read = timeout_at(next, poll_fn(|cx| self.0.poll_fill(cx, &mut buffer)));
            match read.await {
                Ok(Ok(count)) if count > 0 => {}
                Err(_) if Instant::now() >= end => break,
                _ => return None,
            }
        }
        Some(Late::Linger)
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        while self.0.queued() > 0 {
            poll_fn(|cx| self.0.poll_flush(cx)).await?;
            let_others_run().await;
        }
        match self.0.fin_sent() {
            true => Ok(()),
            false => self.0.send_fin().await,
        }
    }
}
