//! The lines of a service's guests, on their way to where they are printed: whoever
//! looks at the connection sees them as well.

use std::sync::{Arc, OnceLock};

use hotsocket_sandbox::{GuestRecord, LineSink, StandardStream};

use crate::output;
use crate::roster::Roster;
use crate::tap::What;

/// The longest text of a line that viewers see, in bytes.
const MAX_TEXT: usize = 16 << 10;

/// See the module's documentation. Made before the sandbox of the service, which prints
/// to it.
pub struct ServiceLines {
    /// Prints them.
    sink: Arc<dyn LineSink>,
    /// Set once there are sessions.
    roster: OnceLock<Arc<Roster>>,
}

impl ServiceLines {
    pub fn new(sink: Arc<dyn LineSink>) -> Arc<Self> {
        Arc::new(ServiceLines {
            sink,
            roster: OnceLock::new(),
        })
    }

    /// Where the sessions are whose lines they are.
    pub fn set_roster(&self, roster: &Arc<Roster>) {
        let _ = self.roster.set(Arc::clone(roster));
    }

    fn show(&self, connection: Option<u64>, what: impl FnOnce() -> What) {
        let watched = self.roster.get().filter(|roster| roster.is_watched());
        if let Some(id) = connection
            && let Some(session) = watched.and_then(|roster| roster.get(id))
            && session.is_tapped()
        {
            session.record(what());
        }
    }
}

impl LineSink for ServiceLines {
    fn guest_line(&self, connection: Option<u64>, stream: StandardStream, line: &[u8]) {
        self.show(connection, || {
            let (stream, level) = match stream {
                StandardStream::Out => ("stdout", "info"),
                StandardStream::Error => ("stderr", "error"),
            };
            let text = String::from_utf8_lossy(line);
            What::Line {
                stream,
                level,
                text: shorten(&text).into(),
            }
        });
        self.sink.guest_line(connection, stream, line);
    }

    fn guest_record(&self, connection: Option<u64>, record: &GuestRecord) {
        self.show(connection, || What::Line {
            stream: "log",
            level: output::level(record.level),
            text: shorten(&output::message(record)).into(),
        });
        self.sink.guest_record(connection, record);
    }
}

fn shorten(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT))
        .unwrap_or(text)
}
