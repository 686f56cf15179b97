//! What a session waits for between two events: bytes, room for bytes, a
//! rollout, a timer or a deadline. It never calls the guest.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use hotsocket_sandbox::CloseReason;
use tokio::time::{Instant, sleep_until};

use super::close::CloseCause;
use super::state::Session;
use crate::channel::{ChannelTimeout, Directions, FULL_READS, Ready};

/// What ended a wait.
pub(super) enum Woken {
    Channel(Ready),
    /// A deadline is over, and nothing has moved.
    Expired(CloseCause),
    /// Something else may have changed: a rollout, a timer.
    Look,
}

/// After the end of a drain, events that the peer has caused before it: as many as
/// the channel reads before it gives way to others.
const LATE_EVENTS: usize = FULL_READS;

/// Until the I/O driver has heard of what the kernel says is there.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// While a channel is neither read nor written, its socket is looked at so often.
const UNWATCHED: Duration = Duration::from_secs(5);

/// What ends the session at a given time.
#[derive(Clone, Copy, Debug)]
enum Deadline {
    /// Nothing has moved until then.
    Channel(ChannelTimeout),
    /// A drain is over, whatever moves.
    Drain,
}

impl Deadline {
    fn cause(self) -> CloseCause {
        match self {
            Deadline::Channel(ChannelTimeout::Write) => CloseCause::WriteTimeout,
            Deadline::Channel(ChannelTimeout::HalfClose) => CloseCause::HalfCloseTimeout,
            Deadline::Channel(ChannelTimeout::Idle) => CloseCause::Host(CloseReason::IdleTimeout),
            Deadline::Drain => CloseCause::Host(CloseReason::Swapped),
        }
    }

    /// What must not move for it to end the session.
    fn directions(self) -> Directions {
        Directions {
            read: !matches!(self, Deadline::Channel(ChannelTimeout::Write)),
            write: !matches!(self, Deadline::Drain),
        }
    }
}

impl Session {
    /// When the session is over if nothing moves, and why.
    fn deadline(&self) -> Option<(Instant, Deadline)> {
        let channel = self.channel.deadline(&self.limits);
        let channel = channel.map(|(due, timeout)| (due, Deadline::Channel(timeout)));
        let drain = self
            .rollout
            .drain
            .map(|drain| (drain.until, Deadline::Drain));
        let deadlines = channel.into_iter().chain(drain);
        deadlines.min_by_key(|(due, _)| *due)
    }

    /// Count an event that comes after the end of a drain.
    pub fn note_late_event(&mut self) {
        if let Some(drain) = &mut self.rollout.drain
            && drain.until <= Instant::now()
        {
            drain.late_events += 1;
        }
    }

    /// Whether a drain is over, and what came after its end was enough.
    pub fn is_drained(&self) -> bool {
        let drain = self.rollout.drain;
        drain.is_some_and(|drain| drain.late_events >= LATE_EVENTS)
    }

    /// Wait for whatever comes first. Holds a read buffer only while it reads.
    pub async fn wait(&mut self) -> Woken {
        let deadline = self.deadline();
        // Most sessions have none, and need no clock here.
        let overdue = deadline.filter(|(due, _)| *due <= Instant::now());
        let overdue = overdue.map(|(_, deadline)| deadline);
        if self.is_drained() {
            return Woken::Expired(Deadline::Drain.cause());
        }
        let is_unwatched = self.channel.is_unwatched();
        if is_unwatched && self.channel.is_broken() {
            let reset = io::Error::from(io::ErrorKind::ConnectionReset);
            return Woken::Channel(Ready::Failed(reset));
        }
        let due = match overdue {
            Some(_) => Some(Instant::now() + LOOK_AGAIN),
            None => deadline.map(|(due, _)| due),
        };
        let held_until = self.held_until();
        let timer = self.timers.next().filter(|_| held_until.is_none());
        let due = due
            .into_iter()
            .chain(held_until)
            .chain(timer)
            .chain(self.hibernate_at())
            .chain(is_unwatched.then(|| Instant::now() + UNWATCHED))
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
        let takes_events = self.takes_messages();
        poll_fn(|cx| {
            self.entry.handle().register(cx.waker());
            if self.rollout.must_look(&self.service.rollouts) {
                return Poll::Ready(Woken::Look);
            }
            match overdue {
                Some(deadline) => match self.channel.poll_overdue(cx, deadline.directions()) {
                    Poll::Ready(Some(ready)) => return Poll::Ready(Woken::Channel(ready)),
                    Poll::Ready(None) => return Poll::Ready(Woken::Expired(deadline.cause())),
                    Poll::Pending => {}
                },
                // Before the alarm: timers that are always due would keep the session
                // from what its peer sends.
                None => {
                    if let Poll::Ready(ready) = self.channel.poll_ready(cx) {
                        return Poll::Ready(Woken::Channel(ready));
                    }
                }
            }
            if self.may_exchange(takes_events) {
                return Poll::Ready(Woken::Look);
            }
            if awaits_alarm
                && let Some(alarm) = &mut self.alarm
                && alarm.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Woken::Look);
            }
            self.pace.rest();
            self.report();
            Poll::Pending
        })
        .await
    }
}
