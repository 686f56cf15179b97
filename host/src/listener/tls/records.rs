//! rustls' side of a connection: records in, plain bytes out, and the other way round.
//!
//! It is rustls' unbuffered interface, in which whoever calls has the buffers. Those are
//! the thread's ([`ReadBuffer`](crate::channel::ReadBuffer)), so a quiet connection keeps none. It knows no socket:
//! [`super::handshake`] and [`super::transport`] move the bytes.

use rustls::Error;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};

use crate::limits::READ_SIZE;

/// Bytes of a record at most (RFC 8446, section 5.1).
const RECORD: usize = 16 * 1024;
/// What is encrypted at once: a read of as much is one event of the peer's program, and
/// more than this never waits encrypted for the peer.
pub const CHUNK: usize = READ_SIZE;
/// What TLS 1.3 adds to each record (RFC 8446, section 5.2).
const OVERHEAD: usize = 22;
/// What is read at once: as much as carries [`READ_SIZE`] bytes in full records, so that
/// what a peer sends in one piece is one event.
pub const WIRE: usize = READ_SIZE + READ_SIZE / RECORD * OVERHEAD;

/// See the module's documentation.
pub struct Records {
    pub connection: UnbufferedServerConnection,
    /// The beginning of a record, or of a message of several records, whose rest has not
    /// come yet. Empty, and without memory, in between.
    pub incoming: Vec<u8>,
    /// Records for the peer that have not been sent: of the handshake, alerts, and what
    /// the socket did not take. Empty, and without memory, in between.
    pub outgoing: Vec<u8>,
    /// Bytes of the peer for which the reader had no room.
    pub plain: Vec<u8>,
    /// The peer's close_notify has come.
    pub peer_ended: bool,
}

impl Records {
    pub fn new(connection: UnbufferedServerConnection) -> Self {
        Records {
            connection,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            plain: Vec::new(),
            peer_ended: false,
        }
    }

    /// Go on with all whole records at the front of `buffer`, which begins with
    /// [`Self::incoming`]. What they say is given to `reader`, what they make us say is in
    /// [`Self::outgoing`] then, and what is not whole in [`Self::incoming`].
    ///
    /// # Errors
    /// When the peer violates the protocol. An alert that says so is in
    /// [`Self::outgoing`].
    pub fn receive(&mut self, buffer: &mut [u8], reader: impl FnMut(&[u8])) -> Result<(), Error> {
        let used = self.advance(buffer, reader, None)?;
        let rest = buffer.get(used..).unwrap_or_default();
        // Nothing more is processed after close_notify.
        if rest.is_empty() || self.peer_ended {
            self.incoming = Vec::new();
        } else {
            self.incoming.clear();
            self.incoming.extend_from_slice(rest);
        }
        Ok(())
    }

    /// Encrypt at most [`CHUNK`] bytes into `out`, which has room for them
    /// ([`ReadBuffer::all`](crate::channel::ReadBuffer::all)). Returns how many bytes that makes.
    ///
    /// # Errors
    /// When the connection is over.
    pub fn send(&mut self, bytes: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        self.at_rest(Write::Bytes(bytes, out))
    }

    /// Put our close_notify into [`Self::outgoing`].
    ///
    /// # Errors
    /// When the connection is over already.
    pub fn end(&mut self) -> Result<(), Error> {
        let mut alert = [0; 64];
        let written = self.at_rest(Write::CloseNotify(&mut alert))?;
        let written = alert.get(..written).unwrap_or_default();
        self.outgoing.extend_from_slice(written);
        Ok(())
    }

    fn at_rest(&mut self, write: Write<'_>) -> Result<usize, Error> {
        let mut incoming = std::mem::take(&mut self.incoming);
        let mut written = 0;
        // rustls looks at the records that are not whole, too.
        let mut plain = std::mem::take(&mut self.plain);
        let keep = |bytes: &[u8]| plain.extend_from_slice(bytes);
        let used = self.advance(&mut incoming, keep, Some((write, &mut written)));
        self.plain = plain;
        incoming.drain(..used?);
        self.incoming = incoming;
        match written {
            0 => Err(Error::HandshakeNotComplete),
            written => Ok(written),
        }
    }

    /// Process what can be processed, and then write. Returns how many bytes of `buffer`
    /// are done with.
    fn advance(
        &mut self,
        buffer: &mut [u8],
        mut reader: impl FnMut(&[u8]),
        mut write: Option<(Write<'_>, &mut usize)>,
    ) -> Result<usize, Error> {
        let mut used = 0;
        loop {
            let rest = buffer.get_mut(used..).unwrap_or_default();
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(rest);
            used += discard;
            let state = match state {
                Ok(state) => state,
                Err(error) => {
                    self.take_alert(buffer.get_mut(used..).unwrap_or_default());
                    return Err(error);
                }
            };
            match state {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        used += record.discard;
                        reader(record.payload);
                    }
                }
                ConnectionState::EncodeTlsData(data) => encode(data, &mut self.outgoing),
                // It is in `outgoing`, and nothing passes that.
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.peer_ended = true,
                ConnectionState::WriteTraffic(mut traffic) => {
                    if let Some((write, written)) = write.take() {
                        *written = match write {
                            Write::Bytes(bytes, out) => traffic.encrypt(bytes, out),
                            Write::CloseNotify(out) => traffic.queue_close_notify(out),
                        }
                        .map_err(|_| Error::EncryptError)?;
                    }
                    return Ok(used);
                }
                // Both sides have ended, or more must come first. Early data is not
                // accepted, and other states there are none.
                _ => return Ok(used),
            }
        }
    }

    /// After an error rustls has an alert for the peer.
    fn take_alert(&mut self, rest: &mut [u8]) {
        // It may stand behind messages that were to be sent before.
        while let UnbufferedStatus {
            state: Ok(ConnectionState::EncodeTlsData(data)),
            ..
        } = self.connection.process_tls_records(rest)
        {
            encode(data, &mut self.outgoing);
        }
    }
}

/// What is written once there is nothing left to process.
enum Write<'a> {
    Bytes(&'a [u8], &'a mut [u8]),
    CloseNotify(&'a mut [u8]),
}

fn encode<T>(mut data: EncodeTlsData<'_, T>, out: &mut Vec<u8>) {
    let start = out.len();
    // It says how much it needs if there is too little.
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        out.resize(start + size.required_size, 0);
        let room = out.get_mut(start..).unwrap_or_default();
        let written = data.encode(room).unwrap_or(0);
        out.truncate(start + written);
    }
}
