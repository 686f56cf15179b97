//! One accepted version of the guest.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use hotsocket_sandbox::CompiledGuest;

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
    pub guest: Arc<CompiledGuest>,
    pub source: Source,
    pub accepted: SystemTime,
    connections: AtomicUsize,
}

impl Generation {
    pub fn new(number: u64, guest: Arc<CompiledGuest>, source: Source) -> Self {
        Generation {
            number,
            guest,
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

/// Counts a connection to its generation for as long as it lives.
pub struct GenerationGuard(Arc<Generation>);

impl GenerationGuard {
    pub fn new(generation: Arc<Generation>) -> Self {
        generation.connections.fetch_add(1, Ordering::Relaxed);
        GenerationGuard(generation)
    }

    pub fn generation(&self) -> &Arc<Generation> {
        &self.0
    }
}

impl Drop for GenerationGuard {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
