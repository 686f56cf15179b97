//! File descriptors: every connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything that is not a connection.
const RESERVED: u64 = 64;

/// Raise the soft limit of open files to the hard one, and lower the limit of
/// connections to what fits, saying so.
pub fn raise(max_connections: &mut usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Raising the soft limit up to the hard one is always allowed; should it
    // fail all the same, what counts is the limit that stays.
    let _ = setrlimit(Resource::Nofile, raised);
    let Some(files) = getrlimit(Resource::Nofile).current else {
        return;
    };
    let fitting = usize::try_from(files.saturating_sub(RESERVED))
        .unwrap_or(usize::MAX)
        .max(1);
    if fitting < *max_connections {
        tracing::warn!(
            "room for {fitting} connections only, not {max_connections}: a process may have {files} files open; \
             raise it with `ulimit -n {}`",
            *max_connections as u64 + RESERVED
        );
        *max_connections = fitting;
    }
}
