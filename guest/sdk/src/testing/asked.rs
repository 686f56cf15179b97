//! What a guest has asked the host for, as its unit tests see it.

use std::time::Duration;

use super::{Session, recorder};
use crate::Handler;

impl<H: Handler> Session<H> {
    /// Whether the guest has called [`Connection::end`](crate::Connection::end).
    #[must_use]
    pub fn has_ended(&self) -> bool {
        recorder::with(|recorded| recorded.ended)
    }

    /// Whether the guest has called [`Connection::abort`](crate::Connection::abort).
    #[must_use]
    pub fn has_aborted(&self) -> bool {
        recorder::with(|recorded| recorded.aborted)
    }

    /// Whether the guest has called [`Connection::hold_open`](crate::Connection::hold_open), and not ended its
    /// side since.
    #[must_use]
    pub fn is_held_open(&self) -> bool {
        recorder::with(|recorded| recorded.held_open && !recorded.ended)
    }

    /// Whether the guest has called [`Connection::pause`](crate::Connection::pause), and not
    /// [`Connection::resume`](crate::Connection::resume) since.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        recorder::with(|recorded| recorded.paused)
    }

    /// How often the guest has called [`Connection::checkpoint`](crate::Connection::checkpoint).
    #[must_use]
    pub fn checkpoints(&self) -> usize {
        recorder::with(|recorded| recorded.checkpoints)
    }

    /// How much time has passed since the connection was accepted. It is what
    /// [`environment::uptime`](crate::environment::uptime) gives, and passes in
    /// [`advance`](Self::advance) only; the wall clock
    /// ([`environment::now`](crate::environment::now)) begins at 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn time(&self) -> Duration {
        recorder::with(|recorded| recorded.now)
    }

    /// What the guest calls the connection ([`Connection::set_label`](crate::Connection::set_label)).
    #[must_use]
    pub fn label(&self) -> String {
        recorder::with(|recorded| recorded.label.clone())
    }

    /// What the guest has published since this was last asked, with the topics.
    #[must_use]
    pub fn published(&self) -> Vec<(String, Vec<u8>)> {
        recorder::with(|recorded| std::mem::take(&mut recorded.published))
    }

    /// The patterns that the guest has subscribed to, in alphabetical order.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<String> {
        recorder::with(|recorded| recorded.subscriptions.iter().cloned().collect())
    }

    /// What is published when the connection is over, with its topic.
    #[must_use]
    pub fn will(&self) -> Option<(String, Vec<u8>)> {
        recorder::with(|recorded| recorded.will.clone())
    }
}
