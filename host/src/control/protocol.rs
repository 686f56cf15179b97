//! What goes over the control socket.
//!
//! The client sends one line of JSON, a [`Request`], and after it exactly
//! `length` bytes if the request carries a component. The server answers with
//! one line of JSON, an [`Answer`], and closes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::registry::{Record, Report};

/// Longest line of a request, in bytes.
pub const MAX_REQUEST: usize = 16 * 1024;

/// What a client asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "request")]
pub enum Request {
    Status,
    /// `length` bytes of a component follow.
    Swap {
        /// The file as the caller named it; for people only.
        name: String,
        length: u64,
        policy: Option<String>,
    },
    Rollback {
        policy: Option<String>,
    },
    History,
}

/// What the server says.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    Status(Box<Status>),
    Swap(Report),
    Rollback(Report),
    History { generations: Vec<Record> },
    Error { error: String },
}

/// A server's state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub pid: u32,
    pub uptime_s: u64,
    pub listeners: Vec<String>,
    pub guest: String,
    pub generation: u64,
    pub sha256: String,
    /// The file that is watched, if one is.
    pub watching: Option<String>,
    pub connections: Connections,
    /// Those kept for rollback and those that still have connections, oldest
    /// first.
    pub generations: Vec<GenerationStatus>,
    /// How often each limit was reached since the start, by its flag or, where
    /// none sets it, a name of its own; those that never were are left out.
    pub limits_reached: BTreeMap<String, u64>,
    /// Lines that nobody read in time and that were dropped.
    pub dropped_lines: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Connections {
    pub open: usize,
    pub limit: usize,
    /// Since the start.
    pub accepted: u64,
    pub refused: u64,
    /// Instances that trapped or met a limit.
    pub faults: u64,
    /// Instances replaced after a fault (`--on-trap restart`).
    pub restarts: u64,
    /// Connections whose instance hibernates now (`--hibernate-after`).
    pub asleep: u64,
    /// Instances that went to sleep, and that were woken, since the start.
    pub hibernated: u64,
    pub woken: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GenerationStatus {
    pub number: u64,
    pub guest: String,
    pub sha256: String,
    pub active: bool,
    pub connections: usize,
    /// Connections that it took over when it became active last.
    pub migrated: usize,
    /// Connections that it failed to take over.
    pub failed: usize,
    /// Seconds since it was accepted.
    pub age_s: u64,
}
