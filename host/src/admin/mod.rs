//! The admin address (`--admin`): what a node shows over HTTP.
//!
//! | path | what it answers |
//! | --- | --- |
//! | `/metrics` | the metrics, as Prometheus reads them |
//! | `/live` | 200 if the threads that serve run a task within [`router::LIVE_WITHIN`], else 503 |
//! | `/ready` | 200 if connections are accepted; 503 while the node starts, drains or stops |
//! | `/status` | the JSON of `hotsocket status --json` |
//!
//! All of it only reads: GET and HEAD. It runs on a thread of its own, so that no client
//! delays a session, and answers while the serving threads have much to do.
//!
//! - [`options`]: where it listens, and for which names
//! - [`server`]: its thread, the accept loop, and what bounds clients
//! - [`host`]: which Host headers are answered, against DNS rebinding
//! - [`router`]: from a request to an answer
//! - [`metrics`]: the metrics

mod host;
mod metrics;
mod options;
mod router;
mod server;

pub use options::{AdminLimits, AdminOptions};
pub use server::{Admin, AdminError, AdminNode};
