//! TCP: from a listening socket to connections. There is no handshake beyond the
//! kernel's.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hotsocket_sandbox::{Stream, Transport};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

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

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
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
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn handshake(self) -> Handshake {
        let local = match self.local {
            Some(local) => Ok(local),
            // Fails if the peer has already reset the connection.
            None => self.stream.local_addr(),
        };
        Handshake::Done(local.map(|local| Connected {
            stream: Box::new(TcpTransport(self.stream)) as Stream,
            local,
            peer: self.peer,
        }))
    }

    fn reset(self) {
        Box::new(TcpTransport(self.stream)).reset();
    }
}

/// A connected TCP socket.
#[derive(Debug)]
pub struct TcpTransport(pub TcpStream);

impl Transport for TcpTransport {
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    /// Asks the kernel: tokio knows only of what it has been woken for.
    fn is_ready_now(&self, to_read: bool, to_write: bool) -> bool {
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, to_read);
        wanted.set(PollFlags::OUT, to_write);
        let mut sockets = [PollFd::new(&self.0, wanted)];
        let now = Timespec::default();
        poll(&mut sockets, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    fn ends_when_dropped(&self) -> bool {
        true
    }

    fn reset(self: Box<Self>) {
        // Dropping sends the RST (socket(7), SO_LINGER with a time of 0); if the
        // option is rejected, a FIN must do.
        let _ = socket2::SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }
}

impl AsyncRead for TcpTransport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, space)
    }
}

impl AsyncWrite for TcpTransport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
