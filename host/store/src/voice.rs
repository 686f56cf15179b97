//! A guest's lines: cut, counted, and handed to the server's output.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::output::Output;
use crate::reached::{Limit, Notes};

/// Where the lines of one instance go, and whether they go anywhere.
#[derive(Clone)]
pub struct Voice {
    pub output: Arc<Output>,
    /// Put before each line.
    pub label: Option<Arc<str>>,
    /// During `save` and trials nothing is printed. Shared with the streams of
    /// WASI, which are made once for an instance.
    pub muted: Arc<AtomicBool>,
    /// Longest line, in bytes.
    pub max_line: usize,
    pub rate: Arc<Rate>,
    pub notes: Arc<Notes>,
}

impl Voice {
    /// A line for standard output.
    pub fn print(&self, line: &[u8]) {
        if let Some(line) = self.admitted(line) {
            self.output.guest_line(self.label.as_deref(), line);
        }
    }

    /// A line for standard error.
    pub fn error(&self, line: &[u8]) {
        if let Some(line) = self.admitted(line) {
            self.output.guest_error(self.label.as_deref(), line);
        }
    }

    fn admitted<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        if self.muted.load(Ordering::Relaxed) {
            return None;
        }
        if !self.rate.admit() {
            self.notes
                .note(Limit::Lines, "its guest prints too much; lines are dropped");
            return None;
        }
        if line.len() <= self.max_line {
            return Some(line);
        }
        self.notes.note(
            Limit::Line,
            "its guest prints lines that are too long; they are cut",
        );
        Some(cut(line, self.max_line))
    }
}

/// The longest prefix of at most `max` bytes that doesn't cut a character.
pub fn cut(line: &[u8], max: usize) -> &[u8] {
    let continues = |at: usize| line.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let at = (max.saturating_sub(3)..=max)
        .rev()
        .find(|at| !continues(*at))
        .unwrap_or(max);
    line.get(..at).unwrap_or(line)
}

/// So many lines a second.
#[derive(Debug)]
pub struct Rate {
    max: u64,
    began: Instant,
    /// The second since `began` in the upper half, lines in the lower.
    now: AtomicU64,
}

impl Rate {
    pub fn new(max: u32) -> Self {
        Rate {
            max: u64::from(max),
            began: Instant::now(),
            now: AtomicU64::new(0),
        }
    }

    fn admit(&self) -> bool {
        let second = self.began.elapsed().as_secs() << 32;
        let next = |now: u64| Some(if now >= second { now + 1 } else { second + 1 });
        let before = self
            .now
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        before.is_ok_and(|before| before < second || before - second < self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters() {
        let line = "aé€😀".as_bytes();
        for (max, kept) in [
            (0, ""),
            (1, "a"),
            (2, "a"),
            (3, "aé"),
            (5, "aé"),
            (6, "aé€"),
            (9, "aé€"),
            (10, "aé€😀"),
        ] {
            assert_eq!(str::from_utf8(cut(line, max)), Ok(kept), "{max}");
        }
        assert_eq!(cut(&[0x80; 8], 4), &[0x80; 4], "not text: cut anywhere");
    }

    #[test]
    fn admits_so_many_a_second() {
        let rate = Rate::new(3);
        let admitted = (0..10).filter(|_| rate.admit()).count();
        assert!((3..=6).contains(&admitted), "{admitted}");
        assert!(!Rate::new(0).admit());
    }
}
