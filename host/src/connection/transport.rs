//! What the driver needs of a socket.

use std::any::Any;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::runtime::Sink;

/// A byte stream with both ends closed one by one. [`TcpStream`] in the
/// server; something in memory where no network is wanted.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Write what fits now, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when nothing fits; anything else ends the connection.
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Drop the connection with a RST instead of a FIN.
    fn reset(self);
}

impl<T: Transport> Sink for T {
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Transport::write_now(self, bytes)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

impl Transport for TcpStream {
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(bytes)
    }

    fn reset(self) {
        // Dropping sends the RST; if the option is refused, a FIN must do.
        let _ = socket2::SockRef::from(&self).set_linger(Some(Duration::ZERO));
    }
}
