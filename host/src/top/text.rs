//! One look as plain text.

use std::fmt::Write as _;

use super::look::{Look, Rates};
use super::table::{GAP, Table, View, age, bytes, rate};

/// Lines about all services together; the first one is the server's name.
pub fn summary(look: &Look, rates: &Rates) -> Vec<String> {
    let (status, totals) = (&look.status, look.totals());
    let mut lines = vec![
        format!(
            "hotsocket {}, process {}, up {}, {}",
            status.version,
            status.pid,
            age(status.uptime_s.saturating_mul(1000)),
            totals.listeners.join(", ")
        ),
        format!(
            "connections {} open of {}, {} asleep, {} accepted ({}/s), {} refused, {} faults",
            totals.open,
            totals.limit,
            totals.asleep,
            totals.accepted,
            rate(rates.accepted),
            totals.refused,
            totals.faults
        ),
        format!(
            "traffic {}/s in, {}/s out, {} queued, {} events/s",
            bytes(rates.received),
            bytes(rates.sent),
            bytes(totals.queued as f64),
            rate(rates.events)
        ),
    ];
    let mut memory = format!("memory {} of instances", bytes(totals.memory as f64));
    for service in look.services() {
        let _ = match look.services() {
            [_] => write!(memory, ", generation"),
            _ => write!(memory, ", {}: generation", service.name),
        };
        let _ = write!(memory, " {} {}", service.generation, service.guest);
    }
    if let Some(topics) = look.topics.as_ref().filter(|topics| topics.count > 0) {
        let _ = write!(
            memory,
            ", {} topics ({}/s published, {}/s delivered)",
            topics.count,
            rate(rates.published),
            rate(rates.delivered)
        );
    }
    lines.push(memory);
    if let Some(draining) = &status.draining {
        let remaining = age(draining.remaining_ms);
        lines.push(format!(
            "draining: {} left, {remaining} to go",
            draining.left
        ));
    }
    if !totals.reached.is_empty() {
        let reached = totals.reached.iter();
        let reached: Vec<_> = reached
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        lines.push(format!("limits reached: {}", reached.join(", ")));
    }
    lines
}

/// Everything, in as many columns as there are.
pub fn show(look: &Look, rates: &Rates) -> String {
    let mut text = String::new();
    for line in summary(look, rates) {
        let _ = writeln!(text, "{line}");
    }
    let mut views = vec![View::Generations];
    if look.topics.as_ref().is_some_and(|topics| topics.count > 0) {
        views.push(View::Topics);
    }
    views.push(View::Connections);
    for view in views {
        text.push('\n');
        let table = Table::new(view, look, usize::MAX);
        let titles = table.columns.iter().map(|column| column.title.to_owned());
        write_row(&mut text, &table, &titles.collect::<Vec<_>>());
        for row in &table.rows {
            write_row(&mut text, &table, row);
        }
    }
    let more = look.list.matching - look.list.connections.len().min(look.list.matching);
    if more > 0 {
        let _ = writeln!(text, "… and {more} more");
    }
    text
}

fn write_row(text: &mut String, table: &Table, row: &[String]) {
    let mut line = String::new();
    for (column, cell) in table.columns.iter().zip(row) {
        let width = column.width;
        let _ = match column.is_number {
            true => write!(line, "{cell:>width$}"),
            false => write!(line, "{cell:<width$}"),
        };
        line.extend(std::iter::repeat_n(' ', GAP));
    }
    let _ = writeln!(text, "{}", line.trim_end());
}
