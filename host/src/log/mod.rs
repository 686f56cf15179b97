//! The host's log: one line for each thing that a person should know, on
//! standard error, apart from the lines of guests.
//!
//! Whoever has something to say uses `tracing`; this module decides what a line
//! looks like. docs/logs.md describes both formats.
//!
//! - The message is a sentence that is enough for a person.
//! - A line about a connection is in the span `connection`; see
//!   [`LoggedConnection`](hotsocket_sandbox::LoggedConnection).
//! - A line that programs may act on has the field `kind` and those that belong
//!   to this kind. Numbers are numbers, times have their unit in their name.
//!
//! - [`text`]: lines for people
//! - [`json`]: records for programs
//! - [`tap`]: for somebody who looks now

mod json;
mod tap;
mod text;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use json::Json;
pub use tap::{LOG_BUFFER, LogStream, MAX_LOG_STREAMS};
pub use text::{Clock, Text};

use crate::output::{Output, Record, escape};

/// The `kind` of the line that `--access-log` writes for each connection.
pub const CLOSED: &str = "closed";

/// The `kind` of what compilers say, the only messages of several lines.
pub const BUILD: &str = "build";

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, the lines of guests too.
    Json,
}

/// Send the log to an output, from now on and for the whole process.
pub fn start(output: &Arc<Output>, format: Format, level: LevelFilter) {
    let terminal = io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(terminal)
        .with_writer(Target(Arc::clone(output)));
    let text = Text(match terminal {
        true => Clock::TimeOfDay,
        false => Clock::DateAndTime,
    });
    // Libraries say what they do in their own words; who debugs may want to see it.
    let libraries = match level >= LevelFilter::DEBUG {
        true => level,
        false => LevelFilter::OFF,
    };
    let targets = Targets::new().with_target("hotsocket", level);
    let targets = targets.with_default(libraries);
    match format {
        Format::Text => {
            let lines = builder.event_format(text).fmt_fields(text);
            lines.finish().with(targets).with(tap::Tap).init();
        }
        Format::Json => {
            let lines = builder.event_format(Json).fmt_fields(Json);
            lines.finish().with(targets).with(tap::Tap).init();
        }
    }
}

/// The process cannot do what it was started for. Written whatever the level of
/// the log is.
pub fn failed(output: &Output, format: Format, error: &impl Display) {
    let mut line = match format {
        Format::Text => {
            let error = error.to_string();
            format!("error: {}", escape::one_line(&error)).into_bytes()
        }
        Format::Json => {
            let mut record = Record::begin("error", None);
            record.field("message", error.to_string());
            record.field("kind", "failed");
            record.end()
        }
    };
    line.push(b'\n');
    output.log(&line);
}

struct Target(Arc<Output>);

impl<'a> MakeWriter<'a> for Target {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// The subscriber writes each line whole.
struct Line<'a>(&'a Output);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.log(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
