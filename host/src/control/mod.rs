//! The control socket: how `swap`, `status` and the rest reach a server.
//!
//! A Unix socket that only its owner may connect to. One request and one
//! answer for each connection; requests are bounded in size and time, and
//! served one beside the other.
//!
//! - [`protocol`]: what goes over it
//! - [`place`]: where sockets are, and which server is meant
//! - [`server`], [`client`]: the two ends

pub mod client;
pub mod place;
pub mod protocol;
pub mod server;
