//! One look on a terminal, of whatever size.

use clap::ValueEnum as _;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Paragraph, Wrap};

use super::keys::Settings;
use super::look::{Look, Rates};
use super::table::{GAP, Table, View};
use super::text::summary;
use crate::control::protocol::MAX_ROWS;

/// The last line, if no filter is typed.
const KEYS: &str = "q quit  s sort  r reverse  / filter  c t g views  p pause  + - interval";
/// The same where there is little room.
const FEW_KEYS: &str = "q quit s sort / filter c t g";

/// Lines of a small screen that the summary leaves to the table.
const LEAST_ROWS: usize = 5;

/// Draw it. `away`: why the server does not answer any more. Returns how many rows of the
/// table there is room for, and the first one that can be shown: beyond it keys would have to
/// be pressed as often to come back.
pub fn draw(
    frame: &mut Frame<'_>,
    settings: &Settings,
    look: &Look,
    rates: &Rates,
    away: Option<&str>,
) -> (usize, usize) {
    let area = frame.area();
    let width = usize::from(area.width);
    let lines = wrap(&summary(look, rates), width);
    let room = usize::from(area.height).saturating_sub(LEAST_ROWS);
    let head = lines.len().min(room) as u16;
    let [top, title, body, bottom] = Layout::vertical([
        Constraint::Length(head),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(lines.join("\n")), top);
    let table = Table::new(settings.view, look, width);
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    let titles: Vec<_> = table.columns.iter().map(|column| column.title).collect();
    let titles = line(&table, &titles, width);
    frame.render_widget(Paragraph::new(titles).style(reversed), title);
    let rows = usize::from(body.height);
    let known = table.rows.len();
    let all = match settings.view {
        // The server is just asked for those that are missing.
        View::Connections if away.is_none() && !settings.is_paused => {
            known.max(look.list.matching.min(MAX_ROWS))
        }
        _ => known,
    };
    let offset = settings.offset.min(all.saturating_sub(rows));
    let first = offset.min(known.saturating_sub(rows));
    let shown = table.rows.iter().skip(first).take(rows);
    let shown = shown.map(|row| {
        let cells: Vec<_> = row.iter().map(String::as_str).collect();
        Line::raw(line(&table, &cells, width))
    });
    frame.render_widget(Paragraph::new(shown.collect::<Text<'_>>()), body);
    draw_bottom(frame, bottom, settings, look, away);
    (rows, offset)
}

fn draw_bottom(
    frame: &mut Frame<'_>,
    area: Rect,
    settings: &Settings,
    look: &Look,
    away: Option<&str>,
) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let line = match (&settings.typing, away) {
        (Some(filter), _) => Line::styled(format!("filter: {filter}_"), bold),
        (None, Some(why)) => Line::styled(format!("away: {why}"), bold),
        (None, None) => {
            let keys = match usize::from(area.width) > KEYS.len() {
                true => KEYS,
                false => FEW_KEYS,
            };
            Line::raw(format!("{keys}  {}", order(settings, look)))
        }
    };
    frame.render_widget(Paragraph::new(line).wrap(Wrap { trim: false }), area);
}

/// How the table is sorted and filtered.
fn order(settings: &Settings, look: &Look) -> String {
    let question = &settings.question;
    let mut text = String::new();
    if settings.is_paused {
        text.push_str("[paused] ");
    }
    if settings.view == View::Connections {
        let sort = question.sort.to_possible_value();
        let name = sort.as_ref().map_or("", |sort| sort.get_name());
        let arrow = if question.reverse { " reversed" } else { "" };
        text.push_str(&format!("by {name}{arrow}"));
        if let Some(filter) = &question.filter {
            text.push_str(&format!(", {} with {filter:?}", look.list.matching));
        }
    }
    text
}

/// Cells next to each other, cut to the width of their columns; the last one has all the
/// rest.
fn line(table: &Table, cells: &[&str], width: usize) -> String {
    let mut line = String::new();
    let last = table.columns.len().saturating_sub(1);
    for (at, (column, cell)) in table.columns.iter().zip(cells).enumerate() {
        let room = match at == last && !column.is_number {
            true => width.saturating_sub(line.chars().count()).max(column.width),
            false => column.width,
        };
        let cut = cut(cell, room);
        line.push_str(&match column.is_number {
            true => format!("{cut:>room$}"),
            false => format!("{cut:<room$}"),
        });
        line.extend(std::iter::repeat_n(' ', GAP));
    }
    line
}

fn cut(text: &str, room: usize) -> String {
    match text.chars().count() > room {
        true => text
            .chars()
            .take(room.saturating_sub(1))
            .chain(['…'])
            .collect(),
        false => text.to_owned(),
    }
}

/// Lines that are too long go on in the next, at a comma.
fn wrap(lines: &[String], width: usize) -> Vec<String> {
    let mut wrapped = Vec::new();
    for line in lines {
        let mut current = String::new();
        for part in line.split_inclusive(", ") {
            let length = current.chars().count() + part.trim_end().chars().count();
            if length > width && !current.is_empty() {
                wrapped.push(std::mem::take(&mut current));
                current.push_str("  ");
            }
            current.push_str(part);
        }
        wrapped.push(current);
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyEvent};
    use serde_json::json;

    use super::*;
    use crate::top::Question;

    /// A look at so many connections, the first of `matching`.
    fn look(known: u64, matching: u64) -> Look {
        let status = json!({
            "version": "0", "pid": 1, "uptime_s": 0, "dropped_lines": 0, "dropped_lines_of": {},
            "listeners": [], "guest": "echo.wasm", "generation": 1, "sha256": "", "watching": null,
            "connections": { "open": 0, "limit": 0, "accepted": 0, "refused": 0, "faults": 0,
                "restarts": 0, "asleep": 0, "hibernated": 0, "woken": 0 },
            "memory": { "instances": 0, "limit_each": 0 }, "generations": [],
            "limits_reached": {},
        });
        let row = |id: u64| {
            json!({
                "id": id, "peer": "", "listener": "", "service": "", "generation": 1,
                "state": "awake", "received": 0, "sent": 0, "queued": 0, "age_ms": 0,
                "idle_ms": 0,
            })
        };
        let rows: Vec<_> = (1..=known).map(row).collect();
        let list = json!({ "open": matching, "matching": matching, "connections": rows });
        Look {
            status: serde_json::from_value(status).expect("a status"),
            topics: None,
            list: serde_json::from_value(list).expect("a list"),
            at: Instant::now(),
        }
    }

    #[test]
    fn from_beyond_the_end_the_first_key_up_goes_up() {
        let mut settings = Settings {
            question: Question::default(),
            view: View::Connections,
            interval: Duration::from_secs(1),
            is_paused: false,
            offset: 0,
            typing: None,
        };
        let mut terminal = Terminal::new(TestBackend::new(80, 20)).expect("a terminal");
        let mut press = |key: KeyCode, times: usize, look: &Look| {
            let mut drawn = (0, 0);
            for _ in 0..times {
                settings.press(KeyEvent::from(key), 10);
                let show = |frame: &mut Frame<'_>| {
                    drawn = draw(frame, &settings, look, &Rates::default(), None);
                };
                terminal.draw(show).expect("it is drawn");
                settings.offset = drawn.1;
            }
            drawn
        };
        let all = look(30, 30);
        let (rows, last) = press(KeyCode::Down, 100, &all);
        assert_eq!(last, 30 - rows);
        assert_eq!(press(KeyCode::Up, 1, &all).1, last - 1);
        assert_eq!(press(KeyCode::PageDown, 9, &all).1, last);
        // Of those that the server has still to tell of none is out of reach.
        assert_eq!(press(KeyCode::PageDown, 1, &look(30, 100)).1, last + 10);
    }

    #[test]
    fn long_lines_go_on_at_a_comma() {
        let lines = ["traffic 1K/s in, 2K/s out, 0 queued".to_owned()];
        assert_eq!(
            wrap(&lines, 28),
            ["traffic 1K/s in, 2K/s out, ", "  0 queued"]
        );
        assert_eq!(wrap(&lines, 80), lines);
    }

    #[test]
    fn what_is_too_wide_is_cut() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(cut("ab", 0), "…");
    }
}
