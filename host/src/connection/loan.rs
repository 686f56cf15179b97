//! A socket that an event may write to while it runs.
//!
//! The driver owns its socket. For the time of one event it lends it to the
//! instance, so that the guest's bytes go from the guest's memory to the kernel
//! without a copy in between; when the event is over it takes it back.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::transport::Stream;
use crate::runtime::Sink;

pub(super) enum Socket {
    /// In a second box, as the instance knows of it no more than that it is a
    /// sink.
    Here(Box<Stream>),
    /// In the hands of the event under way. Nothing is read or written here
    /// meanwhile, so what follows tells an error only of this program's making.
    Lent,
}

impl Socket {
    pub fn new(socket: Stream) -> Self {
        Socket::Here(Box::new(socket))
    }

    pub fn lend(&mut self) -> Option<Box<dyn Sink>> {
        match std::mem::replace(self, Socket::Lent) {
            Socket::Here(socket) => Some(socket),
            Socket::Lent => None,
        }
    }

    pub fn take_back(&mut self, loan: Box<dyn Sink>) {
        if let Ok(socket) = loan.into_any().downcast() {
            *self = Socket::Here(socket);
        }
    }

    /// Write what fits now, without waiting.
    pub fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Sink::write_now(self.here()?.get_mut(), bytes)
    }

    pub fn reset(self) {
        if let Socket::Here(socket) = self {
            socket.reset();
        }
    }

    fn here(&mut self) -> io::Result<Pin<&mut Stream>> {
        match self {
            Socket::Here(socket) => Ok(Pin::new(socket)),
            Socket::Lent => Err(io::Error::other("the socket is lent to an event")),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().here()?.poll_read(cx, space)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().here()?.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().here()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().here()?.poll_shutdown(cx)
    }
}
