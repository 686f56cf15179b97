//! The admin address (`--admin`): what a node shows over HTTP.
//!
//! | path | what it answers |
//! | --- | --- |
//! | `/metrics` | the metrics, as Prometheus reads them |
//! | `/live` | 200 if the threads that serve run a task within [`router::LIVE_WITHIN`], else 503 |
//! | `/ready` | 200 if connections are accepted; 503 while the node starts, drains or stops |
//! | `/status` | the JSON of `hotsocket status --json` |
//!
//! | `/`, `/page/` | the inspector's page, or for programs the list of paths |
//! | `/api/` | what the page needs: lists, and with the token actions and what is secret |
//!
//! It runs on a thread of its own, so that no client delays a session, and answers while the
//! serving threads have much to do. docs/inspector-api.md says who may read and do what.
//!
//! - [`options`]: where it listens, and for which names
//! - [`server`]: its thread and the accept loop; [`client`]: what bounds one client
//! - [`host`]: which Host headers are answered, against DNS rebinding; [`origin`]: whose
//!   pages may use the API; [`token`], [`token_file`]: who may do things
//! - [`router`]: from a request to an answer; [`answer`]: the headers that all have
//! - [`page`]: the files of the page; [`api`]: what it asks for
//! - [`metrics`]: the metrics

mod answer;
mod api;
mod client;
mod host;
mod link;
mod metrics;
mod options;
mod origin;
mod page;
mod router;
mod server;
mod token;
mod token_file;

pub use options::{AdminLimits, AdminOptions};
pub use server::{Admin, AdminAccess, AdminError, AdminNode};
pub use token::{Token, TokenError};
