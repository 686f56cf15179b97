//! What a driver waits for between two events: bytes, room for bytes, an order,
//! a timer or a deadline. It reads and writes, and never calls the guest.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

use super::buffer::Buffer;
use super::driver::Driver;
use super::ending::Ending;
use crate::runtime::CloseReason;

/// What ended a wait.
pub(super) enum Woken {
    /// So many bytes are in the buffer.
    Read(Buffer, usize),
    /// The peer sent FIN.
    Eof,
    /// The peer took some of what is queued.
    Wrote,
    Failed(io::Error),
    /// Something else may have changed: an order, a timer.
    Look,
}

impl Driver {
    /// Bytes have moved; only timeouts that are on want to know when.
    pub(super) fn moved(&mut self) {
        if self.context.limits.idle_timeout.is_some()
            || self.phase.fin_sent
            || !self.outbox.is_empty()
        {
            self.progress = Instant::now();
        }
    }

    /// The moment at which the connection is over if nothing moves, and why.
    fn deadline(&self) -> Option<(Instant, Ending)> {
        let limits = &self.context.limits;
        // Nearly always, and asked twice for each event.
        if self.outbox.is_empty()
            && !self.phase.fin_sent
            && self.drain_until.is_none()
            && limits.idle_timeout.is_none()
        {
            return None;
        }
        let idle = limits
            .idle_timeout
            .map(|time| (self.progress + time, Ending::Host(CloseReason::IdleTimeout)));
        let write = (!self.outbox.is_empty())
            .then(|| (self.progress + limits.write_timeout, Ending::WriteTimeout));
        let half = (self.phase.fin_sent).then(|| {
            (
                self.progress + limits.half_close_timeout,
                Ending::HalfClosed,
            )
        });
        let drain = self
            .drain_until
            .map(|until| (until, Ending::Host(CloseReason::Swapped)));
        [write, half, drain, idle]
            .into_iter()
            .flatten()
            .min_by_key(|(due, _)| *due)
    }

    pub(super) fn check_deadlines(&self) -> Result<(), Ending> {
        match self.deadline() {
            Some((due, ending)) if due <= Instant::now() => Err(ending),
            _ => Ok(()),
        }
    }

    /// Wait for whatever comes first. Holds a read buffer only while it reads.
    pub(super) async fn wait(&mut self) -> Woken {
        let due = self
            .deadline()
            .map(|(due, _)| due)
            .into_iter()
            .chain(self.timers.next())
            .chain(self.bedtime())
            .min();
        if let Some(due) = due {
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
            // An alarm that rings too early only costs another look; setting
            // it anew for each event would cost more.
            if alarm.deadline() > due || alarm.is_elapsed() {
                alarm.as_mut().reset(due);
            }
        }
        let awaits_alarm = due.is_some();
        let reads = !self.phase.full && !self.phase.peer_ended;
        poll_fn(|cx| {
            self.entry.handle().listen(cx.waker());
            if self.is_wanted() {
                return Poll::Ready(Woken::Look);
            }
            if awaits_alarm
                && let Some(alarm) = &mut self.alarm
                && alarm.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Woken::Look);
            }
            if !self.outbox.is_empty()
                && let Poll::Ready(woken) = self.poll_write(cx)
            {
                return Poll::Ready(woken);
            }
            if reads {
                self.poll_read(cx)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    fn poll_read(&mut self, cx: &mut TaskContext<'_>) -> Poll<Woken> {
        let mut buffer = Buffer::take();
        let mut space = ReadBuf::new(buffer.bytes());
        match Pin::new(&mut self.socket).poll_read(cx, &mut space) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Woken::Failed(error)),
            Poll::Ready(Ok(())) => match space.filled().len() {
                0 => Poll::Ready(Woken::Eof),
                count => Poll::Ready(Woken::Read(buffer, count)),
            },
        }
    }

    fn poll_write(&mut self, cx: &mut TaskContext<'_>) -> Poll<Woken> {
        match Pin::new(&mut self.socket).poll_write(cx, self.outbox.slice()) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(count)) => {
                self.outbox.advance(count);
                Poll::Ready(Woken::Wrote)
            }
            Poll::Ready(Err(error)) => Poll::Ready(Woken::Failed(error)),
        }
    }
}
