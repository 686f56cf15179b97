//! Unix sockets as a listener. Who may connect is up to the file's mode.

use std::io;

use hotsocket_sandbox::{Endpoint, Stream, UnixPeer};
use tokio::net::{UnixListener, UnixStream};

use super::transport::SocketTransport;
use super::{Connected, Handshake, Incoming, Listener};
use crate::socket_file::SocketFile;

/// A socket that listens; its file, if it has one, is removed with it.
#[derive(Debug)]
pub struct Unix {
    socket: UnixListener,
    _file: Option<SocketFile>,
}

impl Unix {
    pub fn new(socket: UnixListener, file: Option<SocketFile>) -> Self {
        Unix {
            socket,
            _file: file,
        }
    }
}

impl Listener for Unix {
    type Incoming = UnixIncoming;

    async fn accept(&mut self) -> io::Result<UnixIncoming> {
        let (stream, _) = self.socket.accept().await?;
        let peer = stream.peer_cred().ok().map(|peer| UnixPeer {
            uid: peer.uid(),
            gid: peer.gid(),
            pid: peer.pid().filter(|pid| *pid > 0),
        });
        Ok(UnixIncoming { stream, peer })
    }
}

/// An accepted socket.
#[derive(Debug)]
pub struct UnixIncoming {
    stream: UnixStream,
    peer: Option<UnixPeer>,
}

impl Incoming for UnixIncoming {
    fn peer(&self) -> Endpoint {
        Endpoint::Unix(self.peer)
    }

    fn handshake(self) -> Handshake {
        Handshake::Done(Ok(Connected {
            peer: Endpoint::Unix(self.peer),
            local: Endpoint::Unix(None),
            stream: Box::new(SocketTransport(self.stream)) as Stream,
            facts: None,
        }))
    }

    fn reset(self) {}
}
