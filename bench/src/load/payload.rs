//! The bytes that are sent, and the check of those that come back.
//!
//! All connections use one pattern: a request is a piece of it, and the next
//! request begins one byte later, so that an old reply, one of another connection,
//! or a shifted one is detected.

use std::cell::RefCell;
use std::io;

use tokio::net::TcpStream;

use crate::Result;

/// A prime, so that it has no common divisor with the sizes of requests.
const PERIOD: usize = 65_521;
/// The largest piece.
pub const LARGEST: usize = 64 * 1024;

/// The pattern: pseudo-random bytes, the same in each run.
pub struct Payload(Vec<u8>);

impl Payload {
    pub fn new() -> Self {
        let mut state = 0x9e37_79b9_u32;
        let mut bytes: Vec<u8> = (0..PERIOD)
            .map(|_| {
                // xorshift32
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state.to_le_bytes()[0]
            })
            .collect();
        bytes.extend_from_within(..);
        bytes.extend_from_within(..);
        Payload(bytes)
    }

    /// The piece that begins there, at most [`LARGEST`] bytes.
    pub fn piece(&self, at: usize, length: usize) -> &[u8] {
        let begin = at % PERIOD;
        self.0
            .get(begin..begin + length.min(LARGEST))
            .unwrap_or_default()
    }
}

/// Send it all.
pub async fn send(socket: &TcpStream, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match socket.try_write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable().await?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Receive exactly this.
pub async fn expect(socket: &TcpStream, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        socket.readable().await?;
        let received =
            compare(socket, bytes)?.ok_or("the server has closed a connection before its reply")?;
        bytes = bytes.get(received..).unwrap_or_default();
    }
    Ok(())
}

/// Receive what there is, at most this, and compare. `Some(0)`: nothing yet;
/// `None`: nothing will come any more.
pub fn compare(socket: &TcpStream, expected: &[u8]) -> Result<Option<usize>> {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; LARGEST]);
    }
    BUFFER.with_borrow_mut(|buffer| {
        let length = expected.len().min(LARGEST);
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        match socket.try_read(buffer) {
            Ok(0) => Ok(None),
            Ok(length) if buffer.get(..length) == expected.get(..length) => Ok(Some(length)),
            Ok(_) => Err("a reply differs from its request".into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Some(0)),
            Err(error) => Err(error.into()),
        }
    })
}
