//! The records of a tap as text, for `hotsocket watch`: a line for each event, then its
//! bytes.
//!
//! ```text
//! 17:05:24.123456Z #7 data: 6 bytes in, 15 bytes out; 41.2 us, CPU 12.3 us; generation 1
//!   < hello\n
//!   > 6 bytes so far\n
//! ```
//!
//! All that peers and guests have sent is data: [`visible`] leaves nothing in it that a
//! terminal obeys or that changes the order of what is shown.
//!
//! - [`visible`]: text and bytes with everything else escaped
//! - [`hex`]: bytes in hex and as text, side by side

mod hex;
mod visible;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use visible::{visible, visible_bytes};

/// How records are shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Bytes in hex as well.
    pub hex: bool,
    pub colour: bool,
}

/// See the module's documentation. [`Self::show`] each record.
pub struct Transcript {
    look: Look,
}

/// Select Graphic Rendition, of ECMA-48: parameters of `ESC [ … m`.
#[derive(Clone, Copy, Debug)]
enum Colour {
    In = 36,
    Out = 33,
    Effect = 34,
    Fault = 31,
    Mark = 35,
    Head = 1,
}

impl Transcript {
    pub fn new(look: Look) -> Self {
        Transcript { look }
    }

    /// A record as lines, with their newlines.
    pub fn show(&mut self, record: &Value) -> String {
        let mut text = String::new();
        match str_of(record, "type") {
            "lease" => self.lease(&mut text, record),
            "event" => self.event(&mut text, record),
            "line" => {
                let (stream, said) = (str_of(record, "stream"), str_of(record, "text"));
                let level = match stream {
                    "log" => format!(" {}", visible(&str_of(record, "level").to_uppercase())),
                    _ => String::new(),
                };
                let what = format!("{}{level}: {}", visible(stream), visible(said));
                self.head(&mut text, record, &what, Colour::Head);
            }
            "direct" => {
                let topic = visible(str_of(record, "topic"));
                let what = format!("direct {topic}: {} out", bytes(count(record, "out_bytes")));
                self.head(&mut text, record, &what, Colour::Head);
                self.bytes(&mut text, record, Direction::Out);
            }
            "mark" => {
                let what = format!("* {}", visible(str_of(record, "text")));
                self.head(&mut text, record, &what, Colour::Mark);
                self.bytes(&mut text, record, Direction::Out);
            }
            "dropped" => {
                let (records, lost) = (count(record, "records"), count(record, "bytes"));
                let what = format!("  … {records} records left out, with {}", bytes(lost));
                self.line(&mut text, &what, Colour::Fault);
            }
            "end" | "expired" => {}
            other => self.line(&mut text, &format!("  ? {}", visible(other)), Colour::Head),
        }
        text
    }

    fn lease(&self, text: &mut String, record: &Value) {
        let service = visible(str_of(record, "service"));
        let row = record.get("connection").filter(|row| row.is_object());
        let what = match row {
            Some(row) => format!(
                "watching connection {} of {service}: peer {}, generation {}, {}",
                count(row, "id"),
                visible(str_of(row, "peer")),
                count(row, "generation"),
                visible(str_of(row, "state")),
            ),
            None => format!("watching all connections of {service}"),
        };
        self.line(text, &what, Colour::Head);
    }

    fn event(&self, text: &mut String, record: &Value) {
        let mut what = visible(str_of(record, "event")).into_owned();
        if let Some(timer) = record.get("timer").and_then(Value::as_u64) {
            let _ = write!(what, " {timer}");
        }
        for detail in ["origin", "reason"] {
            if let Some(detail) = record.get(detail).and_then(Value::as_str) {
                let _ = write!(what, " ({})", visible(detail));
            }
        }
        if let Some(topic) = record.get("topic").and_then(Value::as_str) {
            let sender = count(record, "sender");
            let _ = write!(what, " {} from #{sender}", visible(topic));
        }
        if let Some(missed) = record.get("missed").and_then(Value::as_u64) {
            let _ = write!(what, " of {missed}");
        }
        let out = match record.get("held").and_then(Value::as_bool) {
            Some(true) => "held back".to_owned(),
            _ => format!("{} out", bytes(count(record, "out_bytes"))),
        };
        let cpu = match record.get("cpu_us").and_then(Value::as_f64) {
            Some(cpu) => format!(", CPU {cpu} us"),
            None => String::new(),
        };
        let wall = record.get("wall_us").and_then(Value::as_f64).unwrap_or(0.0);
        let what = format!(
            "{what}: {} in, {out}; {wall} us{cpu}; generation {}",
            bytes(count(record, "in_bytes")),
            count(record, "generation")
        );
        self.head(text, record, &what, Colour::Head);
        self.bytes(text, record, Direction::In);
        self.bytes(text, record, Direction::Out);
        if let Some(effects) = record.get("effects").and_then(Value::as_array) {
            let effects: Vec<_> = effects.iter().filter_map(Value::as_str).collect();
            if !effects.is_empty() {
                let effects = format!("  = {}", visible(&effects.join("; ")));
                self.line(text, &effects, Colour::Effect);
            }
        }
        if let Some(fault) = record.get("fault").and_then(Value::as_str) {
            self.line(text, &format!("  ! {}", visible(fault)), Colour::Fault);
        }
    }

