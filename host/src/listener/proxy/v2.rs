//! Version 2 of the PROXY protocol: binary (2.2).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::header::{Addresses, Command, Header, HeaderError, Progress, SIGNATURE_V2};

/// The longest header that is taken. Those of HAProxy have less, with a certificate's
/// name in them; the protocol allows 64 KiB.
pub const MAX: usize = FIXED + 4096;
/// Extensions of a header.
const MAX_EXTENSIONS: usize = 64;

/// The signature, version and command, family, and length of the rest.
const FIXED: usize = 16;
/// Two paths of sockets.
const UNIX_ADDRESSES: usize = 216;

const CRC32C: u8 = 0x03;
const NOOP: u8 = 0x04;
const UNIQUE_ID: u8 = 0x05;
const SSL: u8 = 0x20;
/// 2.2.5
const MAX_UNIQUE_ID: usize = 128;
/// Which client this is, and whether it was verified (2.2.6).
const SSL_FIXED: usize = 5;

/// # Errors
/// When this is no header, whatever follows.
pub fn parse(bytes: &[u8]) -> Result<Progress, HeaderError> {
    let mut rest = bytes.get(SIGNATURE_V2.len()..).unwrap_or_default();
    let fixed = (byte(&mut rest), byte(&mut rest), number(&mut rest));
    let (Some(version_and_command), Some(family), Some(length)) = fixed else {
        return Ok(Progress::Needs(FIXED - bytes.len()));
    };
    if version_and_command >> 4 != 2 {
        return Err(HeaderError::Wrong("a version other than 2"));
    }
    if FIXED + length > MAX {
        return Err(HeaderError::TooLongV2(FIXED + length));
    }
    match length.checked_sub(rest.len()) {
        Some(0) => {}
        Some(missing) => return Ok(Progress::Needs(missing)),
        None => return Err(HeaderError::Wrong("bytes after its end")),
    }
    let (command, extensions) = match version_and_command & 0xf {
        // Whatever it says of addresses is to be ignored.
        0 => (Command::Local, Vec::new()),
        1 => {
            let addresses = addresses(family, &mut rest)?;
            (Command::Proxy(addresses), extensions(bytes, rest)?)
        }
        _ => return Err(HeaderError::Wrong("a command other than LOCAL and PROXY")),
    };
    Ok(Progress::Whole(Header {
        version: 2,
        command,
        extensions,
    }))
}

/// Take the addresses off the front.
fn addresses(family: u8, rest: &mut &[u8]) -> Result<Addresses, HeaderError> {
    let addresses = match family {
        0x00 => Some(Addresses::Unknown),
        0x11 => ip::<4, Ipv4Addr>(rest),
        0x21 => ip::<16, Ipv6Addr>(rest),
        0x31 => take(rest, UNIX_ADDRESSES).map(|_| Addresses::Unix),
        0x12 | 0x22 | 0x32 => return Err(HeaderError::Wrong("the addresses of datagrams")),
        _ => return Err(HeaderError::Wrong("an unknown family of addresses")),
    };
    addresses.ok_or(HeaderError::Wrong("less bytes than its addresses have"))
}

fn ip<const SIZE: usize, T: From<[u8; SIZE]> + Into<std::net::IpAddr>>(
    rest: &mut &[u8],
) -> Option<Addresses> {
    let mut ip = || rest.split_off(..SIZE)?.try_into().ok();
    let (peer, local): ([u8; SIZE], [u8; SIZE]) = (ip()?, ip()?);
    let (peer_port, local_port) = (port(rest)?, port(rest)?);
    Some(Addresses::Ip {
        peer: SocketAddr::new(T::from(peer).into(), peer_port),
        local: SocketAddr::new(T::from(local).into(), local_port),
    })
}

/// The extensions (TLVs, 2.2), of the whole header.
fn extensions(header: &[u8], mut rest: &[u8]) -> Result<Vec<(u8, Vec<u8>)>, HeaderError> {
    let mut extensions = Vec::new();
    let mut has_checksum = false;
    while !rest.is_empty() {
        let at = header.len() - rest.len();
        let (kind, value) = extension(&mut rest)?;
        match kind {
            CRC32C if has_checksum => return Err(HeaderError::Wrong("two checksums")),
            CRC32C => {
                has_checksum = true;
                verify(header, at, value)?;
            }
            NOOP => {}
            UNIQUE_ID if value.len() > MAX_UNIQUE_ID => {
                return Err(HeaderError::Wrong("a unique id of more than 128 bytes"));
            }
            _ if extensions.len() == MAX_EXTENSIONS => {
                return Err(HeaderError::Wrong("more than 64 extensions"));
            }
            _ => {
                if kind == SSL {
                    check_ssl(value)?;
                }
                extensions.push((kind, value.to_vec()));
            }
        }
    }
    Ok(extensions)
}

/// Take an extension off the front.
fn extension<'a>(rest: &mut &'a [u8]) -> Result<(u8, &'a [u8]), HeaderError> {
    let kind = byte(rest);
    let value = number(rest).and_then(|length| take(rest, length));
    let extension = kind.zip(value);
    extension.ok_or(HeaderError::Wrong("an extension that is longer than it"))
}

/// The extensions inside that of TLS have the form of the others.
fn check_ssl(value: &[u8]) -> Result<(), HeaderError> {
    let mut inner = value.get(SSL_FIXED..).ok_or(HeaderError::Wrong(
        "an extension about TLS of less than 5 bytes",
    ))?;
    while !inner.is_empty() {
        extension(&mut inner)?;
    }
    Ok(())
}

/// Compare the checksum, whose extension begins there; it is computed with zeros in its
/// own place (2.2.3).
fn verify(header: &[u8], at: usize, value: &[u8]) -> Result<(), HeaderError> {
    const CASTAGNOLI: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
    let expected: [u8; 4] = value
        .try_into()
        .map_err(|_| HeaderError::Wrong("a checksum that has not 4 bytes"))?;
    let at = at + 3;
    let mut digest = CASTAGNOLI.digest();
    digest.update(header.get(..at).unwrap_or_default());
    digest.update(&[0; 4]);
    digest.update(header.get(at + 4..).unwrap_or_default());
    match digest.finalize() == u32::from_be_bytes(expected) {
        true => Ok(()),
        false => Err(HeaderError::Checksum),
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    rest.split_off(..count)
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    rest.split_off_first().copied()
}

fn port(rest: &mut &[u8]) -> Option<u16> {
    let bytes = rest.split_off(..2)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    port(rest).map(usize::from)
}
