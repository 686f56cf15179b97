//! TLS that begins in the middle of a connection, as protocols with a command for it have
//! it (STARTTLS): two methods of [`Connection`].
//!
//! A guest that calls neither imports nothing for them (`hotsocket:tls@0.1.0`; `wit/tls`
//! has the rules). `hotsocket test` has the step `start-tls`, and unit tests have
//! `testing::Session::start_tls`.

use std::fmt;

use crate::Connection;

impl Connection {
    /// Whether [`start_tls`](Self::start_tls) would succeed now: whether to offer the
    /// command to the peer. The server has to be started with `--tls-mode starttls`; false
    /// again once the connection is under TLS, which [`peer::tls`](crate::peer::tls) tells.
    #[must_use]
    pub fn can_start_tls(&self) -> bool {
        sys::can_start_tls()
    }

    /// Write the last bytes in plain text, which let the peer begin its handshake, and begin
    /// TLS when the event has succeeded. What is written afterwards, also in this event, is
    /// sent under TLS.
    ///
    /// The next [`data`](crate::Handler::data) is under TLS. Two things are the guest's: it
    /// refuses the command, or ends the connection, if **anything lies behind the command**
    /// in what has come, because that came in plain text, perhaps from somebody on the way
    /// (CVE-2011-0411); and it forgets what it was told before, if the protocol says so.
    ///
    /// ```
    /// use hotsocket_guest::framing::{Frames, Lines};
    /// use hotsocket_guest::{Connection, Handler, export};
    ///
    /// #[derive(Default)]
    /// struct Session {
    ///     lines: Frames<Lines, 1000>,
    ///     name: String,
    /// }
    ///
    /// impl Handler for Session {
    ///     fn data(&mut self, conn: &Connection, bytes: &[u8]) {
    ///         self.lines.push(bytes);
    ///         while let Ok(Some(line)) = self.lines.next() {
    ///             if line != b"STARTTLS" {
    ///                 self.name = String::from_utf8_lossy(&line).into_owned();
    ///             } else if !self.lines.half().is_empty() {
    ///                 return conn.abort();
    ///             } else if conn.start_tls("go ahead\n").is_ok() {
    ///                 self.name.clear();
    ///             } else {
    ///                 conn.write("not here\n");
    ///             }
    ///         }
    ///     }
    /// }
    ///
    /// export!(Session);
    /// ```
    ///
    /// # Errors
    /// There will be no handshake, and nothing was written.
    ///
    /// # Panics
    /// The bytes do not fit into the queue, as with [`write`](Self::write).
    #[track_caller]
    pub fn start_tls(&self, last: impl AsRef<[u8]>) -> Result<(), StartTlsError> {
        if sys::can_start_tls() {
            self.write(last);
        }
        sys::start_tls()
    }
}

/// Why TLS does not begin. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTlsError {
    /// The listener has no certificate, or speaks TLS from the first byte only.
    Unavailable,
    /// The connection is under TLS already.
    AlreadySecure,
    /// It has been asked for, and the handshake has not begun.
    Pending,
    /// This side has been closed.
    Closed,
}

impl fmt::Display for StartTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "the listener has no TLS to begin (--tls-mode starttls)",
            Self::AlreadySecure => "the connection is under TLS already",
            Self::Pending => "TLS has been asked for already",
            Self::Closed => "this side of the connection is closed",
        })
    }
}

impl std::error::Error for StartTlsError {}

#[cfg(target_family = "wasm")]
mod sys {
    use super::StartTlsError;
    use crate::bindings::tls::hotsocket::tls::upgrade as wit;

    pub(super) use wit::can_start_tls;

    pub(super) fn start_tls() -> Result<(), StartTlsError> {
        wit::start_tls().map_err(|error| match error {
            wit::StartTlsError::Unavailable => StartTlsError::Unavailable,
            wit::StartTlsError::AlreadySecure => StartTlsError::AlreadySecure,
            wit::StartTlsError::Pending => StartTlsError::Pending,
            wit::StartTlsError::Closed => StartTlsError::Closed,
        })
    }
}

/// Natively there is no host: what the test says.
#[cfg(not(target_family = "wasm"))]
mod sys {
    use super::StartTlsError;
    use crate::testing::recorder::{Recorded, with};

    pub(super) fn can_start_tls() -> bool {
        with(|recorded| check(recorded).is_ok())
    }

    pub(super) fn start_tls() -> Result<(), StartTlsError> {
        with(|recorded| {
            check(recorded)?;
            recorded.awaits_tls = !recorded.saves;
            Ok(())
        })
    }

    fn check(recorded: &Recorded) -> Result<(), StartTlsError> {
        if recorded.peer.tls.is_some() {
            Err(StartTlsError::AlreadySecure)
        } else if !recorded.peer.may_start_tls {
            Err(StartTlsError::Unavailable)
        } else if recorded.awaits_tls {
            Err(StartTlsError::Pending)
        } else if recorded.ended || recorded.aborted || recorded.write_closed {
            Err(StartTlsError::Closed)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PeerFacts, Session};
    use crate::{Handler, peer};

    #[derive(Default)]
    struct Asks;

    impl Handler for Asks {
        fn data(&mut self, conn: &Connection, bytes: &[u8]) {
            if bytes == b"end" {
                conn.end();
            }
            if bytes == b"twice" {
                let _ = conn.start_tls("go ahead\n");
            }
            if let Err(error) = conn.start_tls("go ahead\n") {
                conn.write(format!("{error:?}"));
            }
        }
    }

    #[test]
    fn a_test_does_the_handshake() {
        let mut plain = Session::<Asks>::open();
        assert_eq!(plain.data(""), b"Unavailable");
        let facts = PeerFacts {
            may_start_tls: true,
            ..PeerFacts::default()
        };
        let mut session = Session::<Asks>::open_as(facts.clone());
        assert_eq!(session.data("twice"), b"go ahead\nPending");
        assert_eq!(peer::tls(), None);
        session.start_tls();
        assert_eq!(peer::tls().expect("TLS").version, "TLSv1.3");
        assert_eq!(session.data(""), b"AlreadySecure");
        let mut session = Session::<Asks>::open_as(facts);
        assert_eq!(session.data("end"), b"");
        assert!(session.has_ended());
    }

    #[test]
    #[should_panic = "the guest has not asked for TLS"]
    fn a_handshake_must_have_been_asked_for() {
        Session::<Asks>::open().start_tls();
    }
}