    /// The first line of a record: when, which connection, what.
    fn head(&self, text: &mut String, record: &Value, what: &str, colour: Colour) {
        let time = record.get("time").and_then(Value::as_f64).unwrap_or(0.0);
        let head = format!("{} #{} {what}", clock(time), count(record, "connection"));
        self.line(text, &head, colour);
    }

    fn line(&self, text: &mut String, line: &str, colour: Colour) {
        let _ = match self.look.colour {
            true => writeln!(text, "\x1b[{}m{line}\x1b[0m", colour as u8),
            false => writeln!(text, "{line}"),
        };
    }

    /// What a record carries in one direction.
    fn bytes(&self, text: &mut String, record: &Value, direction: Direction) {
        let (field, of, mark, colour) = match direction {
            Direction::In => ("in", "in_bytes", '<', Colour::In),
            Direction::Out => ("out", "out_bytes", '>', Colour::Out),
        };
        let shown = STANDARD.decode(str_of(record, field)).unwrap_or_default();
        let mut show = |line: &str| self.line(text, &format!("  {mark} {line}"), colour);
        match self.look.hex {
            true => hex::lines(&shown, &mut show),
            false => {
                for line in shown.split_inclusive(|byte| *byte == b'\n') {
                    show(&visible_bytes(line));
                }
            }
        }
        let left = count(record, of).saturating_sub(shown.len() as u64);
        if left > 0 {
            show(&format!("… and {} more, which are not shown", bytes(left)));
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Direction {
    In,
    Out,
}

fn str_of<'a>(record: &'a Value, field: &str) -> &'a str {
    record
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn count(record: &Value, field: &str) -> u64 {
    record.get(field).and_then(Value::as_u64).unwrap_or(0)
}

fn bytes(count: u64) -> String {
    match count {
        1 => "1 byte".to_owned(),
        _ => format!("{count} bytes"),
    }
}

/// The time of a day in UTC, as the server's log has it.
fn clock(unix_ms: f64) -> String {
    let micros = (unix_ms * 1000.0).round() as u64;
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{micros:06}Z", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(hex: bool, record: Value) -> String {
        let colour = false;
        Transcript::new(Look { hex, colour }).show(&record)
    }

    fn event() -> Value {
        serde_json::json!({
            "type": "event", "seq": 1, "time": 1_764_176_724_123.456, "connection": 7,
            "service": "echo", "event": "data", "generation": 1,
            "in": STANDARD.encode(b"hello\n\x1b[2J\xff"), "in_bytes": 12,
            "out": STANDARD.encode("6 bytes \u{202e}so far\n"), "out_bytes": 18,
            "wall_us": 41.2, "cpu_us": 12.3, "effects": ["timer 3 in 500ms", "end"],
            "fault": null,
        })
    }

    #[test]
    fn an_event_is_a_line_and_its_bytes() {
        assert_eq!(
            show(false, event()),
            "17:05:24.123456Z #7 data: 12 bytes in, 18 bytes out; 41.2 us, CPU 12.3 us; generation 1\n\
             \x20 < hello\\n\n\
             \x20 < \\x1b[2J\\xff\n\
             \x20 < … and 1 byte more, which are not shown\n\
             \x20 > 6 bytes \\u{202e}so far\\n\n\
             \x20 = timer 3 in 500ms; end\n"
        );
    }

    #[test]
    fn hex_and_text_are_side_by_side() {
        let shown = show(true, event());
        let first = shown.lines().nth(1).expect("bytes");
        let hex = "68 65 6c 6c 6f 0a 1b 5b  32 4a ff                 |hello..[2J.|";
        assert_eq!(first, format!("  < 00000000  {hex}"));
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        assert!(!show(false, event()).contains('\x1b'));
        let look = Look {
            hex: false,
            colour: true,
        };
        let shown = Transcript::new(look).show(&event());
        assert!(shown.contains("\x1b[36m  < hello\\n\x1b[0m\n"), "{shown:?}");
    }
}
