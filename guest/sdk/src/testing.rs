//! Run a guest natively, without a server, in its own unit tests.
//!
//! ```
//! use hotsocket_guest::{Connection, Handler, testing::Session};
//!
//! #[derive(Default)]
//! struct Echo;
//! impl Handler for Echo {
//!     fn data(&mut self, conn: &Connection, bytes: &[u8]) {
//!         conn.write(bytes);
//!     }
//! }
//!
//! let mut session = Session::<Echo>::open();
//! assert_eq!(session.data("ping"), b"ping");
//! ```
//!
//! Time passes when the test says so, and timers run out in it:
//!
//! ```
//! use hotsocket_guest::{Connection, Handler, testing::Session};
//! use std::time::Duration;
//!
//! #[derive(Default)]
//! struct Login;
//! impl Handler for Login {
//!     fn open(&mut self, conn: &Connection) -> Result<(), String> {
//!         conn.set_timer(1, Duration::from_secs(60));
//!         Ok(())
//!     }
//!
//!     fn timer(&mut self, conn: &Connection, _: u32) {
//!         conn.write("too late\n");
//!         conn.end();
//!     }
//! }
//!
//! let mut session = Session::<Login>::open();
//! assert_eq!(session.timers(), [(1, Duration::from_secs(60))]);
//! assert_eq!(session.advance(Duration::from_secs(59)), b"");
//! assert_eq!(session.advance(Duration::from_secs(1)), b"too late\n");
//! assert!(session.has_ended());
//! ```
//!
//! A test has one session at a time: what the guest does is recorded per
//! thread.

use std::net::SocketAddr;
use std::time::Duration;

use crate::peer;
use crate::topics::{Message, Subscriber};
use crate::{CloseReason, Connection, Handler, How, Resumed, Snapshot};

/// A connection with a peer that takes everything at once.
pub struct Session<H> {
    /// The guest, for a look at its state.
    pub handler: H,
    conn: Connection,
    /// The peer has sent FIN.
    peer_ended: bool,
}

/// What is known of a peer besides its address, for [`Session::open_as`].
#[derive(Clone, Debug, Default)]
pub struct PeerFacts {
    /// For [`peer::listener`].
    pub listener: Option<String>,
    /// For [`peer::socket`]; the connection's own addresses if not set.
    pub socket: Option<(SocketAddr, SocketAddr)>,
    /// The listener can do TLS when the guest asks for it ([`Connection::start_tls`]).
    pub may_start_tls: bool,
    /// For [`peer::tls`].
    pub tls: Option<peer::Tls>,
    /// For [`peer::certificates`].
    pub certificates: Vec<Vec<u8>>,
    /// For [`peer::credentials`].
    pub credentials: Option<peer::Credentials>,
    /// For [`peer::proxy`].
    pub proxy: Option<peer::Proxy>,
}

/// The most timers that run out in one [`Session::advance`]: a guest that sets a
/// timer of 0 ms again and again must not hang its test.
const MAX_RUN_OUT: usize = 1_000_000;

/// Bytes of a snapshot that a server keeps unless it is started with another
/// `--max-snapshot`.
const MAX_SNAPSHOT: usize = 1 << 20;

impl<H: Subscriber> Session<H> {
    /// Another connection has published a message. Gives what the guest writes.
    pub fn message(&mut self, message: Message<'_>) -> Vec<u8> {
        self.event(|handler, conn| handler.message(conn, message))
    }

    /// So many messages were dropped. Gives what the guest writes.
    pub fn lagged(&mut self, missed: u64) -> Vec<u8> {
        self.event(|handler, conn| handler.lagged(conn, missed))
    }
}

impl<H: Handler> Session<H> {
    /// Accept a connection.
    ///
    /// # Panics
    /// The guest refused it.
    #[must_use]
    pub fn open() -> Self {
        Self::open_with(&[])
    }

