//! What the driver needs of a socket.

use std::any::Any;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::runtime::Sink;

/// A byte stream with both ends closed one by one. [`TcpStream`] in the
/// server; something in memory where no network is wanted.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send {
    /// Write what fits now, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when nothing fits; anything else ends the connection.
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Drop the connection with a RST instead of a FIN.
    fn reset(self: Box<Self>);
}

/// One of the drivers' sockets. There is one kind of driver for all of them:
/// compared with a system call, finding the right function costs nothing.
pub type Stream = Box<dyn Transport>;

impl Sink for Stream {
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (**self).write_now(bytes)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

impl Transport for TcpStream {
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(bytes)
    }

    fn reset(self: Box<Self>) {
        // Dropping sends the RST; if the option is refused, a FIN must do.
        let _ = socket2::SockRef::from(&*self).set_linger(Some(Duration::ZERO));
    }
}
