//! What a connection goes through between accept and its session: a PROXY header,
//! then TLS. Each layer takes a connected stream and gives one back, with what it
//! has learnt of the peer.

use std::io;

use super::Connected;

/// How a listener treats what it accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerOptions {}

/// The layers of one listener, ready to be used. All of its connections share them.
#[derive(Debug, Default)]
pub struct Layers {}

impl Layers {
    /// Whether connections are ready as they are: then no future is made for them.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Take the connection through each layer. Its task calls this, under
    /// `--handshake-timeout`.
    ///
    /// # Errors
    /// Where a layer refuses the connection, which is closed.
    pub async fn apply(&self, connected: Connected) -> io::Result<Connected> {
        Ok(connected)
    }
}