    /// Accept a connection at a server with these settings
    /// ([`environment::setting`](crate::environment::setting)).
    ///
    /// # Panics
    /// The guest refused it.
    #[must_use]
    pub fn open_with(settings: &[(&str, &str)]) -> Self {
        recorder::reset();
        recorder::with(|recorded| {
            let owned = settings.iter();
            let owned = owned.map(|&(name, value)| (name.to_owned(), value.to_owned()));
            recorded.settings = owned.collect();
        });
        Self::accept()
    }

    /// Accept a connection from a peer of whom this is known ([`peer`]).
    ///
    /// # Panics
    /// The guest refused it.
    #[must_use]
    pub fn open_as(peer: PeerFacts) -> Self {
        recorder::reset();
        recorder::with(|recorded| recorded.peer = peer);
        Self::accept()
    }

    /// The peer sends bytes. Gives what the guest answers.
    ///
    /// # Panics
    /// The server would not give them to the guest: it has paused, or asked for TLS, or
    /// aborted the connection, or the peer has sent FIN.
    pub fn data(&mut self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        self.check_readable();
        self.event(|handler, conn| handler.data(conn, bytes.as_ref()))
    }

    /// The peer sends FIN. Gives what the guest answers. Unless it holds the connection
    /// open ([`Connection::hold_open`]), the server ends it now, and what the guest writes
    /// later is [`WriteError::Closed`](crate::WriteError).
    ///
    /// # Panics
    /// As in [`data`](Self::data).
    pub fn end(&mut self) -> Vec<u8> {
        self.check_readable();
        self.peer_ended = true;
        let answer = self.event(|handler, conn| handler.end(conn));
        recorder::with(|recorded| recorded.write_closed |= !recorded.held_open);
        answer
    }

    fn check_readable(&self) {
        assert!(!self.peer_ended, "the peer has sent FIN already");
        recorder::with(|recorded| {
            assert!(!recorded.paused, "the guest has paused: nothing is read");
            assert!(
                !recorded.awaits_tls,
                "the guest has asked for TLS: `Session::start_tls` does the handshake"
            );
        });
    }

    /// An event. Gives what the guest writes.
    fn event(&mut self, call: impl FnOnce(&mut H, &Connection)) -> Vec<u8> {
        assert!(!self.has_aborted(), "the guest has aborted the connection");
        recorder::begin_event();
        call(&mut self.handler, &self.conn);
        self.written()
    }

    /// A timer runs out, whether it is set or not. Gives what the guest writes.
    pub fn timer(&mut self, id: u32) -> Vec<u8> {
        recorder::with(|recorded| recorded.timers.remove(&id));
        self.event(|handler, conn| handler.timer(conn, id))
    }

    /// Time passes, and the timers that are set run out when it is theirs, also
    /// those that are set meanwhile. Gives what the guest writes.
    ///
    /// # Panics
    /// The guest sets timers without end.
    pub fn advance(&mut self, time: Duration) -> Vec<u8> {
        let end = recorder::with(|recorded| recorded.now) + time;
        let mut written = Vec::new();
        for _ in 0..MAX_RUN_OUT {
            if self.has_aborted() {
                recorder::with(|recorded| recorded.now = end);
                return written;
            }
            let Some(id) = recorder::run_out(end) else {
                return written;
            };
            written.extend(self.timer(id));
        }
        panic!("more than {MAX_RUN_OUT} timers have run out in {time:?}");
    }

    /// The peer has taken enough of what was queued. Gives what the guest writes.
    pub fn drained(&mut self) -> Vec<u8> {
        self.event(|handler, conn| handler.drained(conn))
    }

    /// The timers that are set, by id, and how long each has still to run.
    #[must_use]
    pub fn timers(&self) -> Vec<(u32, Duration)> {
        recorder::with(|recorded| {
            let left = |&due: &Duration| due.saturating_sub(recorded.now);
            let timers = recorded.timers.iter();
            timers.map(|(&id, due)| (id, left(due))).collect()
        })
    }

