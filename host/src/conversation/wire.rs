//! A connection in memory: the session has one end as its [`Transport`], the
//! script is the peer at the other.
//!
//! Owns what a kernel would do between the two: it buffers bytes, closes each
//! side by itself, and discards the buffers on a reset. And what the peer's program
//! would do besides the script: a [`Reader`] reads what there is. It knows neither
//! scripts nor guests. All ends live on one thread; the lock is there because a
//! transport must be `Send`.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use hotsocket_sandbox::{Endpoint, Stream, Transport};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::facts;
use super::peer::INSTANT;
use crate::limits::READ_SIZE;
use crate::service::Service;
use crate::session::{NotSecured, Secure, Securing};

/// Bytes of the guest that wait for a peer that does not receive them: about
/// what two kernels buffer.
const CAPACITY: usize = 256 << 10;
/// Bytes that the peer has read and no step has taken: as many as one step may expect. With
/// more it reads nothing.
const MAX_READ: usize = 16 << 20;

/// How the host's side of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Open,
    /// It has sent FIN.
    Ended,
    /// It has sent RST.
    Reset,
}

struct State {
    /// What the peer has sent; each part is one event at least.
    inbound: VecDeque<Vec<u8>>,
    peer: Side,
    reader: Option<Waker>,
    /// What the guest has written and the peer has not read.
    outbound: Vec<u8>,
    /// What the peer has read and no step has taken. No reset destroys it.
    read: Vec<u8>,
    host: Side,
    writer: Option<Waker>,
    /// The peer reads nothing.
    stalled: bool,
    /// The session waits for the peer to do something, or is gone.
    idle: bool,
    tls: Tls,
}

/// How far TLS is that begins in the middle of the connection. There is none on the wire:
/// only what is known of the peer differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    Plain,
    /// The session waits for the peer's handshake.
    Awaited,
    /// The peer has done it.
    Done,
}

struct Wire {
    state: Mutex<State>,
    /// Notified when the session has done something, for the step that waits for it.
    changed: Notify,
    /// The same for the reader.
    arrived: Notify,
}

/// Make a connection.
pub fn pair() -> (HostEnd, PeerEnd) {
    let wire = Arc::new(Wire {
        state: Mutex::new(State {
            inbound: VecDeque::new(),
            peer: Side::Open,
            reader: None,
            outbound: Vec::new(),
            read: Vec::new(),
            host: Side::Open,
            writer: None,
            stalled: false,
            idle: false,
            tls: Tls::Plain,
        }),
        changed: Notify::new(),
        arrived: Notify::new(),
    });
    (HostEnd(Arc::clone(&wire)), PeerEnd(wire))
}

/// The session's end.
pub struct HostEnd(Arc<Wire>);

/// The script's end.
pub struct PeerEnd(Arc<Wire>);

/// Reads for the peer while the script is at something else. Otherwise a reset would destroy
/// what came long before it, and a guest that writes much would wait for a peer that has not
/// stalled.
pub struct Reader(Arc<Wire>);

/// Has the session wait for the script's step `start-tls` where a listener would do a
/// handshake.
pub struct Handshake(Arc<Wire>);

impl State {
    fn room(&self) -> usize {
        match self.stalled {
            true => 0,
            false => CAPACITY.saturating_sub(self.outbound.len()),
        }
    }

    fn reset_by_peer(&self) -> io::Result<()> {
        match self.peer {
            Side::Reset => Err(io::ErrorKind::ConnectionReset.into()),
            _ => Ok(()),
        }
    }

    /// Take what there is room for; `None` if there is no room.
    fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        self.reset_by_peer()?;
        if self.host != Side::Open {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let taken = bytes.get(..self.room()).unwrap_or(bytes);
        self.outbound.extend_from_slice(taken);
        Ok((!taken.is_empty() || bytes.is_empty()).then_some(taken.len()))
    }
}

impl Secure for Handshake {
    fn secure(
        self: Arc<Self>,
        stream: Stream,
        _: Endpoint,
        _: Arc<Service>,
        _: Instant,
    ) -> Securing {
        Box::pin(async move {
            let handshake = poll_fn(|cx| self.0.by_host(|state| state.poll_handshake(cx)));
            handshake.await?;
            Ok((stream, facts::tls()))
        })
    }
}

impl State {
    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NotSecured>> {
        if self.tls == Tls::Done {
            return Poll::Ready(Ok(()));
        }
        if !self.inbound.is_empty() {
            // A listener reads it, and ends.
            self.inbound.clear();
            return Poll::Ready(Err(NotSecured::PlainText));
        }
        if self.peer != Side::Open {
            return Poll::Ready(Err(NotSecured::Handshake));
        }
        self.tls = Tls::Awaited;
        self.reader = Some(cx.waker().clone());
        self.idle = true;
        Poll::Pending
    }
}

