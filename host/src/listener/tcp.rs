//! TCP: from a listening socket to connections. There is no handshake beyond the
//! kernel's.

use std::io;
use std::net::SocketAddr;

use hotsocket_sandbox::{Endpoint, Stream, Transport};
use tokio::net::{TcpListener, TcpStream};

use super::transport::SocketTransport;
use super::{Connected, Handshake, Incoming, Listener};

/// A socket that listens; see [`super::bind()`].
#[derive(Debug)]
pub struct Tcp {
    socket: TcpListener,
    /// `None` where it listens on all addresses of the machine: then each
    /// connection knows which one its peer has chosen.
    local: Option<SocketAddr>,
}

impl From<TcpListener> for Tcp {
    fn from(socket: TcpListener) -> Self {
        let local = socket.local_addr().ok();
        Tcp {
            socket,
            local: local.filter(|local| !local.ip().is_unspecified()),
        }
    }
}

impl Listener for Tcp {
    type Incoming = TcpIncoming;

    async fn accept(&mut self) -> io::Result<TcpIncoming> {
        let (stream, peer) = self.socket.accept().await?;
        Ok(TcpIncoming {
            stream,
            peer,
            local: self.local,
        })
    }
}

/// An accepted socket.
#[derive(Debug)]
pub struct TcpIncoming {
    stream: TcpStream,
    peer: SocketAddr,
    local: Option<SocketAddr>,
}

impl Incoming for TcpIncoming {
    fn peer(&self) -> Endpoint {
        Endpoint::Ip(self.peer)
    }

    fn handshake(self) -> Handshake {
        let local = match self.local {
            Some(local) => Ok(local),
            // Fails if the peer has already reset the connection.
            None => self.stream.local_addr(),
        };
        Handshake::Done(local.map(|local| Connected {
            stream: Box::new(SocketTransport(self.stream)) as Stream,
            local: Endpoint::Ip(local),
            peer: Endpoint::Ip(self.peer),
            facts: None,
        }))
    }

    fn reset(self) {
        Box::new(SocketTransport(self.stream)).reset();
    }
}
