//! How the log names a connection.
//!
//! Each line about a connection is in the span `connection`, whose fields are
//! the same for the lines of the sandbox and of whoever uses it. What a line
//! looks like is not decided here.

use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::Endpoint;

/// A connection, as the log names it: the fields of the span `connection`.
///
/// Whoever logs calls [`Self::log`]. The span is created for that one line and
/// dropped after it, so a connection that logs nothing pays for no span.
#[derive(Clone, Copy, Debug)]
pub struct LoggedConnection<'a> {
    pub id: u64,
    pub peer: Endpoint,
    /// The generation that serves the connection.
    pub generation: u64,
    /// What the guest calls it, if anything.
    pub label: Option<&'a str>,
}

impl LoggedConnection<'_> {
    /// Call `line`, which logs at this level, in the connection's span. It is
    /// not called if nothing reads lines of this level.
    pub fn log(&self, level: Level, line: impl FnOnce()) {
        if level > LevelFilter::current() {
            return;
        }
        let LoggedConnection {
            id,
            peer,
            generation,
            label,
        } = *self;
        tracing::error_span!("connection", id, %peer, generation, label).in_scope(line);
    }
}
