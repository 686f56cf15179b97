//! One accepted version of the guest.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use crate::runtime::Code;

/// Where a generation's component came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Compiled into the server.
    BuiltIn(&'static str),
    /// The file that the server serves.
    File(PathBuf),
    /// Sent by `hotsocket swap`, with the path as the caller named it.
    Sent(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::BuiltIn(name) => write!(f, "{name} (built in)"),
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Sent(name) => f.write_str(name),
        }
    }
}

/// An accepted version of the guest: numbered from 1 in the order of their
/// acceptance, and never changed afterwards.
pub struct Generation {
    pub number: u64,
    pub code: Arc<Code>,
    pub source: Source,
    pub accepted: SystemTime,
    connections: AtomicUsize,
}

impl Generation {
    pub fn new(number: u64, code: Arc<Code>, source: Source) -> Self {
        Generation {
            number,
            code,
            source,
            accepted: SystemTime::now(),
            connections: AtomicUsize::new(0),
        }
    }

    /// Connections that an instance of this generation serves now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// A connection's hold on its generation, counted for as long as it lasts.
pub struct Hold(Arc<Generation>);

impl Hold {
    pub fn new(generation: Arc<Generation>) -> Self {
        generation.connections.fetch_add(1, Ordering::Relaxed);
        Hold(generation)
    }

    pub fn generation(&self) -> &Arc<Generation> {
        &self.0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
