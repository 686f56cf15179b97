//! From the text of a flag to its value.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::duration;
use crate::listener::ListenAddress;
use crate::rollout::RollbackAfter;
use hotsocket_sandbox::CodeCacheDir;

use crate::nats::NatsOptions;
use crate::node::Control;
use crate::store::{StoreFile, StoreNats, StorePlace, StoreSync};

/// Four times as long as between two signs of life.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

/// When a swap is undone; `None`: never.
#[derive(Clone, Copy, Debug)]
pub(super) struct After(pub(super) Option<RollbackAfter>);

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(RollbackAfter { failures, among }) => write!(f, "{failures}/{among}"),
            None => f.write_str("never"),
        }
    }
}

pub(super) fn rollback_after(text: &str) -> Result<After, String> {
    RollbackAfter::parse(text).map(After)
}

pub(super) fn address(text: &str) -> Result<ListenAddress, String> {
    text.parse()
}

/// How long a server may be silent: longer than between two of its signs of life.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let time = duration::parse(text)?;
    match time < SHORTEST_TIMEOUT {
        true => Err(format!("at least {}", duration::show(SHORTEST_TIMEOUT))),
        false => Ok(time),
    }
}

pub(super) fn store(text: &str) -> Result<StorePlace, String> {
    match text.split_once("://") {
        Some(_) => StoreNats::parse(text).map(StorePlace::Nats),
        None => Ok(StorePlace::File(StoreFile {
            path: PathBuf::from(text),
            sync: StoreSync::default(),
        })),
    }
}

pub(super) fn topics(text: &str) -> Result<NatsOptions, String> {
    NatsOptions::parse(text).map_err(|error| error.to_string())
}

pub(super) fn control(text: &str) -> Result<Control, String> {
    Ok(match text {
        "none" => Control::None,
        path => Control::At(PathBuf::from(path)),
    })
}

pub(super) fn code_cache(text: &str) -> Result<CodeCacheDir, String> {
    Ok(match text {
        "none" => CodeCacheDir::None,
        path => CodeCacheDir::At(PathBuf::from(path)),
    })
}

pub(super) fn directory(text: &str) -> Result<(PathBuf, String), String> {
    let (host, guest) = text.split_once("::").unwrap_or((text, text));
    let host = PathBuf::from(host);
    match host.is_dir() {
        true => Ok((host, guest.to_owned())),
        false => Err("no such directory".to_owned()),
    }
}

/// A setting of guests: `NAME=VALUE`, or `NAME` with the value of the environment
/// variable, so that a secret need not be on the command line.
pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = variable(text)?;
    hotsocket_sandbox::check_setting(&name, &value).map_err(|error| error.to_string())?;
    Ok((name, value))
}

pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    if let Some((name, value)) = text.split_once('=') {
        return Ok((name.to_owned(), value.to_owned()));
    }
    let value = std::env::var(text)
        .map_err(|_| "not set in this environment; give it a value with NAME=VALUE".to_owned())?;
    Ok((text.to_owned(), value))
}
