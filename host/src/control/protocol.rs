//! The protocol of the control socket.
//!
//! The client sends one line of JSON, a [`RequestLine`], and after it exactly
//! `length` bytes if the request carries a component. The server answers with
//! one line of JSON, an [`Answer`], and closes. While it works on a request it
//! sends a space now and then, which JSON allows before a value.
//!
//! The answer to [`Request::Watch`] are lines of JSON until one of the ends has gone:
//! those of [`crate::tap`], or an [`Answer::Error`].
//!
//! - [`status`]: the answer to [`Request::Status`]

mod status;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::drain::DrainStatus;
pub use crate::listener::tls::CertificateStatus;
pub use crate::nats::NatsStatus;
use crate::registry::{Record, Report};
pub use status::{
    Connections, GenerationStatus, MemoryStatus, ServiceStatus, Status, StoreStatus, TopicStatus,
    Topics, Traffic,
};

/// Length of the longest request line, in bytes.
pub const MAX_REQUEST: usize = 16 * 1024;

/// Length of the longest answer that a client reads, in bytes. An answer grows with
/// the generations that are kept, each a few hundred bytes.
pub const MAX_ANSWER: u64 = 64 << 20;

/// The most topics in one answer.
pub const MAX_TOPICS: usize = 10_000;

/// The most connections in one answer.
pub const MAX_ROWS: usize = 10_000;

/// Between two signs of life of a server that works on a request.
pub const SIGN_OF_LIFE: Duration = Duration::from_millis(250);

/// The line that a client sends: a request, and whom it is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestLine {
    /// The service by its name; not needed where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(flatten)]
    pub request: Request,
}

/// What a client requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "request")]
pub enum Request {
    Status,
    /// `length` bytes of a component follow.
    Swap {
        /// The file as the caller named it; only shown.
        name: String,
        length: u64,
        policy: Option<String>,
    },
    Rollback {
        policy: Option<String>,
        /// The number of the generation that is left, if it matters which one is active.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<u64>,
    },
    History,
    /// `length` bytes of a message follow.
    Publish {
        topic: String,
        length: u64,
    },
    Topics,
    /// Some of the open connections.
    Connections(ConnectionQuery),
    /// Show a connection while it is served, or all of the service.
    Watch {
        connection: Option<u64>,
    },
    /// Begin to drain if there is an order, and say how far it is.
    Drain {
        order: Option<DrainOrder>,
    },
    /// Where the admin address is, and its token.
    Admin,
    /// Something with the store.
    Store {
        bucket: String,
        #[serde(flatten)]
        operation: StoreOperation,
    },
}

/// Which of the open connections, and in which order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ConnectionQuery {
    /// Of this service only. It comes with the [`RequestLine`].
    #[serde(skip)]
    pub service: Option<String>,
    /// Those of which each of these words is in peer, listener, service, state, label, last
    /// event or `gen` and the generation, without regard to case.
    #[serde(default)]
    pub filter: Option<String>,
    pub sort: SortBy,
    #[serde(default)]
    pub reverse: bool,
    /// So many at most; never more than [`MAX_ROWS`].
    pub rows: usize,
}

/// What connections are sorted by. Of numbers the largest come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SortBy {
    #[default]
    Id,
    Peer,
    Service,
    Generation,
    State,
    Received,
    Sent,
    Queued,
    Age,
    Idle,
}

/// How to drain.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct DrainOrder {
    /// What is left after so many milliseconds is closed.
    pub max_ms: u64,
    /// The server ends when nothing is left.
    pub ends: bool,
}

/// What is done with a key of the store, or with several.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "operation")]
pub enum StoreOperation {
    Get {
        key: String,
    },
    /// `length` bytes of a value follow.
    Set {
        key: String,
        length: u64,
        /// How long it lives, in milliseconds; for ever if not given.
        life_ms: Option<u64>,
    },
    Delete {
        key: String,
    },
    List {
        prefix: String,
        cursor: Option<String>,
    },
}

/// What the server answers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    Status(Box<Status>),
    Swap(Report),
    Rollback(Report),
    History {
        generations: Vec<Record>,
    },
    /// To so many connections, and to NATS.
    Published {
        receivers: usize,
        nats: bool,
    },
    Topics(Topics),
    Connections(ConnectionList),
    Drain {
        /// `None` if the server does not drain.
        drain: Option<DrainStatus>,
    },
    Admin(AdminPlace),
    /// The value in Base16, as it may be any bytes.
    Value {
        value: Option<String>,
    },
    Set,
    /// Whether there was something to delete.
    Deleted {
        deleted: bool,
    },
    Keys {
        keys: Vec<String>,
        /// For the next part, if this was not the last.
        cursor: Option<String>,
    },
    Error {
        error: String,
    },
}

/// Where the admin address is, and what opens it. Nothing but the control socket, which is
/// for its owner only, says this.
#[derive(Clone, Serialize, Deserialize)]
pub struct AdminPlace {
    /// `127.0.0.1:9300`, or `unix:` and a path.
    pub address: String,
    pub token: String,
    /// What a browser opens; none of a Unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// Debugging output ends in logs, where no token belongs.
impl fmt::Debug for AdminPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminPlace")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Some of the open connections.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ConnectionList {
    /// How many are open.
    pub open: usize,
    /// How many of those the question is about.
    pub matching: usize,
    /// The first of them.
    pub connections: Vec<ConnectionRow>,
}

/// What is known of one connection. Values are those of its last rest between two events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConnectionRow {
    pub id: u64,
    pub peer: String,
    /// The address that the peer connected to.
    pub listener: String,
    pub service: String,
    pub generation: u64,
    /// `opening`, `awake`, `asleep`, `probation`, `draining` or `closing`.
    pub state: String,
    /// Bytes from the peer, and bytes that its socket has taken.
    pub received: u64,
    pub sent: u64,
    /// Bytes that wait for the peer.
    pub queued: u64,
    pub age_ms: u64,
    /// Since bytes last moved.
    pub idle_ms: u64,
    /// The last function of the guest that was called for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event: Option<String>,
    /// CPU time of its events, estimated from those that are measured.
    #[serde(default)]
    pub cpu_us: u64,
    /// What the guest calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}