impl Wire {
    /// Do something as the session, and notify the peer.
    fn by_host<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let result = work(&mut self.state.lock());
        self.changed.notify_one();
        self.arrived.notify_one();
        result
    }

    /// Do something as the peer, and wake the session.
    fn by_peer(&self, work: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        work(&mut state);
        let woken = [state.reader.take(), state.writer.take()];
        // A session that is gone stays idle.
        state.idle &= woken.iter().all(Option::is_none);
        drop(state);
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    /// As the peer, read what there is.
    fn read(&self) {
        let mut state = self.state.lock();
        let may_read = !state.stalled && state.host != Side::Reset && state.read.len() < MAX_READ;
        if !may_read || state.outbound.is_empty() {
            return;
        }
        let State { outbound, read, .. } = &mut *state;
        read.append(outbound);
        // Only a session that waits for room has something to do now.
        let woken = state.writer.take();
        state.idle &= woken.is_none();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Reader {
    /// Read whenever something has arrived, for as long as the script runs.
    pub async fn run(self) {
        loop {
            self.0.arrived.notified().await;
            // On the script's clock: what is reset in the same instant the peer has not read,
            // however long the guest has taken.
            sleep(INSTANT).await;
            self.0.read();
        }
    }
}

impl AsyncRead for HostEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.by_host(|state| {
            state.reset_by_peer()?;
            if let Some(part) = state.inbound.front_mut() {
                let count = part.len().min(buffer.remaining());
                let read: Vec<u8> = part.drain(..count).collect();
                buffer.put_slice(&read);
                if part.is_empty() {
                    state.inbound.pop_front();
                }
                return Poll::Ready(Ok(()));
            }
            if state.peer == Side::Ended {
                return Poll::Ready(Ok(()));
            }
            state.reader = Some(cx.waker().clone());
            state.idle = true;
            Poll::Pending
        })
    }
}

impl AsyncWrite for HostEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.by_host(|state| match state.write(bytes)? {
            Some(count) => Poll::Ready(Ok(count)),
            None => {
                state.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.by_host(|state| {
            state.reset_by_peer()?;
            state.host = Side::Ended;
            Poll::Ready(Ok(()))
        })
    }
}

impl Transport for HostEnd {
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.by_host(|state| state.write(bytes))?;
        written.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    fn reset(self: Box<Self>) {
        self.0.by_host(|state| state.host = Side::Reset);
    }
}

impl Drop for HostEnd {
    fn drop(&mut self) {
        self.0.by_host(|state| {
            state.idle = true;
            (state.reader, state.writer) = (None, None);
            // As a kernel has it: closing a socket with unread bytes resets.
            match state.host {
                _ if !state.inbound.is_empty() => state.host = Side::Reset,
                Side::Open => state.host = Side::Ended,
                _ => {}
            }
        });
    }
}

impl PeerEnd {
    /// Send bytes that make one event, or as few as can carry them.
    pub fn send(&self, bytes: &[u8]) {
        self.0.by_peer(|state| {
            if state.host != Side::Reset {
                let parts = bytes.chunks(READ_SIZE).map(<[u8]>::to_vec);
                state.inbound.extend(parts);
            }
        });
    }

    pub fn end(&self) {
        self.0.by_peer(|state| state.peer = Side::Ended);
    }

    /// What reads for this peer, from when it is run.
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.0))
    }

    /// What the session may have this connection protected by.
    pub fn handshake(&self) -> Handshake {
        Handshake(Arc::clone(&self.0))
    }

    /// Do the handshake. False if the session does not wait for it.
    pub fn start_tls(&self) -> bool {
        let awaited = self.0.state.lock().tls == Tls::Awaited;
        if awaited {
            self.0.by_peer(|state| state.tls = Tls::Done);
        }
        awaited
    }

    pub fn abort(&self) {
        self.0.by_peer(|state| {
            state.peer = Side::Reset;
            state.inbound.clear();
        });
    }

    pub fn stall(&self, stalled: bool) {
        self.0.by_peer(|state| state.stalled = stalled);
    }

    /// Append what has arrived to `received`; returns how the host's side is.
    pub fn take(&self, received: &mut Vec<u8>) -> Side {
        // More than any step expects, so that whatever follows is not asked for.
        if received.len() >= MAX_READ {
            return Side::Open;
        }
        let mut state = self.0.state.lock();
        received.append(&mut state.read);
        let (host, waiting) = (state.host, !state.outbound.is_empty());
        match state.stalled {
            _ if !waiting || host == Side::Reset => return host,
            // FIN comes after the bytes before it.
            true => return Side::Open,
            false => drop(state),
        }
        self.0.by_peer(|state| received.append(&mut state.outbound));
        host
    }

    /// Returns when the session has done something since this was last awaited.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Whether the session waits for the peer, and for nothing else that this
    /// end could know of.
    pub fn is_idle(&self) -> bool {
        self.0.state.lock().idle
    }
}
