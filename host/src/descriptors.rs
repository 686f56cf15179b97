//! File descriptors: every connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept for everything that is not a connection.
const RESERVED: u64 = 64;

/// Raise the soft limit of open files to the hard one, and lower
/// `max_connections` to what fits in it, with a warning.
pub fn raise_limit(max_connections: &mut usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Always allowed (getrlimit(2)). If it fails all the same, the limit that is
    // read next is the old one.
    let _ = setrlimit(Resource::Nofile, raised);
    let Some(files) = getrlimit(Resource::Nofile).current else {
        return;
    };
    let fitting = usize::try_from(files.saturating_sub(RESERVED))
        .unwrap_or(usize::MAX)
        .max(1);
    if fitting < *max_connections {
        tracing::warn!(
            kind = "limit",
            limit = "descriptors",
            "--max-connections is lowered from {max_connections} to {fitting}: this process may open \
             {files} files; raise that with `ulimit -n {}`",
            *max_connections as u64 + RESERVED
        );
        *max_connections = fitting;
    }
}
