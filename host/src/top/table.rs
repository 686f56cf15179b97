//! Connections, topics and generations as rows of text, in as many columns as there is
//! room for.

use std::time::Duration;

use super::Look;
use crate::control::protocol::{ConnectionRow, GenerationStatus, ServiceStatus, TopicStatus};

/// What a table shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    #[default]
    Connections,
    Topics,
    Generations,
}

/// A column: its title, how wide it is, and whether it has numbers, which are aligned to
/// the right.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub title: &'static str,
    pub width: usize,
    pub is_number: bool,
}

/// Between two columns.
pub const GAP: usize = 1;

/// A table with its rows.
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
}

const fn text(title: &'static str, width: usize) -> Column {
    Column {
        title,
        width,
        is_number: false,
    }
}

const fn number(title: &'static str, width: usize) -> Column {
    Column {
        title,
        width,
        is_number: true,
    }
}

/// How a cell is made of a row.
type Cell<R> = fn(&R) -> String;

/// In the order in which they are shown; of little room the first get it.
const CONNECTIONS: &[(Column, Cell<ConnectionRow>)] = &[
    (number("ID", 6), |row| row.id.to_string()),
    (text("PEER", 21), |row| row.peer.clone()),
    (text("STATE", 9), |row| row.state.clone()),
    (number("IDLE", 6), |row| age(row.idle_ms)),
    (number("IN", 7), |row| bytes(row.received as f64)),
    (number("OUT", 7), |row| bytes(row.sent as f64)),
    (number("QUEUE", 7), |row| bytes(row.queued as f64)),
    (number("AGE", 6), |row| age(row.age_ms)),
    (number("GEN", 4), |row| row.generation.to_string()),
    (text("EVENT", 7), |row| {
        row.last_event.clone().unwrap_or_default()
    }),
    (number("CPU", 6), |row| cpu(row.cpu_us)),
    (text("SERVICE", 12), |row| row.service.clone()),
    (text("LISTENER", 21), |row| row.listener.clone()),
    (text("LABEL", 20), |row| {
        row.label.clone().unwrap_or_default()
    }),
];

const TOPICS: &[(Column, Cell<TopicStatus>)] = &[
    (text("TOPIC", 24), |row| row.pattern.clone()),
    (number("SUBS", 6), |row| row.subscribers.to_string()),
    (number("MESSAGES", 10), |row| row.messages.to_string()),
];

/// A generation of the service of that name.
type OfService = (String, GenerationStatus);

const GENERATIONS: &[(Column, Cell<OfService>)] = &[
    (number("GEN", 4), |(_, row)| row.number.to_string()),
    (text("STATE", 7), |(_, row)| {
        if row.active { "active" } else { "kept" }.to_owned()
    }),
    (number("OPEN", 6), |(_, row)| row.connections.to_string()),
    (number("MOVED", 6), |(_, row)| row.migrated.to_string()),
    (number("FAILED", 6), |(_, row)| row.failed.to_string()),
    (number("AGE", 6), |(_, row)| {
        age(row.age_s.saturating_mul(1000))
    }),
    (text("SERVICE", 12), |(service, _)| service.clone()),
    (text("SHA256", 12), |(_, row)| {
        row.sha256.chars().take(12).collect()
    }),
    (text("GUEST", 30), |(_, row)| row.guest.clone()),
];

impl Table {
    /// As wide as `width` at most, but with one column at least.
    pub fn new(view: View, look: &Look, width: usize) -> Self {
        match view {
            View::Connections => Self::of(CONNECTIONS, &look.list.connections, width),
            View::Topics => {
                let topics = look.topics.as_ref();
                Self::of(TOPICS, topics.map_or(&[], |topics| &topics.topics), width)
            }
            View::Generations => {
                let of_service = |service: &ServiceStatus| {
                    let named = |row: &GenerationStatus| (service.name.clone(), row.clone());
                    service.generations.iter().map(named).collect::<Vec<_>>()
                };
                let rows = look.services().iter().flat_map(of_service);
                Self::of(GENERATIONS, &rows.collect::<Vec<_>>(), width)
            }
        }
    }

    fn of<R>(all: &[(Column, Cell<R>)], rows: &[R], width: usize) -> Self {
        let mut left = width;
        let fits = |(at, (column, _)): &(usize, &(Column, Cell<R>))| {
            let needed = if *at > 0 {
                column.width + GAP
            } else {
                column.width
            };
            let fits = *at == 0 || needed <= left;
            left = left.saturating_sub(needed);
            fits
        };
        let shown: Vec<_> = all
            .iter()
            .enumerate()
            .take_while(fits)
            .map(|(_, column)| column)
            .collect();
        let row = |row: &R| shown.iter().map(|(_, cell)| cell(row)).collect();
        Table {
            columns: shown.iter().map(|(column, _)| *column).collect(),
            rows: rows.iter().map(row).collect(),
        }
    }
}

/// `812`, `1.5K`, `23M`.
pub fn bytes(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["", "K", "M", "G", "T"] {
        if value < 999.5 {
            return match unit.is_empty() || value >= 99.5 {
                true => format!("{value:.0}{unit}"),
                false => format!("{value:.1}{unit}"),
            };
        }
        value /= 1024.0;
    }
    format!("{value:.0}P")
}

/// `12`, `1.5`, `23k`: how often in a second.
pub fn rate(times: f64) -> String {
    match times {
        0.0..9.95 => format!("{times:.1}"),
        0.0..9_999.5 => format!("{times:.0}"),
        0.0..999_500.0 => format!("{:.0}k", times / 1e3),
        _ => format!("{:.1}M", times / 1e6),
    }
}

/// `812us`, `12ms`, and from a second on like an [`age`].
fn cpu(microseconds: u64) -> String {
    match microseconds {
        0..1000 => format!("{microseconds}us"),
        _ => age(microseconds / 1000),
    }
}

/// `900ms`, `12s`, `3m12s`, `5h03m`, `12d`.
pub fn age(milliseconds: u64) -> String {
    let seconds = Duration::from_millis(milliseconds).as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes, seconds) {
        (0, 0, 0, 0) => format!("{milliseconds}ms"),
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{:02}s", seconds % 60),
        (0, hours, minutes, _) => format!("{hours}h{:02}m", minutes % 60),
        (days, ..) => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown: Vec<_> = [0.0, 812.0, 1536.0, 999.6, 102_400.0, 5e9, 1e18]
            .map(bytes)
            .to_vec();
        assert_eq!(shown, ["0", "812", "1.5K", "1.0K", "100K", "4.7G", "888P"]);
        let shown: Vec<_> = [0.0, 9.94, 12.4, 9999.0, 12_345.0, 2.5e6]
            .map(rate)
            .to_vec();
        assert_eq!(shown, ["0.0", "9.9", "12", "9999", "12k", "2.5M"]);
        let shown: Vec<_> = [900, 12_000, 192_000, 18_180_000, 90_000_000]
            .map(age)
            .to_vec();
        assert_eq!(shown, ["900ms", "12s", "3m12s", "5h03m", "1d"]);
    }

    #[test]
    fn of_little_room_the_first_columns_get_it() {
        let titles = |width| {
            let table = Table::of(CONNECTIONS, &[], width);
            let titles: Vec<_> = table.columns.iter().map(|column| column.title).collect();
            titles.join(" ")
        };
        assert_eq!(titles(1), "ID");
        assert_eq!(titles(40), "ID PEER STATE");
        assert_eq!(titles(80), "ID PEER STATE IDLE IN OUT QUEUE AGE");
        assert!(titles(200).ends_with("LABEL"));
    }
}
