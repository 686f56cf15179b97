//! Listeners: where connections come from.
//!
//! A [`Listener`] accepts; what it accepts is [`Incoming`], a connection that is
//! not ready yet. The handshake (nothing for TCP; a PROXY header, TLS) runs in
//! the connection's own task under `--handshake-timeout`, before an instance
//! exists, so a slow peer delays nobody else.
//!
//! - [`mod@bind`]: from an address to a listening socket, or to a sentence that
//!   says why not
//! - [`address`]: what can be listened on
//! - [`inherited`](fn@inherited): sockets that systemd has opened
//! - [`tcp`], [`unix`]: sockets as listeners; [`transport`]: one that is connected
//! - [`limits`], [`ranges`]: what one listener lets in, and what holds for a peer because
//!   of its address
//! - [`layers`]: what a connection goes through before it has a session; [`proxy`]: the
//!   first of them, a PROXY header; [`tls`]: the second
//! - [`mod@accept`]: the accept loop and what it does about errors
//!
//! A listener never reads or writes a connection once its handshake is done.

mod accept;
mod address;
mod bind;
mod inherited;
mod layers;
mod limits;
pub(crate) mod proxy;
mod ranges;
mod tcp;
pub mod tls;
mod transport;
mod unix;

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use hotsocket_sandbox::{Endpoint, PeerFacts, Stream};

pub use accept::{Intake, accept};
pub use address::ListenAddress;
pub use bind::{BindError, Bound, Handle, Listening, SocketOptions, adopt, bind};
pub use inherited::{Inherited, inherited};
pub use layers::{Layers, ListenerOptions};
pub use limits::Access;
pub use proxy::HeaderPolicy;
pub use ranges::{Range, Ranges};
pub use tcp::{Tcp, TcpIncoming};
pub use transport::SocketTransport;
pub use unix::{Unix, UnixIncoming};

/// Yields connections.
pub trait Listener: Send + 'static {
    type Incoming: Incoming;

    /// Wait for the next connection. Safe to cancel.
    ///
    /// # Errors
    /// See [`mod@accept`] for what becomes of them.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Incoming>> + Send;
}

/// An accepted connection before its handshake.
pub trait Incoming: Send + 'static {
    /// Who has connected, as far as is known before the handshake.
    fn peer(&self) -> Endpoint;

    /// Make the connection ready. Called in the connection's own task.
    fn handshake(self) -> Handshake;

    /// Refuse the connection with a RST.
    fn reset(self);
}

/// A handshake that is over, or that takes time.
pub enum Handshake {
    Done(io::Result<Connected>),
    Pending(Pin<Box<dyn Future<Output = io::Result<Connected>> + Send>>),
}

/// A connection that is ready for a session.
pub struct Connected {
    pub stream: Stream,
    /// The address that the peer connected to.
    pub local: Endpoint,
    pub peer: Endpoint,
    /// What layers have learnt of the peer; `None` where nothing is known but its
    /// address.
    pub facts: Option<Arc<PeerFacts>>,
}

impl Connected {
    /// What is known of the peer, to be added to.
    pub fn facts_mut(&mut self) -> &mut PeerFacts {
        Arc::make_mut(self.facts.get_or_insert_default())
    }
}
