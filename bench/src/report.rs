//! Writes the pages of the benchmark: a table, with an introduction and the losses.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Result;
use crate::run::IN_USER_MODE;
use crate::table::Line;

/// A ratio from here on counts as a loss.
const LOSS: f64 = 1.05;

/// A page, on which some of the rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Beside a server without a sandbox.
    Native,
    /// Beside programs that do the same.
    Programs,
}

impl Page {
    pub const ALL: [Page; 2] = [Page::Native, Page::Programs];

    /// Where a row of this name is.
    pub fn of(row: &str) -> Self {
        const OF_PROGRAMS: [&str; 4] = ["fan-out", "http-", "kv-", "tls-"];
        match OF_PROGRAMS.iter().any(|begin| row.starts_with(begin)) {
            true => Page::Programs,
            false => Page::Native,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Page::Native => "docs/benchmarks.md",
            Page::Programs => "docs/benchmarks-programs.md",
        }
    }

    fn intro(self) -> &'static str {
        match self {
            Page::Native => include_str!("intro.md"),
            Page::Programs => include_str!("intro_programs.md"),
        }
    }

    /// Write it.
    pub fn save(
        self,
        checkout: &Path,
        conditions: &str,
        table: &str,
        lines: &[Line],
    ) -> Result<()> {
        let path = checkout.join(self.name());
        let page = self
            .intro()
            .replace("{conditions}", conditions)
            .replace("{table}", table.trim_end())
            .replace("{losses}", losses(lines).trim_end());
        std::fs::write(&path, page)
            .map_err(|error| format!("cannot write {}: {error}", path.display()).into())
    }
}

/// Where hotsocket is worse than the native server: for each figure from which
/// to which ratio, and in what work it is worst. The worst figure first.
fn losses(lines: &[Line]) -> String {
    let mut figures: BTreeMap<&str, Vec<(f64, &str)>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.measured != IN_USER_MODE) {
        if let Some(loss) = line.loss().filter(|loss| *loss >= LOSS) {
            let rows = figures.entry(line.measured).or_default();
            rows.push((loss, &line.work));
        }
    }
    let mut entries = Vec::new();
    for (measured, mut rows) in figures {
        rows.sort_by(|left, right| left.0.total_cmp(&right.0));
        let (Some((least, _)), Some((most, work))) = (rows.first(), rows.last()) else {
            continue;
        };
        let ratios = match rows.len() {
            1 => format!("{most:.2} times worse"),
            _ => format!("{least:.2} to {most:.2} times worse, worst"),
        };
        entries.push((*most, format!("- {measured}: {ratios} in: {work}")));
    }
    entries.sort_by(|left, right| right.0.total_cmp(&left.0));
    match entries.is_empty() {
        true => "In no row by 5 % or more.".to_owned(),
        false => entries.into_iter().map(|(_, line)| line + "\n").collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Unit;

    fn line(work: &str, measured: &'static str, unit: Unit, ratio: f64) -> Line {
        Line {
            work: work.to_owned(),
            measured,
            unit,
            values: vec![vec![1.0], vec![ratio]],
        }
    }

    #[test]
    fn losses_are_listed_and_gains_are_not() {
        let lines = [
            line("small", "CPU", Unit::Micros, 1.5),
            line("large", "CPU", Unit::Micros, 2.0),
            line("bulk", "echoed", Unit::MegabytesPerSecond, 0.4),
            line("more", "requests", Unit::PerSecond, 1.5),
            line("equal", "memory", Unit::Bytes, 1.01),
        ];
        assert_eq!(
            losses(&lines),
            "- echoed: 2.50 times worse in: bulk\n\
             - CPU: 1.50 to 2.00 times worse, worst in: large\n"
        );
        assert!(losses(&lines[3..]).starts_with("In no row"));
    }
}
