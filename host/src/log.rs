//! The host's log: one line for each thing that a person should know, on
//! standard error, apart from the lines of guests.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::output::Output;

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Send the log to an output, from now on and for the whole process.
pub fn start(output: &Arc<Output>, format: Format, level: LevelFilter) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(Target(Arc::clone(output)));
    let terminal = io::stderr().is_terminal();
    match format {
        Format::Text if terminal => builder.with_timer(TimeOfDay).init(),
        Format::Text => builder.init(),
        Format::Json => builder.json().flatten_event(true).init(),
    }
}

/// On a terminal the date is known and columns are few.
struct TimeOfDay;

impl FormatTime for TimeOfDay {
    fn format_time(&self, line: &mut Writer<'_>) -> fmt::Result {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let second = now.map_or(0, |now| now.as_secs());
        let (hour, minute) = (second / 3600 % 24, second / 60 % 60);
        write!(line, "{hour:02}:{minute:02}:{:02}Z", second % 60)
    }
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
