//! Listeners: the addresses that connections are accepted on.
//!
//! - [`mod@bind`]: from an address to a listening socket, or to a sentence that
//!   says why not
//! - [`mod@accept`]: the accept loop and what it does about errors
//!
//! A listener never reads or writes a connection.

mod accept;
mod bind;

pub use accept::{Wrap, accept, plain};
pub use bind::{BindError, SocketOptions, bind};
