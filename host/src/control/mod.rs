//! The control socket: how `hotsocket swap`, `status` and the other commands
//! reach a running server.
//!
//! A Unix socket that only its owner may connect to. Each connection carries
//! one request and one answer. Requests are bounded in size and time and are
//! served concurrently; a client that hangs is evicted when another needs its
//! permit.
//!
//! - [`protocol`]: what is sent over it
//! - [`socket_path`]: where sockets are, and which server is meant
//! - [`server`], [`client`]: the two ends
//! - [`admission`]: which clients are served, and which one is evicted

mod admission;
pub mod client;
pub mod protocol;
pub mod server;
pub mod socket_path;
