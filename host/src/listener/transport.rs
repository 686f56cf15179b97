//! A connected socket, of any family, as a session's transport.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hotsocket_sandbox::Transport;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// What the streams of tokio have in common, without a trait for it.
pub trait Socket: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static {
    /// # Errors
    /// As writing; `WouldBlock` if nothing can be taken now.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
}

impl Socket for TcpStream {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        TcpStream::try_write(self, bytes)
    }
}

impl Socket for UnixStream {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        UnixStream::try_write(self, bytes)
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct SocketTransport<S>(pub S);

impl<S: Socket> SocketTransport<S> {
    fn poll_now(&self, wanted: PollFlags) -> PollFlags {
        let mut sockets = [PollFd::new(&self.0, wanted)];
        let polled = poll(&mut sockets, Some(&Timespec::default()));
        let [socket] = sockets;
        polled.map_or(PollFlags::empty(), |_| socket.revents())
    }
}

impl<S: Socket> Transport for SocketTransport<S> {
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    /// Asks the kernel: tokio knows only of what it has been woken for.
    fn is_ready_now(&self, to_read: bool, to_write: bool) -> bool {
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, to_read);
        wanted.set(PollFlags::OUT, to_write);
        self.poll_now(wanted).intersects(wanted | PollFlags::ERR)
    }

    /// POLLHUP comes with every end of a Unix socket's peer, also while bytes of its are
    /// unread (unix_poll in Linux' net/unix/af_unix.c).
    fn is_broken(&self) -> bool {
        let polled = self.poll_now(PollFlags::empty());
        let is_over = polled.contains(PollFlags::HUP)
            && rustix::io::ioctl_fionread(&self.0).is_ok_and(|unread| unread == 0);
        is_over || polled.contains(PollFlags::ERR)
    }

    fn ends_when_dropped(&self) -> bool {
        true
    }

    fn reset(self: Box<Self>) {
        // Dropping sends the RST (socket(7), SO_LINGER with a time of 0); if the
        // option is rejected, a FIN must do. A Unix socket has neither: the peer reads
        // its end, or ECONNRESET if it has sent what nobody has read (unix(7)).
        let _ = socket2::SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }
}

impl<S: Socket> AsyncRead for SocketTransport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, space)
    }
}

impl<S: Socket> AsyncWrite for SocketTransport<S> {
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
