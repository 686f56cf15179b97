//! What a session waits for between two events: bytes, room for bytes, a
//! rollout, a timer or a deadline. It never calls the guest.

use std::future::poll_fn;
use std::task::Poll;

use hotsocket_sandbox::CloseReason;
use tokio::time::{Instant, sleep_until};

use super::close::CloseCause;
use super::state::Session;
use crate::channel::{ChannelTimeout, Ready};

/// What ended a wait.
pub(super) enum Woken {
    Channel(Ready),
    /// Something else may have changed: a rollout, a timer, a deadline.
    Look,
}

impl Session {
    /// When the session is over if nothing moves, and why.
    fn deadline(&self) -> Option<(Instant, CloseCause)> {
        let channel = self.channel.deadline(&self.service.limits);
        let channel = channel.map(|(due, timeout)| {
            let cause = match timeout {
                ChannelTimeout::Write => CloseCause::WriteTimeout,
                ChannelTimeout::HalfClose => CloseCause::HalfCloseTimeout,
                ChannelTimeout::Idle => CloseCause::Host(CloseReason::IdleTimeout),
            };
            (due, cause)
        });
        let Some(until) = self.rollout.drain_until else {
            return channel;
        };
        match channel {
            Some(channel) if channel.0 <= until => Some(channel),
            _ => Some((until, CloseCause::Host(CloseReason::Swapped))),
        }
    }

    pub fn check_deadlines(&self) -> Result<(), CloseCause> {
        match self.deadline() {
            Some((due, cause)) if due <= Instant::now() => Err(cause),
            _ => Ok(()),
        }
    }

    /// Wait for whatever comes first. Holds a read buffer only while it reads.
    pub async fn wait(&mut self) -> Woken {
        let due = self
            .deadline()
            .map(|(due, _)| due)
            .into_iter()
            .chain(self.timers.next())
            .chain(self.hibernate_at())
            .min();
        if let Some(due) = due {
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
            // An alarm that rings too early only costs another look; resetting
            // it for each event would cost more.
            if alarm.deadline() > due || alarm.is_elapsed() {
                alarm.as_mut().reset(due);
            }
        }
        let awaits_alarm = due.is_some();
        poll_fn(|cx| {
            self.entry.handle().register(cx.waker());
            if self.rollout.must_look(&self.service.rollouts) {
                return Poll::Ready(Woken::Look);
            }
            // Before the alarm: timers that are always due would keep the session from
            // what its peer sends.
            if let Poll::Ready(ready) = self.channel.poll_ready(cx) {
                return Poll::Ready(Woken::Channel(ready));
            }
            if awaits_alarm
                && let Some(alarm) = &mut self.alarm
                && alarm.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Woken::Look);
            }
            self.pace.rest();
            Poll::Pending
        })
        .await
    }
}
