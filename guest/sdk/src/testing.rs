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
//! A test has one session at a time: what the guest does is recorded per
//! thread.

use crate::{CloseReason, Connection, Handler, How, Resumed, Snapshot};

/// A connection with a peer that takes everything at once.
pub struct Session<H> {
    /// The guest, for a look at its state.
    pub handler: H,
    conn: Connection,
}

impl<H: Handler> Session<H> {
    /// Accept a connection.
    ///
    /// # Panics
    /// The guest refused it.
    #[must_use]
    pub fn open() -> Self {
        recorder::take();
        let (mut handler, conn) = (H::default(), Connection::default());
        if let Err(why) = handler.open(&conn) {
            panic!("the guest refused the connection: {why}");
        }
        Self { handler, conn }
    }

    /// The peer sends bytes. Gives what the guest answers.
    pub fn data(&mut self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        self.handler.data(&self.conn, bytes.as_ref());
        self.written()
    }

    /// The peer sends FIN. Gives what the guest answers.
    pub fn end(&mut self) -> Vec<u8> {
        self.handler.end(&self.conn);
        self.written()
    }

    /// A timer runs out. Gives what the guest writes.
    pub fn timer(&mut self, id: u32) -> Vec<u8> {
        self.handler.timer(&self.conn, id);
        self.written()
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
            peer_ended: false,
        };
        handler.resume(&conn, resumed)?;
        Ok(Session { handler, conn })
    }

    /// What the guest has written since it was last asked.
    pub fn written(&mut self) -> Vec<u8> {
        recorder::take().written
    }
}

/// The lines that the guest has printed on this thread since last asked.
#[must_use]
pub fn printed() -> Vec<String> {
    recorder::take_printed()
}

/// What stands in for the host natively; `sys` calls it.
pub(crate) mod recorder {
    use std::cell::RefCell;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use crate::connection::{Info, WriteError};

    #[derive(Default)]
    pub(crate) struct Recorded {
        pub(crate) written: Vec<u8>,
        ended: bool,
    }

    thread_local! {
        static RECORDED: RefCell<Recorded> = RefCell::default();
        static PRINTED: RefCell<Vec<String>> = RefCell::default();
    }

    /// What was written, leaving the rest as it is.
    pub(crate) fn take() -> Recorded {
        RECORDED.with_borrow_mut(std::mem::take)
    }

    pub(crate) fn take_printed() -> Vec<String> {
        PRINTED.take()
    }

    pub(crate) fn info() -> Info {
        let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Info {
            id: 1,
            local: local(3000),
            peer: local(50000),
        }
    }

    pub(crate) fn write(bytes: &[u8]) -> Result<bool, WriteError> {
        RECORDED.with_borrow_mut(|recorded| {
            if recorded.ended {
                return Err(WriteError::Closed);
            }
            recorded.written.extend_from_slice(bytes);
            Ok(true)
        })
    }

    pub(crate) fn end() {
        RECORDED.with_borrow_mut(|recorded| recorded.ended = true);
    }

    pub(crate) fn abort() {
        end();
    }

    pub(crate) fn print(line: &str) {
        PRINTED.with_borrow_mut(|printed| printed.push(line.to_owned()));
    }

    pub(crate) fn error(line: &str) {
        print(line);
    }

    pub(crate) fn panic(message: &str) {
        std::eprintln!("{message}");
    }

    pub(crate) fn hold_open() {}
    pub(crate) fn set_timer(_: u32, _: u64) {}
    pub(crate) fn clear_timer(_: u32) {}
}
