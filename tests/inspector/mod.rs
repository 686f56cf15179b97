//! What people see of connections while they are served.

mod taps;
mod viewers;
mod watch;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::harness::{PATIENCE, Server};

/// Somebody who looks at a connection, over the control socket.
pub(crate) struct Viewer(BufReader<UnixStream>);

impl Viewer {
    /// Look at one connection, or at all.
    pub(crate) fn of(server: &Server, connection: Option<u64>) -> Self {
        let (viewer, first) = Self::try_of(server, connection);
        assert_eq!(first["type"], "lease", "{first}");
        viewer
    }

    /// The same, with the first line of the answer.
    fn try_of(server: &Server, connection: Option<u64>) -> (Self, Value) {
        let mut stream = UnixStream::connect(server.control_socket()).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        let request = serde_json::json!({ "request": "watch", "connection": connection });
        writeln!(stream, "{request}").expect("it is taken");
        let mut viewer = Viewer(BufReader::new(stream));
        let first = viewer.next().expect("an answer");
        (viewer, first)
    }

    /// The next record; `None` at the end of the stream.
    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("lines");
        let line = line.trim();
        (!line.is_empty()).then(|| serde_json::from_str(line).expect("JSON"))
    }

    /// Records up to the first of which this holds, with it.
    #[track_caller]
    pub(crate) fn until(&mut self, holds: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let record = self.next();
            let record = record.unwrap_or_else(|| panic!("the stream ended after {all:#?}"));
            let is_last = holds(&record);
            all.push(record);
            if is_last {
                return all;
            }
        }
    }

    /// Records up to the end.
    #[track_caller]
    fn rest(&mut self) -> Vec<Value> {
        let all = self.until(|record| record["type"] == "end");
        assert_eq!(self.next(), None);
        all
    }
}

/// What a record has in `in` or `out`, if it is text.
fn text(record: &Value, field: &str) -> String {
    let encoded = record[field].as_str().unwrap_or_default();
    let bytes = STANDARD.decode(encoded).expect("Base64");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A record in a few words, for comparing: `data hello > 6 bytes so far`.
fn brief(record: &Value) -> String {
    let name = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
    match record["type"].as_str() {
        Some("event") => {
            let mut brief = name("event");
            for part in [name("origin"), name("reason"), text(record, "in")] {
                if !part.is_empty() {
                    brief.push(' ');
                    brief.push_str(part.trim_end());
                }
            }
            if record["held"] == true {
                brief.push_str(" (held)");
            }
            if record["fault"].is_string() {
                brief.push_str(" (fault)");
            }
            match text(record, "out").trim_end() {
                "" => brief,
                out => format!("{brief} > {out}"),
            }
        }
        Some("mark") => match text(record, "out").trim_end() {
            "" => format!("* {}", name("mark")),
            out => format!("* {} > {out}", name("mark")),
        },
        Some("line") => format!("{}: {}", name("stream"), name("text")),
        Some("direct") => format!(
            "direct {} > {}",
            name("topic"),
            text(record, "out").trim_end()
        ),
        _ => name("type"),
    }
}

pub(crate) fn briefs(records: &[Value]) -> Vec<String> {
    records.iter().map(brief).collect()
}
