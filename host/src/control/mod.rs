//! The control socket: how `swap`, `status` and the rest reach a server.
//!
//! A Unix socket that only its owner may connect to. One request and one
//! answer for each connection; requests are bounded in size and time, and
//! served one beside the other. A client that hangs loses its place to one that
//! needs it.
//!
//! - [`protocol`]: what goes over it
//! - [`place`]: where sockets are, and which server is meant
//! - [`server`], [`client`]: the two ends
//! - [`crowd`]: which clients have a place

pub mod client;
mod crowd;
pub mod place;
pub mod protocol;
pub mod server;
