//! The control socket: how `hotsocket swap`, `status` and the other commands
//! reach a running server.
//!
//! A Unix socket that only its owner and root may connect to. Each connection
//! carries one request and one answer, which may be a stream. Requests are bounded in size and time, each
//! and together, and are served concurrently; a client that hangs is evicted when
//! another needs its permit. Neither end trusts a process of another user.
//!
//! - [`protocol`]: what is sent over it
//! - [`socket_path`]: where sockets are; [`find`]: which server is meant
//! - [`connection`]: one connection, and who is at its other end
//! - [`client`], [`server`]: the two ends
//! - [`listener`]: the file of the server's end
//! - [`receive`]: from the bytes of a connection to a request
//! - [`connections`], [`store`], [`watch`]: what some requests are answered with
//! - [`admission`]: which clients are served, and which one is evicted

pub(crate) mod admission;
pub mod client;
mod connection;
pub(crate) mod connections;
pub mod find;
mod listener;
pub mod protocol;
pub(crate) mod receive;
pub mod server;
pub mod socket_path;
mod store;
mod watch;
