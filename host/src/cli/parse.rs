//! From the text of a flag to its value.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::registry::RollbackAfter;
use crate::runtime::CachePlace;
use crate::server::Control;
use crate::size;

/// `None` for `never`.
#[derive(Clone, Copy, Debug)]
pub(super) struct After(pub(super) Option<RollbackAfter>);

pub(super) fn rollback_after(text: &str) -> Result<After, String> {
    RollbackAfter::parse(text).map(After)
}

/// Each serving thread and each fiber has one.
pub(super) fn stack(text: &str) -> Result<usize, String> {
    const LEAST: usize = 16 << 10;
    const MOST: usize = 256 << 20;
    match size::parse(text)? {
        bytes @ LEAST..=MOST => Ok(bytes),
        _ => Err("not a size from 16K to 256M".to_owned()),
    }
}

/// At least one, and no more than anybody has.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=10_000_000) => Ok(count),
        _ => Err("not a number from 1 to 10000000".to_owned()),
    }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    // A port alone, as in `server.listen(3000)`, is one of this machine only.
    let port = text.strip_prefix("localhost").unwrap_or(text);
    let port = port.strip_prefix(':').unwrap_or(port);
    let numeric = match port.parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => text.to_owned(),
    };
    numeric.parse().map_err(|_| {
        "not an IP address with a port; try 127.0.0.1:3000, 0.0.0.0:3000 or [::1]:3000".to_owned()
    })
}

pub(super) fn control(text: &str) -> Result<Control, String> {
    Ok(match text {
        "none" => Control::None,
        path => Control::At(PathBuf::from(path)),
    })
}

pub(super) fn code_cache(text: &str) -> Result<CachePlace, String> {
    Ok(match text {
        "none" => CachePlace::None,
        path => CachePlace::At(PathBuf::from(path)),
    })
}

pub(super) fn directory(text: &str) -> Result<(PathBuf, String), String> {
    let (host, guest) = text.split_once("::").unwrap_or((text, text));
    let host = PathBuf::from(host);
    match host.is_dir() {
        true => Ok((host, guest.to_owned())),
        false => Err("there is no such directory".to_owned()),
    }
}

pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    if let Some((name, value)) = text.split_once('=') {
        return Ok((name.to_owned(), value.to_owned()));
    }
    let value = std::env::var(text)
        .map_err(|_| "not set here; give it a value with NAME=VALUE".to_owned())?;
    Ok((text.to_owned(), value))
}
