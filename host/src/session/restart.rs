//! A dead instance is not a dead client: with `--on-trap restart` a session
//! whose instance died gets a fresh one of the same generation.
//!
//! This is the only place where state may be old: the fresh instance opens with
//! the last snapshot that the host has taken, at most `--snapshot-every` events
//! ago or when the guest last asked for one (`checkpoint`), and the event that killed
//! its predecessor is not delivered again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hotsocket_sandbox::{Cause, Event, Fault, Origin, Succession};
use tokio::time::Instant;

use super::close::CloseCause;
use super::log::FaultOutcome;
use super::record::Entrance;
use super::state::Session;
use crate::service::Counters;
use crate::tap::MarkKind;

/// Restarts are counted over this time to detect a crash loop.
const LOOP_TIME: Duration = Duration::from_secs(10);

/// What a session keeps to survive its instance.
pub(super) struct Recovery {
    /// The last snapshot; `None` if the guest had no state then.
    snapshot: Option<Vec<u8>>,
    /// Events since the last snapshot.
    events: u32,
    /// When snapshots are taken.
    checkpoints: Checkpoints,
    /// When the session was restarted, within [`LOOP_TIME`].
    restarts: VecDeque<Instant>,
}

/// When the snapshots of a session are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checkpoints {
    /// After so many events (`--snapshot-every`): the guest has never asked for one.
    Counted,
    /// When the guest asks for one, as it did in the event that has just succeeded.
    Due,
    /// When the guest asks for one again.
    Asked,
}

impl Recovery {
    /// For a session without state, as yet.
    pub fn new() -> Self {
        Recovery {
            snapshot: None,
            events: 0,
            checkpoints: Checkpoints::Counted,
            restarts: VecDeque::new(),
        }
    }

    /// The guest has asked for a snapshot after this event. From now on it says when.
    pub fn await_checkpoint(&mut self) {
        self.checkpoints = Checkpoints::Due;
    }

    /// Whether it has, in the event that has just succeeded.
    pub fn is_asked(&self) -> bool {
        self.checkpoints == Checkpoints::Due
    }

    /// An event has succeeded. Whether a snapshot is to be taken.
    fn is_due(&mut self, snapshot_every: u32) -> bool {
        self.events = self.events.saturating_add(1);
        match self.checkpoints {
            Checkpoints::Counted => self.events >= snapshot_every,
            Checkpoints::Due => {
                self.checkpoints = Checkpoints::Asked;
                true
            }
            Checkpoints::Asked => false,
        }
    }

    /// A snapshot was taken for another purpose: it serves as well.
    pub fn renew(&mut self, snapshot: Option<Vec<u8>>) {
        self.snapshot = snapshot;
        self.events = 0;
    }
}

impl Session {
    /// An event has succeeded: take a snapshot if it is time.
    pub async fn keep_snapshot(&mut self) -> Result<(), CloseCause> {
        let Some(recovery) = &mut self.recovery else {
            return Ok(());
        };
        if !recovery.is_due(self.limits.snapshot_every) {
            return Ok(());
        }
        let saved = self.take_snapshot().await;
        let Some(recovery) = &mut self.recovery else {
            return Ok(());
        };
        match saved {
            Ok(snapshot) => {
                recovery.renew(snapshot);
                Ok(())
            }
            Err(fault) if fault.is_fatal() => self.restart(fault).await,
            Err(fault) => {
                recovery.events = 0;
                self.log_no_snapshot(&fault);
                Ok(())
            }
        }
    }

    /// The instance died. Put a fresh one in its place if that is wanted, can
    /// be done, and was not done too often.
    pub async fn restart(&mut self, fault: Fault) -> Result<(), CloseCause> {
        let peer_ended = self.channel.peer_ended();
        self.restart_with(fault, peer_ended, 1).await
    }

    /// The same where so many events are lost by the fault itself, and the peer has ended
    /// its side as far as the guest is to know.
    pub async fn restart_with(
        &mut self,
        fault: Fault,
        peer_ended: bool,
        lost: u32,
    ) -> Result<(), CloseCause> {
        let Some(recovery) = &mut self.recovery else {
            return Err(CloseCause::Fault(fault));
        };
        if matches!(fault.cause, Cause::Exit(_)) {
            return Err(CloseCause::Fault(fault));
        }
        let now = Instant::now();
        recovery.restarts.retain(|at| now - *at < LOOP_TIME);
        if recovery.restarts.len() >= self.limits.max_restarts {
            return Err(CloseCause::CrashLoop(fault));
        }
        recovery.restarts.push_back(now);
        let origin = Origin::Restarted(Succession {
            snapshot: recovery.snapshot.clone(),
            peer_ended,
        });
        let lost_events = recovery.events.saturating_add(lost);
        let generation = Arc::clone(self.generation.generation());
        let timers = self.timers.clone();
        let entrance = Entrance {
            kind: MarkKind::Restart,
            is_held: false,
        };
        let entered = self.enter(&generation, origin, timers, entrance).await;
        self.service.counters.faults.count(fault.cause.name());
        match entered {
            Ok(effects) => {
                Counters::count(&self.service.counters.restarts);
                self.log_fault(&fault, FaultOutcome::Restarted { lost_events });
                self.apply(effects)
            }
            Err(second) => {
                self.log_fault(&fault, FaultOutcome::Closed);
                match second.event {
                    Event::Open => Err(CloseCause::from_open(second)),
                    _ => Err(CloseCause::Fault(second)),
                }
            }
        }
    }
}
