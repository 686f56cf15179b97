//! What the keys of the terminal do.

use std::time::Duration;

use clap::ValueEnum as _;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::SHORTEST_INTERVAL;
use super::look::Question;
use super::table::View;
use crate::control::protocol::{MAX_ROWS, SortBy};

/// The longest time between two looks that keys set.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
/// Length of a filter.
const MAX_FILTER: usize = 100;

/// What is shown, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    pub question: Question,
    pub view: View,
    pub interval: Duration,
    /// Nothing is asked while it is set.
    pub is_paused: bool,
    /// The first row that is shown.
    pub offset: usize,
    /// The filter that is being typed.
    pub typing: Option<String>,
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Nothing,
    /// Show what is known already in another way.
    Draw,
    /// Ask the server.
    Ask,
    Quit,
}

impl Settings {
    /// A key was pressed; so many rows fit on the screen.
    pub fn press(&mut self, key: KeyEvent, rows: usize) -> Wish {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Wish::Quit;
        }
        if let Some(text) = self.typing.take() {
            return self.type_filter(text, key.code);
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Wish::Quit,
            KeyCode::Char('s') => self.question.sort = next(self.question.sort),
            KeyCode::Char('r') => self.question.reverse ^= true,
            KeyCode::Char('p') => self.is_paused ^= true,
            KeyCode::Char('+') => self.interval = (self.interval / 2).max(SHORTEST_INTERVAL),
            KeyCode::Char('-') => self.interval = (self.interval * 2).min(LONGEST_INTERVAL),
            KeyCode::Char('/') => {
                self.typing = Some(self.question.filter.clone().unwrap_or_default());
                return Wish::Draw;
            }
            KeyCode::Char('c') => return self.turn_to(View::Connections),
            KeyCode::Char('t') => return self.turn_to(View::Topics),
            KeyCode::Char('g') => return self.turn_to(View::Generations),
            KeyCode::Down => self.offset += 1,
            KeyCode::Up => self.offset = self.offset.saturating_sub(1),
            KeyCode::PageDown => self.offset += rows,
            KeyCode::PageUp => self.offset = self.offset.saturating_sub(rows),
            KeyCode::Home => self.offset = 0,
            _ => return Wish::Nothing,
        }
        self.offset = self.offset.min(MAX_ROWS);
        Wish::Ask
    }

    fn turn_to(&mut self, view: View) -> Wish {
        (self.view, self.offset) = (view, 0);
        Wish::Draw
    }

    fn type_filter(&mut self, mut text: String, key: KeyCode) -> Wish {
        match key {
            KeyCode::Enter => {
                self.question.filter = Some(text).filter(|text| !text.is_empty());
                self.offset = 0;
                return Wish::Ask;
            }
            KeyCode::Esc => return Wish::Draw,
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Char(c) if !c.is_control() && text.len() < MAX_FILTER => text.push(c),
            _ => {}
        }
        self.typing = Some(text);
        Wish::Draw
    }
}

fn next(sort: SortBy) -> SortBy {
    let all = SortBy::value_variants();
    let at = all.iter().position(|known| *known == sort).unwrap_or(0);
    all.get(at + 1).or(all.first()).copied().unwrap_or(sort)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            question: Question::default(),
            view: View::default(),
            interval: Duration::from_secs(1),
            is_paused: false,
            offset: 0,
            typing: None,
        }
    }

    fn press(settings: &mut Settings, keys: &str) -> Wish {
        let mut wish = Wish::Nothing;
        for key in keys.chars() {
            let code = match key {
                '\n' => KeyCode::Enter,
                '\x1b' => KeyCode::Esc,
                '\x08' => KeyCode::Backspace,
                key => KeyCode::Char(key),
            };
            wish = settings.press(KeyEvent::from(code), 10);
        }
        wish
    }

    #[test]
    fn a_filter_is_typed_and_taken_back() {
        let mut settings = settings();
        assert_eq!(press(&mut settings, "/1q7\x08\n"), Wish::Ask);
        assert_eq!(settings.question.filter.as_deref(), Some("1q"));
        assert_eq!(press(&mut settings, "/xyz\x1b"), Wish::Draw);
        assert_eq!(settings.question.filter.as_deref(), Some("1q"));
        press(&mut settings, "/\x08\x08\n");
        assert_eq!(settings.question.filter, None);
    }

    #[test]
    fn sorting_goes_round() {
        let mut settings = settings();
        let all = SortBy::value_variants().len();
        let keys = "s".repeat(all);
        assert_eq!(press(&mut settings, &keys), Wish::Ask);
        assert_eq!(settings.question.sort, SortBy::default());
        press(&mut settings, "r");
        assert!(settings.question.reverse);
    }

    #[test]
    fn control_c_quits_also_while_a_filter_is_typed() {
        let mut settings = settings();
        press(&mut settings, "/ab");
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(settings.press(key, 10), Wish::Quit);
        assert_eq!(press(&mut self::settings(), "q"), Wish::Quit);
    }
}
