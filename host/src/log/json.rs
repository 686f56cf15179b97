//! The log for programs: a [`Record`] for each event, with the fields of the
//! event and, as `connection`, those of its span.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::text::level_name;
use crate::output::Record;

/// Writes records. It is both the format of events and the one of a span's
/// fields.
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl<S, N> FormatEvent<S, N> for Json
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
        let level = level_name(*event.metadata().level());
        let span = context.lookup_current();
        let extensions = span.as_ref().map(|span| span.extensions());
        let connection = extensions
            .as_ref()
            .and_then(|extensions| extensions.get::<FormattedFields<N>>())
            .map(|fields| fields.as_str());
        let mut record = Record::begin(level, connection);
        event.record(&mut record);
        writeln!(line, "{}", String::from_utf8_lossy(&record.end()))
    }
}

impl<'a> FormatFields<'a> for Json {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'a>, fields: R) -> fmt::Result {
        let mut object = Record::empty();
        fields.record(&mut object);
        writer.write_str(&String::from_utf8_lossy(&object.end()))
    }
}

impl Visit for Record {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field.name(), format!("{value:?}"));
    }
}
