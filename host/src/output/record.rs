//! One JSON object in one line: the shape that the host's log and the lines of
//! guests share with `--log-format json`. docs/logs.md describes it.

use std::borrow::Cow;

use serde::Serialize;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::escape::json_text;

/// A line in the making: [`Self::begin`], then a [`Self::field`] for each field,
/// then [`Self::end`].
pub struct Record(Vec<u8>);

impl Record {
    /// Begin with what every record has: the time, the level, and the connection
    /// that it is about (an object in JSON), if it is about one.
    pub fn begin(level: &str, connection: Option<&str>) -> Self {
        let mut time = String::new();
        // Writing to a string does not fail.
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        let mut record = Record::empty();
        record.field("timestamp", time);
        record.field("level", level);
        record.name("connection");
        record.0.extend(connection.unwrap_or("null").as_bytes());
        record
    }

    /// An object that has no field yet.
    pub fn empty() -> Self {
        Record(Vec::with_capacity(256))
    }

    /// Add a field. A value that has no form in JSON is `null`.
    pub fn field(&mut self, name: &str, value: impl Serialize) {
        self.name(name);
        if serde_json::to_writer(&mut self.0, &value).is_err() {
            self.0.extend(b"null");
        }
    }

    fn name(&mut self, name: &str) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        // Writing a string to memory does not fail.
        let _ = serde_json::to_writer(&mut self.0, name);
        self.0.push(b':');
    }

    /// The whole object, without a newline. A terminal may show it: none of it is obeyed.
    pub fn end(mut self) -> Vec<u8> {
        if self.0.is_empty() {
            self.0.push(b'{');
        }
        self.0.push(b'}');
        match json_text(&String::from_utf8_lossy(&self.0)) {
            Cow::Owned(escaped) => escaped.into_bytes(),
            Cow::Borrowed(_) => self.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn is_one_line_of_json() {
        let mut record = Record::begin("info", Some("{\"id\":3}"));
        record.field("message", "two\nlines \u{1b} \u{9b}\u{202e} \"quoted\"");
        record.field("bytes", u64::MAX);
        let line = record.end();
        assert!(line.is_ascii() && !line.contains(&b'\n'));
        let value: Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(value["level"], "info");
        assert_eq!(value["connection"], json!({ "id": 3 }));
        assert_eq!(
            value["message"],
            "two\nlines \u{1b} \u{9b}\u{202e} \"quoted\""
        );
        assert_eq!(value["bytes"], u64::MAX);
        let time = value["timestamp"].as_str().expect("a time");
        assert!(time.ends_with('Z') && time.contains('T'), "{time}");
    }

    #[test]
    fn without_a_connection_it_says_so() {
        let line = Record::begin("warn", None).end();
        let value: Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(value["connection"], Value::Null);
        assert_eq!(Record::empty().end(), b"{}");
    }
}
