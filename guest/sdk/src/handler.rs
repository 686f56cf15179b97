//! The trait that a guest implements.

use std::net::SocketAddr;

use crate::{CloseReason, Connection, Resumed, Snapshot};

/// What a guest does with its connection. Every method has a default, so a
/// guest writes only what it cares for.
///
/// Each method is an *event*: events come one at a time and never wait for the
/// peer. First [`open`](Self::open) or [`resume`](Self::resume); then
/// [`data`](Self::data), [`drained`](Self::drained) and [`timer`](Self::timer)
/// in any number; [`end`](Self::end) at most once and no `data` after it;
/// [`close`](Self::close) at most once and last.
///
/// A panic costs this connection and no other: the server logs the message
/// with its place in the source.
///
/// # Budgets
/// The server bounds what a guest uses, each by a flag:
///
/// | what | flag | if not set | beyond it |
/// | --- | --- | --- | --- |
/// | CPU time of one event | `--cpu-budget` | 100 ms | the connection ends |
/// | time of one event that waits in WASI | `--event-timeout` | 5 s | the connection ends |
/// | memory of one instance | `--max-memory` | 64 MiB | an allocation fails, which panics |
/// | stack of one instance | `--max-stack` | 512 KiB | the connection ends |
/// | timers of one connection | `--max-timers` | 64 | the connection ends |
/// | bytes waiting for the peer | `--max-queue` | 8 MiB | [`write`](Connection::write) panics, [`try_write`](Connection::try_write) gives [`Full`](crate::WriteError::Full) |
/// | what [`save`](Self::save) returns | `--max-snapshot` | 1 MiB | new code begins without a state |
#[allow(unused_variables, reason = "the defaults ignore what they are told")]
pub trait Handler: Default + 'static {
    /// The server is listening (at least one address). Called once when it
    /// starts, in an instance of its own that serves no connection.
    fn listening(listeners: &[SocketAddr]) {}

    /// A connection has just been accepted.
    ///
    /// # Errors
    /// An error refuses the connection; the server logs the reason.
    fn open(&mut self, conn: &Connection) -> Result<(), String> {
        Ok(())
    }

    /// This instance takes over a connection that another one served. The
    /// default hands the snapshot, if there is one, to
    /// [`restore`](Self::restore).
    ///
    /// # Errors
    /// An error refuses the succession: the connection stays with the instance
    /// that served it until now, and the server logs the reason.
    fn resume(&mut self, conn: &Connection, resumed: Resumed) -> Result<(), String> {
        resumed
            .snapshot
            .map_or(Ok(()), |snapshot| self.restore(snapshot))
    }

    /// The peer has sent these bytes (1 byte to 64 KiB). TCP has no messages:
    /// what was sent at once may come in pieces, and pieces may come together.
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {}

    /// After [`write`](Connection::write) had said `false`: the peer has taken
    /// enough, write on.
    fn drained(&mut self, conn: &Connection) {}

    /// The peer has sent FIN: no more `data`. The host ends the connection once
    /// everything is written, unless the guest holds it open.
    fn end(&mut self, conn: &Connection) {}

    /// A timer has run out.
    fn timer(&mut self, conn: &Connection, id: u32) {}

    /// The connection is over.
    fn close(&mut self, conn: &Connection, reason: CloseReason) {}

    /// The state that a successor needs, or `None` if there is none.
    ///
    /// It must only read: it may be called between any two events, more than
    /// once, and this instance may be used on.
    fn save(&self) -> Option<Snapshot> {
        None
    }

    /// Take over the state of a predecessor, which may have been older or, at
    /// a rollback, newer code: see [`Snapshot::upgrade`]. The default ignores
    /// it.
    ///
    /// # Errors
    /// As for [`resume`](Self::resume).
    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        Ok(())
    }
}
