//! Version 1 of the PROXY protocol: a line of text (2.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::header::{Addresses, Command, Header, HeaderError, Progress, SIGNATURE_V1};

/// The longest header, its end included (2.1).
pub const MAX: usize = 107;

const END: &[u8] = b"\r\n";
/// Spaces in a header with addresses, after the signature's.
const SPACES: usize = 4;
const UNKNOWN: &[u8] = b"UNKNOWN";

/// # Errors
/// When this is no header, whatever follows.
pub fn parse(bytes: &[u8]) -> Result<Progress, HeaderError> {
    let Some(at) = bytes.iter().position(|byte| *byte == b'\r') else {
        return match bytes.len() + END.len() > MAX {
            true => Err(HeaderError::TooLongV1),
            false => Ok(Progress::Needs(missing(bytes))),
        };
    };
    let (line, end) = bytes.split_at(at);
    match end {
        b"\r" if bytes.len() < MAX => Ok(Progress::Needs(1)),
        b"\r" => Err(HeaderError::TooLongV1),
        END => line_without_end(line).map(Progress::Whole),
        _ => Err(HeaderError::LineEnd),
    }
}

/// Bytes that must follow on a line without its end.
fn missing(line: &[u8]) -> usize {
    let fields = line.get(SIGNATURE_V1.len()..).unwrap_or_default();
    if fields.starts_with(b"TCP") {
        let spaces = fields.iter().filter(|byte| **byte == b' ').count();
        // Each space that is missing has at least one byte after it.
        return END.len() + 2 * SPACES.saturating_sub(spaces);
    }
    // `TCP4 ` and its fields are longer than UNKNOWN.
    END.len() + UNKNOWN.len().saturating_sub(fields.len())
}

fn line_without_end(line: &[u8]) -> Result<Header, HeaderError> {
    let wrong = HeaderError::Wrong;
    let line = str::from_utf8(line).map_err(|_| wrong("bytes that are no text"))?;
    let mut fields = line.split(' ').skip(1);
    let addresses = match fields.next() {
        // What follows is to be ignored.
        Some("UNKNOWN") => Addresses::Unknown,
        Some("TCP4") => addresses::<Ipv4Addr>(fields)?,
        Some("TCP6") => addresses::<Ipv6Addr>(fields)?,
        _ => return Err(wrong("none of TCP4, TCP6 and UNKNOWN")),
    };
    Ok(Header {
        version: 1,
        command: Command::Proxy(addresses),
        extensions: Vec::new(),
    })
}

/// Source and destination, port of the source and of the destination.
fn addresses<'a, T: FromStr + Into<IpAddr>>(
    mut fields: impl Iterator<Item = &'a str>,
) -> Result<Addresses, HeaderError> {
    let wrong = HeaderError::Wrong;
    let mut ip = || -> Option<IpAddr> { Some(fields.next()?.parse::<T>().ok()?.into()) };
    let ips = ip().zip(ip());
    let (peer, local) = ips.ok_or(wrong("an address that is none of its family"))?;
    let mut port = || port(fields.next()?);
    let ports = port().zip(port());
    let (peer_port, local_port) = ports.ok_or(wrong("a port that is no number up to 65535"))?;
    match fields.next() {
        None => Ok(Addresses::Ip {
            peer: SocketAddr::new(peer, peer_port),
            local: SocketAddr::new(local, local_port),
        }),
        Some(_) => Err(wrong("more than six fields")),
    }
}

/// In decimal, without a sign and without zeros in front.
fn port(field: &str) -> Option<u16> {
    let port: u16 = field.parse().ok()?;
    (port.to_string() == field).then_some(port)
}