    /// The peer does its handshake, for which the guest has asked
    /// ([`Connection::start_tls`]); [`peer::tls`] tells of it from now on.
    ///
    /// # Panics
    /// The guest has not asked for it.
    pub fn start_tls(&mut self) {
        recorder::with(|recorded| {
            assert!(
                std::mem::take(&mut recorded.awaits_tls),
                "the guest has not asked for TLS (`Connection::start_tls`)"
            );
            recorded.peer.tls = Some(peer::Tls {
                version: "TLSv1.3".to_owned(),
                cipher_suite: "TLS_AES_256_GCM_SHA384".to_owned(),
                ..peer::Tls::default()
            });
        });
    }

    /// Close this connection, and accept another one at the same server: it finds the
    /// [store](crate::store) as this one has left it, and as much time has passed.
    ///
    /// # Panics
    /// The guest refused it.
    #[must_use]
    pub fn close_and_open(self) -> Self {
        self.close(CloseReason::Ended);
        recorder::begin_connection();
        Self::accept()
    }

    fn accept() -> Self {
        let (mut handler, conn) = (H::default(), Connection::default());
        if let Err(why) = handler.open(&conn) {
            panic!("the guest refused the connection: {why}");
        }
        Self {
            handler,
            conn,
            peer_ended: false,
        }
    }

    /// From now on at most so many bytes wait for the peer, as with `--max-queue`:
    /// what an event writes beyond them is [`WriteError::Full`](crate::WriteError).
    pub fn set_max_queue(&mut self, max: usize) {
        recorder::with(|recorded| recorded.max_queue = Some(max));
    }

    /// The connection is over. Gives the guest's farewell, which it may write when the
    /// reason is [`IdleTimeout`](CloseReason::IdleTimeout),
    /// [`Shutdown`](CloseReason::Shutdown) or [`Swapped`](CloseReason::Swapped).
    pub fn close(mut self, reason: CloseReason) -> Vec<u8> {
        let farewell = matches!(
            reason,
            CloseReason::IdleTimeout | CloseReason::Shutdown | CloseReason::Swapped
        );
        recorder::with(|recorded| recorded.write_closed |= !farewell || recorded.awaits_tls);
        recorder::begin_event();
        self.handler.close(&self.conn, reason);
        self.written()
    }

    /// From now on a snapshot has at most so many bytes, as with `--max-snapshot` (1 MiB
    /// if not set): the successor gets none that is larger.
    pub fn set_max_snapshot(&mut self, max: usize) {
        recorder::with(|recorded| recorded.max_snapshot = Some(max));
    }

    /// Swap the code under the open connection, as the server would.
    ///
    /// # Errors
    /// The new code refuses: a server would have left the connection with the
    /// old one.
    pub fn swap<Next: Handler>(self) -> Result<Session<Next>, String> {
        let saved = recorder::saving(|| self.handler.save()).map(Snapshot::encode);
        let max = recorder::with(|recorded| recorded.max_snapshot).unwrap_or(MAX_SNAPSHOT);
        let saved = saved.filter(|saved| saved.len() <= max);
        let (mut handler, conn) = (Next::default(), Connection::default());
        let resumed = Resumed {
            how: How::Migrated,
            snapshot: saved.map(Snapshot::decode),
            peer_ended: self.peer_ended,
        };
        recorder::begin_event();
        handler.resume(&conn, resumed)?;
        Ok(Session {
            handler,
            conn,
            peer_ended: self.peer_ended,
        })
    }

    /// What the guest has written since it was last asked.
    pub fn written(&mut self) -> Vec<u8> {
        recorder::with(|recorded| std::mem::take(&mut recorded.written))
    }
}

/// The lines that the guest has printed or logged on this thread since last asked, those
/// with a level as `INFO message name=value`.
#[must_use]
pub fn printed() -> Vec<String> {
    recorder::take_printed()
}

mod asked;
pub(crate) mod recorder;

#[cfg(test)]
mod tests;
