//! The headers of the PROXY protocol
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>, sections in
//! parentheses): from bytes to what they say. Nothing here reads.
//!
//! [`parse`] is called with all that has been read so far, and says how many bytes of
//! the header are still missing for certain. Whoever reads no more than these never
//! reads what follows the header.

use std::net::SocketAddr;

use super::{v1, v2};

/// What a header of version 1 begins with (2.1)…
pub const SIGNATURE_V1: &[u8] = b"PROXY ";
/// …and one of version 2 (2.2).
pub const SIGNATURE_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// 1 or 2.
    pub version: u8,
    pub command: Command,
    /// Types and values, without padding and checksum; version 2 only.
    pub extensions: Vec<(u8, Vec<u8>)>,
}

/// On whose behalf the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The proxy's own, to see whether the server is alive.
    Local,
    Proxy(Addresses),
}

/// Between whom the connection is that the proxy has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// The proxy does not say.
    Unknown,
    Ip {
        peer: SocketAddr,
        local: SocketAddr,
    },
    Unix,
}

/// How far a header has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// At least so many bytes more belong to it.
    Needs(usize),
    Whole(Header),
}

/// Why bytes are no header, as the end of a sentence about the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("it begins with no PROXY header but with \"{}\"", .0.escape_ascii())]
    Other(Vec<u8>),
    #[error("the PROXY header is longer than {} bytes", v1::MAX)]
    TooLongV1,
    #[error("the PROXY header has {0} bytes, and {max} are allowed", max = v2::MAX)]
    TooLongV2(usize),
    #[error("the PROXY header has no end: \\n does not follow on \\r")]
    LineEnd,
    #[error("the PROXY header has {0}")]
    Wrong(&'static str),
    #[error("the checksum of the PROXY header is wrong")]
    Checksum,
}

/// Bytes that are shown of what is no header.
const SHOWN: usize = 16;

/// What bytes begin with, so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    None,
    /// It may become a signature.
    Begun,
    V1,
    V2,
}

/// See [`Signature`].
pub fn signature(bytes: &[u8]) -> Signature {
    let is = |signature: &[u8]| bytes.starts_with(signature);
    let begins = |signature: &[u8]| signature.starts_with(bytes);
    match () {
        () if is(SIGNATURE_V1) => Signature::V1,
        () if is(SIGNATURE_V2) => Signature::V2,
        () if begins(SIGNATURE_V1) || begins(SIGNATURE_V2) => Signature::Begun,
        () => Signature::None,
    }
}

/// See the module's documentation. No bytes may follow the header.
///
/// # Errors
/// When this is no header, whatever follows.
pub fn parse(bytes: &[u8]) -> Result<Progress, HeaderError> {
    match signature(bytes) {
        Signature::V1 => v1::parse(bytes),
        Signature::V2 => v2::parse(bytes),
        // The shortest header of version 1 is longer than the longer signature.
        Signature::Begun => Ok(Progress::Needs(SIGNATURE_V2.len() - bytes.len())),
        Signature::None => {
            let shown = bytes.get(..SHOWN).unwrap_or(bytes);
            Err(HeaderError::Other(shown.to_vec()))
        }
    }
}
