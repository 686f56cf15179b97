//! A socket with a fault built in, to show that the soak would find it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hotsocket::listener::{Connected, Handshake, Incoming, Listener, Tcp, TcpIncoming};
use hotsocket_sandbox::{Endpoint, Stream, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is done to one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Drop,
    Repeat,
    /// Changes places with the next one.
    Swap,
}

/// On which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToGuest,
    ToClient,
}

/// One fault on one connection.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub kind: Kind,
    pub way: Way,
    /// It happens once so many bytes have passed.
    pub after: usize,
}

/// A listener whose third connection has the fault.
pub struct FaultyListener {
    listener: Tcp,
    fault: Fault,
    accepted: u32,
}

impl FaultyListener {
    pub fn new(listener: Tcp, fault: Fault) -> Self {
        FaultyListener {
            listener,
            fault,
            accepted: 0,
        }
    }
}

impl Listener for FaultyListener {
    type Incoming = FaultyIncoming;

    async fn accept(&mut self) -> io::Result<FaultyIncoming> {
        let incoming = self.listener.accept().await?;
        self.accepted += 1;
        Ok(FaultyIncoming {
            incoming,
            fault: (self.accepted == 3).then_some(self.fault),
        })
    }
}

pub struct FaultyIncoming {
    incoming: TcpIncoming,
    fault: Option<Fault>,
}

impl Incoming for FaultyIncoming {
    fn peer(&self) -> Endpoint {
        self.incoming.peer()
    }

    fn handshake(self) -> Handshake {
        let fault = self.fault;
        match self.incoming.handshake() {
            Handshake::Done(connected) => Handshake::Done(connected.map(|connected| Connected {
                stream: Box::new(Faulty::new(connected.stream, fault)),
                ..connected
            })),
            pending => pending,
        }
    }

    fn reset(self) {
        self.incoming.reset();
    }
}

/// See the module's documentation.
pub struct Faulty {
    socket: Stream,
    fault: Option<Fault>,
    passed: usize,
}

impl Faulty {
    pub fn new(socket: Stream, fault: Option<Fault>) -> Self {
        Faulty {
            socket,
            fault,
            passed: 0,
        }
    }

    /// Some bytes are about to pass: these instead, if it is time.
    fn tamper(&mut self, way: Way, bytes: &[u8]) -> Option<Vec<u8>> {
        let Fault { kind, after, .. } = self.fault.filter(|fault| fault.way == way)?;
        let &[first, second, ref rest @ ..] = bytes else {
            return None;
        };
        if self.passed < after || first == second || rest.is_empty() {
            return None;
        }
        let changed: &[u8] = match kind {
            Kind::Drop => &[second],
            Kind::Repeat => &[first, first, second],
            Kind::Swap => &[second, first],
        };
        Some([changed, rest].concat())
    }
}

impl AsyncRead for Faulty {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let before = space.filled().len();
        // A byte more may have to fit.
        let mut short = space.take(space.remaining() - 1);
        ready!(Pin::new(&mut me.socket).poll_read(cx, &mut short))?;
        let bytes = short.filled().to_vec();
        let tampered = me.tamper(Way::ToGuest, &bytes);
        me.passed += bytes.len();
        if tampered.is_some() {
            me.fault = None;
        }
        space.set_filled(before);
        space.put_slice(tampered.as_ref().unwrap_or(&bytes));
        Poll::Ready(Ok(()))
    }
}

impl Transport for Faulty {
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tampered) = self.tamper(Way::ToClient, bytes) else {
            let written = self.socket.write_now(bytes)?;
            self.passed += written;
            return Ok(written);
        };
        // What does not fit at once would need the fault again.
        match self.socket.write_now(&tampered)? {
            written if written == tampered.len() => self.fault = None,
            _ => {
                return Err(io::Error::other(
                    "the socket's buffer is too small for the fault",
                ));
            }
        }
        Ok(bytes.len())
    }

    fn is_ready_now(&self, to_read: bool, to_write: bool) -> bool {
        self.socket.is_ready_now(to_read, to_write)
    }

    fn reset(self: Box<Self>) {
        self.socket.reset();
    }
}

impl AsyncWrite for Faulty {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let written = ready!(Pin::new(&mut me.socket).poll_write(cx, bytes))?;
        me.passed += written;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
