//! The log for people: `TIME LEVEL message`, and what the line is about before
//! its message.

use std::fmt::{self, Write as _};
use std::time::{self, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::output::escape::one_line;
use crate::output::harmless;

/// Writes lines for people. It is both the format of events and the one of a
/// span's fields.
#[derive(Clone, Copy, Debug)]
pub struct Text(pub Clock);

/// What a line says of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    None,
    /// For a terminal: the date is known and columns are few.
    TimeOfDay,
    DateAndTime,
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        self.0.write(&mut line)?;
        write_level(*event.metadata().level(), &mut line)?;
        let mut sentence = Sentence::default();
        event.record(&mut sentence);
        if let Some(span) = context.lookup_current()
            && let Some(subject) = span.extensions().get::<FormattedFields<N>>()
        {
            write!(line, "{subject}{} ", sentence.colon())?;
        }
        let message = match sentence.has_lines {
            true => harmless(sentence.message.as_bytes()),
            false => one_line(&sentence.message),
        };
        writeln!(line, "{message}")
    }
}

impl<'a> FormatFields<'a> for Text {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'a>, fields: R) -> fmt::Result {
        let mut subject = Subject::new(writer);
        fields.record(&mut subject);
        subject.result
    }
}

/// What an event says. Its other fields are for programs: the message has in
/// words whatever people need of them.
#[derive(Default)]
pub(super) struct Sentence {
    pub(super) message: String,
    /// The message continues the sentence that the connection's name begins.
    goes_on: bool,
    /// It is a compiler's, which has several lines. In any other message a line break is
    /// from the name of a file, a guest, a peer or a certificate, and must not begin
    /// another line of the log.
    has_lines: bool,
}

impl Sentence {
    /// What is between the connection's name and the message, but for the space.
    pub(super) fn colon(&self) -> &'static str {
        if self.goes_on { "" } else { ":" }
    }
}

impl Visit for Sentence {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a string does not fail.
            let _ = write!(self.message, "{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            "kind" => {
                self.goes_on = value == super::CLOSED;
                self.has_lines = value == super::BUILD;
            }
            _ => {}
        }
    }
}

/// The fields of the span `connection`, as the beginning of a sentence.
pub(super) struct Subject<'a> {
    writer: Writer<'a>,
    result: fmt::Result,
}

impl<'a> Subject<'a> {
    pub(super) fn new(writer: Writer<'a>) -> Self {
        Subject {
            writer,
            result: Ok(()),
        }
    }
}

impl Visit for Subject<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.result = self.result.and(match field.name() {
            "id" => write!(self.writer, "connection {value:?}"),
            "peer" => {
                let peer = format!("{value:?}");
                write!(self.writer, " from {}", one_line(&peer))
            }
            _ => Ok(()),
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "label" {
            let label = one_line(value);
            self.result = self.result.and(write!(self.writer, " ({label})"));
        }
    }
}

/// A level as records have it.
pub(super) fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn write_level(level: Level, line: &mut Writer<'_>) -> fmt::Result {
    if !line.has_ansi_escapes() {
        return write!(line, "{level:>5} ");
    }
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    };
    write!(line, "\x1b[{colour}m{level:>5}\x1b[0m ")
}

impl Clock {
    fn write(self, line: &mut Writer<'_>) -> fmt::Result {
        let dimmed = line.has_ansi_escapes() && self != Clock::None;
        if dimmed {
            line.write_str("\x1b[2m")?;
        }
        match self {
            Clock::None => return Ok(()),
            Clock::DateAndTime => SystemTime.format_time(line)?,
            Clock::TimeOfDay => {
                let now = time::SystemTime::now().duration_since(UNIX_EPOCH);
                let second = now.map_or(0, |now| now.as_secs());
                let (hour, minute) = (second / 3600 % 24, second / 60 % 60);
                write!(line, "{hour:02}:{minute:02}:{:02}Z", second % 60)?;
            }
        }
        line.write_str(if dimmed { "\x1b[0m " } else { " " })
    }
}
