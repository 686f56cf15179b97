//! The flags about what a server prints.

use tracing::level_filters::LevelFilter;

use crate::log::Format;
use crate::output::GuestLines;

const OUTPUT: &str = "Output";

/// See the module's documentation.
#[derive(Debug, clap::Args)]
pub(super) struct OutputFlags {
    /// Format of the log; json makes a JSON object of each line of a guest, too
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::default(), help_heading = OUTPUT)]
    pub(super) log_format: Format,

    /// Level of the host's log, and of what guests log with a level: error, warn, info, debug, trace or off
    #[arg(long, value_name = "LEVEL", default_value_t = LevelFilter::INFO, help_heading = OUTPUT)]
    log_level: LevelFilter,

    /// Log more, as --log-level debug does; -vv: as trace does
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "log_level", help_heading = OUTPUT)]
    verbose: u8,

    /// Log warnings and errors only, as --log-level warn does
    #[arg(short, long, conflicts_with_all = ["log_level", "verbose"], help_heading = OUTPUT)]
    quiet: bool,

    /// Log a line for each connection when it is closed, at level info
    #[arg(long, help_heading = OUTPUT)]
    pub(super) access_log: bool,

    /// Prefix each line of a guest with the id of its connection (text format)
    #[arg(long, help_heading = OUTPUT)]
    label: bool,
}

impl OutputFlags {
    /// How the lines of guests are printed.
    pub(super) fn guest_lines(&self) -> GuestLines {
        match (self.log_format, self.label) {
            (Format::Json, _) => GuestLines::Json,
            (Format::Text, true) => GuestLines::Labelled,
            (Format::Text, false) => GuestLines::Plain,
        }
    }

    pub(super) fn log_level(&self) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::WARN,
            (false, 0) => self.log_level,
            (false, 1) => LevelFilter::DEBUG,
            (false, _) => LevelFilter::TRACE,
        }
    }
}
