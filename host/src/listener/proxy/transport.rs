//! Streams of which the first bytes are special.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hotsocket_sandbox::limit_counters::{Limit, LimitCounters};
use hotsocket_sandbox::{Endpoint, Stream, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::header::{SIGNATURE_V2, Signature, signature};
use super::log_closed;

/// A stream that begins with bytes that have been read from it already.
pub struct Prefixed {
    /// What of them is still to be read; empty most of the time.
    bytes: Vec<u8>,
    stream: Stream,
}

impl Prefixed {
    pub fn new(bytes: Vec<u8>, stream: Stream) -> Self {
        Prefixed { bytes, stream }
    }

    fn holds_bytes(&self) -> bool {
        !self.bytes.is_empty()
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, space);
        }
        let count = self.bytes.len().min(space.remaining());
        let left = self.bytes.split_off(count);
        space.put_slice(&self.bytes);
        self.bytes = left;
        Poll::Ready(Ok(()))
    }
}

/// A stream that fails as soon as its first bytes are the signature of a PROXY header.
pub struct Screened {
    /// The first bytes, as long as they may become a signature; `None` once they are none.
    begun: Option<Vec<u8>>,
    /// For the log.
    peer: Endpoint,
    reached: Arc<LimitCounters>,
    stream: Stream,
}

impl Screened {
    pub fn new(stream: Stream, peer: Endpoint, reached: Arc<LimitCounters>) -> Self {
        Screened {
            begun: Some(Vec::new()),
            peer,
            reached,
            stream,
        }
    }

    fn holds_bytes(&self) -> bool {
        false
    }

    /// # Errors
    /// When a header has come.
    fn screen(&mut self, read: &[u8]) -> io::Result<()> {
        let Some(begun) = &mut self.begun else {
            return Ok(());
        };
        // Not more than it takes, however much was read.
        let room = SIGNATURE_V2.len() - begun.len();
        begun.extend(read.iter().take(room));
        match signature(begun) {
            Signature::Begun => Ok(()),
            Signature::None => {
                self.begun = None;
                Ok(())
            }
            Signature::V1 | Signature::V2 => {
                let what = "a PROXY header came, and none may come from there";
                log_closed(&self.reached, Limit::ProxyHeader, self.peer, what);
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
        }
    }
}

impl AsyncRead for Screened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = space.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, space);
        if self.begun.is_some() && matches!(polled, Poll::Ready(Ok(()))) {
            let read = space.filled().get(before..).unwrap_or_default();
            self.screen(read)?;
        }
        polled
    }
}

/// All but reading is the stream's.
macro_rules! pass_on {
    ($($transport:ty),*) => {$(
        impl Transport for $transport {
            fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.stream.write_now(bytes)
            }

            fn is_ready_now(&self, to_read: bool, to_write: bool) -> bool {
                to_read && self.holds_bytes() || self.stream.is_ready_now(to_read, to_write)
            }

            fn is_broken(&self) -> bool {
                !self.holds_bytes() && self.stream.is_broken()
            }

            fn ends_when_dropped(&self) -> bool {
                self.stream.ends_when_dropped()
            }

            fn reset(self: Box<Self>) {
                self.stream.reset();
            }
        }

        impl AsyncWrite for $transport {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.stream).poll_write(cx, bytes)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.stream).poll_flush(cx)
            }

            fn poll_shutdown(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.stream).poll_shutdown(cx)
            }
        }
    )*};
}

pass_on!(Prefixed, Screened);
