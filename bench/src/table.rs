//! One Markdown table: what was measured in each row, and ratios with their
//! spread.
//!
//! A ratio is made from two runs that followed one another; the table has the
//! median of these ratios, and the least and the greatest.

use std::fmt::Write as _;

/// Values below this, in the units of the table, give no ratio.
const SMALLEST: f64 = 0.01;

/// How a number is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Micros,
    Nanos,
    Millis,
    MegabytesPerSecond,
    PerSecond,
    Bytes,
    Count,
}

/// One row: the values of each subject, one for each round. The others are compared
/// with the first subject.
pub struct Line {
    pub work: String,
    pub measured: &'static str,
    pub unit: Unit,
    pub values: Vec<Vec<f64>>,
}

impl Line {
    /// A row of hotsocket alone, which compares nothing.
    pub fn alone(work: String, measured: &'static str, unit: Unit, values: Vec<f64>) -> Self {
        Line {
            work,
            measured,
            unit,
            values: vec![Vec::new(), values],
        }
    }

    fn cells(&self, subjects: usize) -> Vec<String> {
        let mut cells = vec![self.work.clone(), self.measured.to_owned()];
        let none = Vec::new();
        let base = self.values.first().unwrap_or(&none);
        cells.push(self.unit.show(base));
        for index in 1..subjects {
            let values = self.values.get(index).unwrap_or(&none);
            cells.push(self.unit.show(values));
            cells.push(ratio(base, values));
        }
        cells
    }

    /// How many times worse than the first subject the second is, if they can
    /// be compared.
    pub fn loss(&self) -> Option<f64> {
        let ratio = median(&ratios(self.values.first()?, self.values.get(1)?))?;
        match self.unit {
            Unit::MegabytesPerSecond | Unit::PerSecond => Some(1.0 / ratio),
            _ => Some(ratio),
        }
    }

    /// The row in Markdown, to print it as soon as it is measured.
    pub fn row(&self, subjects: usize) -> String {
        self.cells(subjects).join(" | ")
    }
}

/// The whole table.
pub fn markdown(subjects: &[String], lines: &[Line]) -> String {
    let base = subjects.first().map_or("native", String::as_str);
    let mut head = vec!["work".to_owned(), "measured".to_owned(), base.to_owned()];
    for name in subjects.iter().skip(1) {
        head.push(name.clone());
        head.push(format!("÷ {base} (least–most)"));
    }
    let mut text = format!("| {} |\n", head.join(" | "));
    let rule: Vec<_> = head
        .iter()
        .enumerate()
        .map(|(index, _)| if index < 2 { "---" } else { "--:" })
        .collect();
    let _ = writeln!(text, "| {} |", rule.join(" | "));
    for line in lines {
        let _ = writeln!(text, "| {} |", line.row(subjects.len()));
    }
    text
}

pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle).copied()?;
    match sorted.len() % 2 {
        0 => sorted
            .get(middle - 1)
            .map(|lower| f64::midpoint(*lower, upper)),
        _ => Some(upper),
    }
}

fn ratios(base: &[f64], values: &[f64]) -> Vec<f64> {
    base.iter()
        .zip(values)
        .filter(|(base, _)| **base > SMALLEST)
        .map(|(base, value)| value / base)
        .collect()
}

fn ratio(base: &[f64], values: &[f64]) -> String {
    let ratios = ratios(base, values);
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    match median(&ratios) {
        Some(median) if ratios.len() > 1 => format!("**{median:.2}** ({least:.2}–{most:.2})"),
        Some(median) => format!("**{median:.2}**"),
        None => "–".to_owned(),
    }
}

impl Unit {
    fn show(self, values: &[f64]) -> String {
        let Some(value) = median(values) else {
            return "–".to_owned();
        };
        match self {
            Unit::Micros => format!("{} µs", digits(value)),
            Unit::Nanos => format!("{} ns", digits(value)),
            Unit::Millis => format!("{} ms", digits(value)),
            Unit::MegabytesPerSecond => format!("{} MB/s", digits(value)),
            Unit::PerSecond => format!("{value:.0}/s"),
            Unit::Bytes => format!("{} KB", digits(value / 1000.0)),
            Unit::Count => digits(value),
        }
    }
}

/// Three significant digits.
fn digits(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_compares_runs_of_one_round() {
        let line = Line {
            work: "echo".to_owned(),
            measured: "CPU",
            unit: Unit::Micros,
            values: vec![vec![1.0, 2.0, 4.0], vec![1.5, 4.0, 5.0]],
        };
        assert_eq!(
            line.row(2),
            "echo | CPU | 2.00 µs | 4.00 µs | **1.50** (1.25–2.00)"
        );
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let line = Line::alone("start".to_owned(), "time", Unit::Millis, vec![30.0, 32.0]);
        assert_eq!(line.row(2), "start | time | – | 31.0 ms | –");
    }
}
