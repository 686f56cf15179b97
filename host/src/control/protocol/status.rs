//! What the answer to [`super::Request::Status`] says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CertificateStatus, DrainStatus, NatsStatus};

/// A server's state, and that of one of its services: of the one that was asked for, or of
/// the first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub pid: u32,
    pub uptime_s: u64,
    #[serde(flatten)]
    pub service: ServiceStatus,
    /// All services, or the one that was asked for.
    #[serde(default)]
    pub services: Vec<ServiceStatus>,
    /// How the server drains, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draining: Option<DrainStatus>,
    /// Lines dropped because standard output or error was not read in time, or
    /// could not be written.
    pub dropped_lines: u64,
    /// The same by whose lines they are: those of guests on `stdout` and `stderr`,
    /// and those of the host's `log`. Omits those of which none was dropped.
    pub dropped_lines_of: BTreeMap<String, u64>,
}

/// The state of one service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceStatus {
    #[serde(default)]
    pub name: String,
    pub listeners: Vec<String>,
    /// The addresses of listeners that have a name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub named_listeners: BTreeMap<String, String>,
    /// The certificates of listeners that speak TLS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateStatus>,
    pub guest: String,
    pub generation: u64,
    pub sha256: String,
    /// The served file, if it is watched.
    pub watching: Option<String>,
    /// The names of the guest's settings (`--set`); values may be secrets.
    #[serde(default)]
    pub settings: Vec<String>,
    pub connections: Connections,
    #[serde(default)]
    pub traffic: Traffic,
    pub memory: MemoryStatus,
    #[serde(default)]
    pub store: StoreStatus,
    /// The generations kept for rollback and those that still have connections,
    /// oldest first.
    pub generations: Vec<GenerationStatus>,
    /// How often each limit was reached since the start, by the name of its flag
    /// or, where no flag sets it, a name of its own. Omits those never reached.
    pub limits_reached: BTreeMap<String, u64>,
    /// NATS, with `--topics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nats: Option<NatsStatus>,
}

/// What connections say to each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Topics {
    /// Those with subscribers, in alphabetical order; of more than
    /// [`MAX_TOPICS`](super::MAX_TOPICS), any so many.
    pub topics: Vec<TopicStatus>,
    /// How many have subscribers.
    pub count: usize,
    /// Messages since the start: published, put into mailboxes, and dropped because a
    /// mailbox or the queue of a peer was full.
    pub published: u64,
    pub delivered: u64,
    pub dropped: u64,
    /// Other nodes, with `--topics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nats: Option<NatsStatus>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TopicStatus {
    /// A topic or a pattern.
    pub pattern: String,
    pub subscribers: usize,
    /// Messages that matched it since it has subscribers.
    pub messages: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Connections {
    pub open: usize,
    pub limit: usize,
    /// Since the start.
    pub accepted: u64,
    pub refused: u64,
    /// Instances that trapped or exceeded a limit.
    pub faults: u64,
    /// Instances replaced after a fault (`--on-trap restart`).
    pub restarts: u64,
    /// Connections that hibernate now (`--hibernate-after`).
    pub asleep: u64,
    /// Instances that were hibernated, and that were woken, since the start.
    pub hibernated: u64,
    pub woken: u64,
    /// How many instances were not hibernated since their last event, by the reason.
    #[serde(default)]
    pub stays_awake: BTreeMap<String, u64>,
}

/// What connections carry.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Bytes from peers and bytes for them, since the start.
    pub received: u64,
    pub sent: u64,
    /// Bytes that wait for peers now.
    pub queued: u64,
    /// Calls of guests since the start.
    pub events: u64,
}

/// The memory of instances, in bytes: linear memories, tables, and what the host
/// has allocated for them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemoryStatus {
    /// Of all instances together, now.
    pub instances: usize,
    /// What each of them may have.
    pub limit_each: usize,
}

/// What connections have set by keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StoreStatus {
    pub keys: usize,
    /// Of keys and values, with what each takes besides.
    pub bytes: usize,
    /// Where it is kept (`--store`).
    #[serde(default)]
    pub file: Option<String>,
    /// How often it could not be written.
    #[serde(default)]
    pub errors: u64,
    /// If it is kept in NATS, whether that is there. Keys and bytes are not known then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nats: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GenerationStatus {
    pub number: u64,
    pub guest: String,
    pub sha256: String,
    pub active: bool,
    pub connections: usize,
    /// Connections that migrated to it when it last became active.
    pub migrated: usize,
    /// Connections that failed to migrate to it.
    pub failed: usize,
    /// Seconds since it was accepted.
    pub age_s: u64,
}
