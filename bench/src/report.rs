//! `docs/benchmarks.md`: the last table, with what it means.

use std::fmt::Write as _;
use std::path::Path;

use crate::Result;
use crate::run::IN_USER_MODE;
use crate::table::Line;

/// From here on, a difference is called a loss.
const LOSS: f64 = 1.05;

const INTRO: &str = include_str!("intro.md");

/// Write the page anew.
pub fn save(checkout: &Path, sitting: &str, table: &str, lines: &[Line]) -> Result<()> {
    let path = checkout.join("docs/benchmarks.md");
    let page = INTRO
        .replace("{sitting}", sitting)
        .replace("{table}", table.trim_end())
        .replace("{losses}", losses(lines).trim_end());
    std::fs::write(&path, page)
        .map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

/// Where hotsocket is worse than the native server, the worst first.
fn losses(lines: &[Line]) -> String {
    let mut lost: Vec<(f64, &Line)> = lines
        .iter()
        .filter(|line| line.measured != IN_USER_MODE)
        .filter_map(|line| Some((line.loss()?, line)))
        .filter(|(loss, _)| *loss >= LOSS)
        .collect();
    lost.sort_by(|left, right| right.0.total_cmp(&left.0));
    if lost.is_empty() {
        return "In no row that compares the two, today.".to_owned();
    }
    let mut text = String::new();
    for (loss, line) in lost {
        let _ = writeln!(
            text,
            "- {loss:.2} times worse: {}, {}",
            line.work, line.measured
        );
    }
    text
}
