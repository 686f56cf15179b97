//! The generations of a service: which there are, and how the next one takes
//! over.
//!
//! A swap makes a new generation, tries it, and only then publishes one rollout
//! that every session applies between two of its events. A swap that fails
//! changes nothing. A rollback is a swap to a generation that is still compiled.
//!
//! - [`swap`]: the pipeline from bytes to a rollout that is applied, and back
//! - [`mod@compile`]: from bytes to a guest that has been tried out
//! - [`kept`]: the generations that are still compiled
//! - [`history`]: what became of each generation
//! - [`report`]: the answer to a swap; [`totals`]: how many there were
//! - [`mod@watch`]: swaps when the served file changes
//!
//! This module touches neither a socket nor an instance of a session.

mod compile;
mod history;
mod kept;
mod report;
mod swap;
mod totals;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hotsocket_sandbox::{CompiledGuest, Sandbox};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

pub use compile::{SwapError, compile};
pub use history::Record;
pub use report::{Outcome, Report};
pub use totals::SwapTotals;
pub use watch::watch;

use crate::limits::{LimitError, Limits, Setting};
use crate::rollout::{Generation, Policy, RollbackAfter, Rollouts, Source};
use crate::roster::Roster;
use history::History;
use kept::Kept;

/// Compilations at once; there are more than one only when one that can't be stopped
/// takes too long.
const MAX_COMPILERS: usize = 2;

/// How swaps are done when they don't say.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub policy: Policy,
    /// `None`: never.
    pub rollback_after: Option<RollbackAfter>,
    /// Generations kept compiled besides the active one, to go back to.
    pub keep: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            policy: Policy::Migrate,
            rollback_after: Some(RollbackAfter {
                failures: 3,
                among: 10,
            }),
            keep: 5,
        }
    }
}

impl Rules {
    /// Check that the rules can be followed.
    ///
    /// # Errors
    /// Names the first that can't.
    pub fn validate(&self) -> Result<(), LimitError> {
        Setting::number("keep", self.keep, 1..=10_000).validate()?;
        if let Policy::Drain(time) = self.policy {
            let times = Duration::ZERO..=crate::duration::MAX;
            Setting::time("on-swap drain", time, times).validate()?;
        }
        match self.rollback_after {
            Some(RollbackAfter { failures, among }) if !(1..=among).contains(&failures) => {
                Err(LimitError {
                    flag: "rollback-after",
                    value: format!("{failures}/{among}"),
                    expected: "N/M with N from 1 to M".to_owned(),
                })
            }
            _ => Ok(()),
        }
    }
}

/// What a registry goes by; see [`Registry::configure`].
#[derive(Clone, Copy)]
struct RegistrySettings {
    rules: Rules,
    /// Connections that may be open.
    max_connections: usize,
    /// No event takes longer, so no session is later to apply a rollout.
    event_timeout: Duration,
}

impl RegistrySettings {
    fn new(rules: Rules, limits: &Limits) -> Self {
        RegistrySettings {
            rules,
            max_connections: limits.max_connections,
            event_timeout: limits.event_timeout,
        }
    }
}

/// The generations of one service.
pub struct Registry {
    sandbox: Arc<Sandbox>,
    rollouts: Arc<Rollouts>,
    roster: Arc<Roster>,
    settings: Mutex<RegistrySettings>,
    /// Swaps to new code, one at a time: the others wait here in order. A way back waits for
    /// no compilation.
    compiling: tokio::sync::Mutex<()>,
    /// Changes of the active generation, one at a time. Taken after the one above.
    swapping: tokio::sync::Mutex<()>,
    /// Compilations in progress, also those that nobody waits for any more.
    compilers: Arc<Semaphore>,
    kept: Mutex<Kept>,
    history: Mutex<History>,
    totals: SwapTotals,
    /// A listener lets guests begin TLS.
    offers_tls: AtomicBool,
}

impl Registry {
    /// Begin with generation 1.
    pub fn new(
        sandbox: Arc<Sandbox>,
        roster: Arc<Roster>,
        first: Arc<CompiledGuest>,
        source: Source,
        rules: Rules,
        limits: &Limits,
    ) -> Self {
        let max = limits.max_connections;
        if let Some(room) = sandbox.room_for(&first).filter(|room| *room < max) {
            tracing::info!(
                "{source} has several memories or many tables: there is room for {room} \
                 connections, fewer than --max-connections {max}"
            );
        }
        let first = Arc::new(Generation::new(1, first, source));
        let mut history = History::default();
        history.activate(&first, None);
        Registry {
            sandbox,
            rollouts: Arc::new(Rollouts::new(Arc::clone(&first))),
            roster,
            settings: Mutex::new(RegistrySettings::new(rules, limits)),
            compiling: tokio::sync::Mutex::new(()),
            swapping: tokio::sync::Mutex::new(()),
            compilers: Arc::new(Semaphore::new(MAX_COMPILERS)),
            kept: Mutex::new(Kept::new(first)),
            history: Mutex::new(history),
            totals: SwapTotals::default(),
            offers_tls: AtomicBool::new(false),
        }
    }

    /// Change what swaps go by from the next one on.
    pub fn configure(&self, rules: Rules, limits: &Limits) {
        *self.settings.lock() = RegistrySettings::new(rules, limits);
    }

    /// Whether a listener lets guests begin TLS, from now on. Returns whether that has
    /// changed.
    pub fn offer_tls(&self, offers: bool) -> bool {
        self.offers_tls.swap(offers, Ordering::Relaxed) != offers
    }

    /// Warn if a listener lets guests begin TLS, and the active one never will.
    pub fn warn_of_plain_text(&self) {
        let active = self.active();
        if self.offers_tls.load(Ordering::Relaxed) && !active.guest.begins_tls {
            tracing::warn!(
                kind = "tls",
                "{} begins no TLS, as it does not import hotsocket:tls: its connections stay in \
                 plain text (--tls-mode starttls)",
                active.source
            );
        }
    }

    fn settings(&self) -> RegistrySettings {
        *self.settings.lock()
    }

    pub fn rollouts(&self) -> &Arc<Rollouts> {
        &self.rollouts
    }

    /// The generation that new connections get.
    pub fn active(&self) -> Arc<Generation> {
        self.rollouts.active()
    }

    /// The generations that are kept and those that still have connections,
    /// oldest first.
    pub fn generations(&self) -> Vec<Arc<Generation>> {
        self.kept.lock().generations()
    }

    /// Swaps and migrations since the start.
    pub fn totals(&self) -> &SwapTotals {
        &self.totals
    }

    pub fn history(&self) -> Vec<Record> {
        self.history.lock().records()
    }
}
