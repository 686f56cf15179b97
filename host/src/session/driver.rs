//! The session's loop: wait for the channel, a timer or a rollout, and call the
//! guest for the event.

use std::convert::Infallible;

use hotsocket_sandbox::{CloseReason, Origin};
use tokio::time::Instant;

use super::close::CloseCause;
use super::event::Event;
use super::state::Session;
use super::wait::Woken;
use crate::channel::{FULL_READS, Ready};
use crate::limits::READ_SIZE;
use crate::tap::{Mark, MarkKind};

impl Session {
    /// Everything up to the decision that the session is over.
    pub async fn run(&mut self) -> CloseCause {
        match self.live().await {
            Ok(never) => match never {},
            Err(cause) => cause,
        }
    }

    async fn live(&mut self) -> Result<Infallible, CloseCause> {
        Box::pin(self.open(Origin::Accepted)).await?;
        self.note_activity();
        let mut full_reads = 0;
        loop {
            self.give_way().await;
            self.follow_rollouts().await?;
            if self.awaits_tls() {
                // The handshake may take long, and others wait for what was asked for
                // before it.
                self.carry_out_requests().await?;
                Box::pin(self.secure()).await?;
            }
            self.exchange_messages().await?;
            let is_held = self.is_held();
            self.channel.hold(is_held);
            if !is_held {
                self.ring_timers().await?;
            }
            // The guest has just asked for it: nothing more in plain text.
            if self.awaits_tls() {
                continue;
            }
            if !is_held && self.channel.take_drained() {
                self.deliver(Event::Drained).await?;
                // The guest may have to wait for the peer again. Others have
                // their turn before it writes on.
                self.let_others_run().await;
                self.note_late_event();
                match self.is_drained() {
                    true => return Err(CloseCause::Host(CloseReason::Swapped)),
                    false => continue,
                }
            }
            self.end_if_done().await?;
            self.hibernate_if_due().await?;
            match self.wait().await {
                Woken::Channel(Ready::Read(buffer, count)) => {
                    self.note_late_event();
                    self.channel.note_progress(&self.limits);
                    self.deliver(Event::Data(buffer.filled(count))).await?;
                    // Given back before others read: while this session waits for
                    // its turn, each of them would need another, cold one.
                    drop(buffer);
                    full_reads = match count {
                        READ_SIZE => full_reads + 1,
                        _ => 0,
                    };
                    if full_reads == FULL_READS {
                        full_reads = 0;
                        self.let_others_run().await;
                    }
                }
                Woken::Channel(Ready::Eof) => {
                    self.channel.note_progress(&self.limits);
                    self.deliver(Event::End).await?;
                }
                Woken::Channel(Ready::Wrote) => {
                    self.channel.note_progress(&self.limits);
                    // Behind a FIN nothing is written: it had to wait.
                    self.record_fin();
                    if self.channel.queued() > 0 {
                        self.let_others_run().await;
                    }
                }
                Woken::Channel(Ready::Failed(error)) => return Err(CloseCause::PeerGone(error)),
                Woken::Expired(cause) => return Err(cause),
                Woken::Look => {}
            }
        }
    }

    /// Look at the board of rollouts, if it has changed since last time.
    pub async fn follow_rollouts(&mut self) -> Result<(), CloseCause> {
        let version = self.service.rollouts.version();
        if version == self.rollout.seen {
            return Ok(());
        }
        if self.service.rollouts.stopping() {
            return Err(CloseCause::Host(CloseReason::Shutdown));
        }
        match Box::pin(self.apply_rollout()).await? {
            true => self.rollout.seen = version,
            false => self.rollout.deferred = version,
        }
        Ok(())
    }

    /// Those that are due, until one has published: it may do as much as any event may, which
    /// is charged and given back before the next. Not here, as a guest that is held again at
    /// once would never get what its peer sends.
    async fn ring_timers(&mut self) -> Result<(), CloseCause> {
        if self.timers.next().is_some() {
            let now = Instant::now();
            while !self.awaits_tls()
                && !self.has_requests()
                && let Some(id) = self.timers.due(now)
            {
                self.deliver(Event::Timer(id)).await?;
                self.give_way().await;
            }
        }
        Ok(())
    }

    fn record_fin(&self) {
        if self.channel.fin_sent() {
            self.record_mark(|| Mark::new(MarkKind::FinSent, "this side has ended"));
        }
    }

    /// Send FIN when this side is done, and see whether both are.
    async fn end_if_done(&mut self) -> Result<(), CloseCause> {
        let was_sent = self.channel.fin_sent();
        let ended = self.channel.end_if_done().await;
        if !was_sent {
            self.record_fin();
        }
        match ended.map_err(CloseCause::PeerGone)? {
            true => Err(CloseCause::Ended),
            false => Ok(()),
        }
    }
}
