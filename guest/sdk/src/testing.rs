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

impl<H: crate::topics::Subscriber> Session<H> {
    /// Another connection has published a message. Gives what the guest writes.
    pub fn message(&mut self, message: crate::topics::Message<'_>) -> Vec<u8> {
        self.handler.message(&self.conn, message);
        self.written()
    }

    /// So many messages were dropped. Gives what the guest writes.
    pub fn lagged(&mut self, missed: u64) -> Vec<u8> {
        self.handler.lagged(&self.conn, missed);
        self.written()
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
    pub fn data(&mut self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        self.handler.data(&self.conn, bytes.as_ref());
        self.written()
    }

    /// The peer sends FIN. Gives what the guest answers.
    pub fn end(&mut self) -> Vec<u8> {
        self.peer_ended = true;
        self.handler.end(&self.conn);
        self.written()
    }

    /// A timer runs out, whether it is set or not. Gives what the guest writes.
    pub fn timer(&mut self, id: u32) -> Vec<u8> {
        recorder::with(|recorded| recorded.timers.remove(&id));
        self.handler.timer(&self.conn, id);
        self.written()
    }

    /// Time passes, and the timers that are set run out when it is theirs, also
    /// those that are set meanwhile. Gives what the guest writes.
    ///
    /// # Panics
    /// The guest sets timers without end.
    pub fn advance(&mut self, time: Duration) -> Vec<u8> {
        let end = recorder::with(|recorded| recorded.now) + time;
        for _ in 0..MAX_RUN_OUT {
            let Some(id) = recorder::run_out(end) else {
                return self.written();
            };
            self.handler.timer(&self.conn, id);
        }
        panic!("more than {MAX_RUN_OUT} timers have run out in {time:?}");
    }

    /// The peer has taken enough of what was queued. Gives what the guest writes.
    pub fn drained(&mut self) -> Vec<u8> {
        self.handler.drained(&self.conn);
        self.written()
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

    /// The connection is over. Gives the guest's farewell.
    pub fn close(mut self, reason: CloseReason) -> Vec<u8> {
        self.handler.close(&self.conn, reason);
        self.written()
    }

    /// Swap the code under the open connection, as the server would.
    ///
    /// # Errors
    /// The new code refuses: a server would have left the connection with the
    /// old one.
    pub fn swap<Next: Handler>(self) -> Result<Session<Next>, String> {
        let saved = self.handler.save().map(Snapshot::encode);
        let (mut handler, conn) = (Next::default(), Connection::default());
        let resumed = Resumed {
            how: How::Migrated,
            snapshot: saved.map(Snapshot::decode),
            peer_ended: self.peer_ended,
        };
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
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::environment;

    /// `t` sets timers, `c` clears one, `e` ends, `a` aborts, `h` holds open.
    #[derive(Default)]
    struct Obeys;

    impl Handler for Obeys {
        fn data(&mut self, conn: &Connection, bytes: &[u8]) {
            match bytes {
                b"t" => [30, 10, 20].iter().for_each(|&id| {
                    conn.set_timer(id, Duration::from_secs(u64::from(id)));
                }),
                b"c" => conn.clear_timer(20),
                b"e" => conn.end(),
                b"a" => conn.abort(),
                b"h" => conn.hold_open(),
                _ => drop(conn.write(bytes)),
            }
        }

        fn timer(&mut self, conn: &Connection, id: u32) {
            conn.write(format!("{id} "));
            if id == 10 {
                conn.set_timer(11, Duration::from_secs(5));
            }
        }

        fn save(&self) -> Option<Snapshot> {
            Some(Snapshot::new(1, []))
        }
    }

    #[test]
    fn timers_run_out_in_their_order_also_across_a_swap() {
        let mut session = Session::<Obeys>::open();
        session.data("t");
        session.data("c");
        let seconds = Duration::from_secs;
        assert_eq!(session.timers(), [(10, seconds(10)), (30, seconds(30))]);
        assert_eq!(session.advance(seconds(9)), b"");
        let mut session = session.swap::<Obeys>().expect("the same code");
        assert_eq!(session.advance(seconds(1)), b"10 ");
        assert_eq!(session.timers(), [(11, seconds(5)), (30, seconds(20))]);
        assert_eq!(session.advance(seconds(100)), b"11 30 ");
        assert_eq!(session.timers(), []);
    }

    #[test]
    fn what_is_done_to_the_connection_is_seen() {
        let mut session = Session::<Obeys>::open();
        session.data("h");
        assert!(session.is_held_open() && !session.has_ended());
        session.data("e");
        assert!(session.has_ended() && !session.is_held_open());
        assert_eq!(session.data("late"), b"", "its side is closed");
        let mut session = Session::<Obeys>::open();
        session.data("a");
        assert!(session.has_aborted() && !session.has_ended());
    }

    /// Tells what its surroundings say.
    #[derive(Default)]
    struct Asks;

    impl Handler for Asks {
        fn data(&mut self, conn: &Connection, name: &[u8]) {
            let name = String::from_utf8_lossy(name);
            let value = environment::setting(&name).unwrap_or("none".to_owned());
            let passed = environment::now().duration_since(UNIX_EPOCH);
            conn.write(format!(
                "{value} at {}",
                passed.expect("after 1970").as_secs()
            ));
            let fields = [("name", name.as_ref().into()), ("size", name.len().into())];
            environment::log(environment::Level::Warn, "asked", &fields);
        }

        fn timer(&mut self, conn: &Connection, _: u32) {
            conn.write(environment::random::<4>());
        }
    }

    #[test]
    fn surroundings_are_what_the_test_says() {
        let mut session = Session::<Asks>::open_with(&[("a", "1")]);
        let _ = printed();
        assert_eq!(session.data("a"), b"1 at 1767225600");
        session.advance(Duration::from_secs(90));
        assert_eq!(environment::uptime(), session.time());
        assert_eq!(session.data("bc"), b"none at 1767225690");
        let lines = ["WARN asked name=a size=1", "WARN asked name=bc size=2"];
        assert_eq!(printed(), lines);
        let random = session.timer(1);
        assert_ne!(random, session.timer(1));
        assert_eq!(Session::<Asks>::open().timer(1), random, "in each test");
    }

    #[test]
    #[should_panic = "cannot write 5 bytes: too many bytes wait for the peer (raise --max-queue"]
    fn a_write_beyond_the_queue_panics() {
        let mut session = Session::<Obeys>::open();
        session.set_max_queue(4);
        assert_eq!(session.data("four"), b"four");
        session.data("fives");
    }
}
