//! How a channel sends its FIN: behind everything that is queued, and without waiting for
//! it. Under TLS close_notify comes before FIN and may have to wait for the peer; then it
//! waits as queued bytes do, under the same deadline ([`super::deadline`]).

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::{Channel, Ready, WriteSide};

impl Channel {
    /// Send FIN when this side is done and everything is sent. True when both
    /// sides are done.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn end_if_done(&mut self) -> io::Result<bool> {
        if self.peer_ended() && !self.held_open {
            self.end_writing();
        }
        if self.write == WriteSide::Ending && self.queue.is_empty() {
            // Both sides are done: the socket is closed next, which sends FIN.
            if self.peer_ended() && self.stream_mut()?.ends_when_dropped() {
                self.write = WriteSide::Ended;
                return Ok(true);
            }
            // If it has to wait, it does so with everything else, under the same deadline.
            if let Poll::Ready(sent) = poll_fn(|cx| Poll::Ready(self.poll_fin(cx))).await {
                sent?;
            }
        }
        Ok(self.peer_ended() && self.fin_sent())
    }

    pub(super) async fn send_fin(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_fin(cx)).await
    }

    fn poll_fin(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut **self.stream_mut()?).poll_shutdown(cx) {
            Poll::Pending => {
                if !self.fin_waits {
                    self.fin_waits = true;
                    self.taken = Instant::now();
                }
                Poll::Pending
            }
            Poll::Ready(sent) => {
                sent?;
                self.write = WriteSide::Ended;
                self.fin_waits = false;
                self.moved = Instant::now();
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Write some of what is queued, or the FIN that has to wait.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Ready> {
        let sent = match (self.queue.is_empty(), self.fin_waits) {
            (false, _) => self.poll_flush(cx),
            (true, true) => self.poll_fin(cx),
            (true, false) => return Poll::Pending,
        };
        sent.map(|sent| sent.map_or_else(Ready::Failed, |()| Ready::Wrote))
    }
}

#[cfg(test)]
mod tests {
    use hotsocket_sandbox::Transport;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::*;
    use crate::channel::deadline::ChannelTimeout;
    use crate::limits::Limits;

    /// Its peer neither sends nor takes anything.
    struct Stuck;

    impl Transport for Stuck {
        fn write_now(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn is_ready_now(&self, _: bool, _: bool) -> bool {
            false
        }

        fn reset(self: Box<Self>) {}
    }

    impl AsyncRead for Stuck {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Stuck {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_fin_that_must_wait_has_a_deadline() -> io::Result<()> {
        let limits = Limits::default();
        let mut channel = Channel::new(Box::new(Stuck));
        assert!(channel.deadline(&limits).is_none());
        channel.end();
        // It does not wait here.
        assert!(!channel.end_if_done().await?);
        let deadline = channel.deadline(&limits).map(|(_, timeout)| timeout);
        assert_eq!(deadline, Some(ChannelTimeout::Write));
        Ok(())
    }
}
