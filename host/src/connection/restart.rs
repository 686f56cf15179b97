//! A dead instance is not a dead client: with `--on-trap restart` a connection
//! whose instance died gets a fresh one of the same generation.
//!
//! This is the only place where state may be old: the fresh instance opens
//! with the last snapshot that the host has taken, at most `--snapshot-every`
//! events ago, and the event that killed its predecessor is not given again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Counters;
use super::driver::Driver;
use super::ending::Ending;
use crate::runtime::{Cause, Fault, Origin, Succession};

/// Restarts are counted over this time to tell a crash loop.
const LOOP_TIME: Duration = Duration::from_secs(10);

/// What a connection keeps to survive its instance.
pub(super) struct Recovery {
    /// The last snapshot, and the events since.
    snapshot: Option<Vec<u8>>,
    events: u32,
    /// When it was restarted lately.
    restarts: VecDeque<Instant>,
}

impl Recovery {
    /// For a connection without state, as yet.
    pub fn new() -> Self {
        Recovery {
            snapshot: None,
            events: 0,
            restarts: VecDeque::new(),
        }
    }

    /// A snapshot was taken for another purpose: it is as good.
    pub fn renew(&mut self, snapshot: Option<Vec<u8>>) {
        self.snapshot = snapshot;
        self.events = 0;
    }
}

impl Driver {
    /// An event has succeeded: take a snapshot if it is time.
    pub(super) async fn keep_snapshot(&mut self) -> Result<(), Ending> {
        let Some(recovery) = &mut self.recovery else {
            return Ok(());
        };
        recovery.events += 1;
        if recovery.events < self.context.limits.snapshot_every {
            return Ok(());
        }
        let Some(instance) = &mut self.instance else {
            return Ok(());
        };
        match instance.save().await {
            Ok(snapshot) => {
                recovery.snapshot = snapshot;
                recovery.events = 0;
                Ok(())
            }
            Err(fault) if fault.is_fatal() => self.survive(fault).await,
            Err(fault) => {
                recovery.events = 0;
                tracing::warn!("connection {}: no snapshot: {fault}", self.ends().id);
                Ok(())
            }
        }
    }

    /// The instance died. Put a fresh one in its place if that is wanted, can
    /// be done, and was not done too often.
    pub(super) async fn survive(&mut self, fault: Fault) -> Result<(), Ending> {
        let Some(recovery) = &mut self.recovery else {
            return Err(Ending::Fault(fault));
        };
        if matches!(fault.cause, Cause::Exit(_)) {
            return Err(Ending::Fault(fault));
        }
        let now = Instant::now();
        recovery.restarts.retain(|at| now - *at < LOOP_TIME);
        if recovery.restarts.len() >= self.context.limits.max_restarts {
            return Err(Ending::CrashLoop(fault));
        }
        recovery.restarts.push_back(now);
        let succession = Succession {
            snapshot: recovery.snapshot.clone(),
            peer_ended: self.phase.peer_ended,
        };
        Counters::count(&self.context.counters.faults);
        Counters::count(&self.context.counters.restarts);
        let age = match recovery.events {
            0 => "just before".to_owned(),
            events => format!("{} events ago", events + 1),
        };
        tracing::error!(
            "connection {} from {}: {fault}; restarted with the state of {age}",
            self.ends().id,
            self.ends().peer,
        );
        let context = Arc::clone(&self.context);
        let code = &self.hold.generation().code;
        let fresh = context.runtime.instantiate(code, Some(self.ends())).await;
        let fresh = fresh.map_err(Ending::Fault)?;
        if let Some(dead) = self.instance.replace(fresh) {
            dead.retire();
        }
        self.open(Origin::Restarted(succession)).await
    }
}
