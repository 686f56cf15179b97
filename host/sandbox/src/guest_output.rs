//! A guest's lines: cut, counted, and handed to whoever prints them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tracing::Level;

use crate::limit_counters::{ConnectionWarnings, Limit};

/// Which of the process' streams a guest prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardStream {
    Out,
    Error,
}

/// Prints what guests print. Called in the middle of events: it must not wait.
pub trait LineSink: Send + Sync {
    /// A line without its newline. `connection` is `None` for an instance that
    /// serves none.
    fn guest_line(&self, connection: Option<u64>, stream: StandardStream, line: &[u8]);

    /// A line with a level and fields (`hotsocket:environment`).
    fn guest_record(&self, connection: Option<u64>, record: &GuestRecord);
}

/// What a guest logs: a message with fields, together no longer than a line may be.
#[derive(Clone, Debug)]
pub struct GuestRecord {
    pub level: Level,
    pub message: String,
    /// Names and values, in the guest's order; a name may occur twice.
    pub fields: Vec<(String, FieldValue)>,
}

/// What a field of a [`GuestRecord`] has.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
}

impl GuestRecord {
    /// Where it goes.
    pub fn stream(&self) -> StandardStream {
        match self.level {
            Level::ERROR | Level::WARN => StandardStream::Error,
            _ => StandardStream::Out,
        }
    }
}

/// Where the lines of one instance go, and whether they go anywhere.
#[derive(Clone)]
pub struct GuestOutput {
    pub sink: Arc<dyn LineSink>,
    /// During `save` and trials nothing is printed. Shared with the streams of
    /// WASI, which are made once for an instance.
    pub muted: Arc<AtomicBool>,
    /// Longest line, in bytes.
    pub max_line: usize,
    pub rate: Arc<LineRate>,
    pub warnings: Arc<ConnectionWarnings>,
}

impl GuestOutput {
    /// Print a line, unless the instance is muted or prints too much.
    pub fn print(&self, stream: StandardStream, line: &[u8]) {
        if !self.admits() {
            return;
        }
        let line = match line.len() <= self.max_line {
            true => line,
            false => {
                self.warn_of_long_line();
                truncate(line, self.max_line)
            }
        };
        self.sink
            .guest_line(self.warnings.connection(), stream, line);
    }

    /// Log a line that is not too long, on the same conditions.
    pub fn log(&self, record: &GuestRecord) {
        if self.admits() {
            let connection = self.warnings.connection();
            self.sink.guest_record(connection, record);
        }
    }

    /// Whether nothing is printed now.
    pub fn is_muted(&self) -> bool {
        self.muted.load(Ordering::Relaxed)
    }

    /// Whether one more line is printed.
    fn admits(&self) -> bool {
        if self.is_muted() {
            return false;
        }
        let admits = self.rate.admit();
        if !admits {
            self.warnings.warn(
                Limit::Lines,
                "guest prints too many lines; more are dropped",
            );
        }
        admits
    }

    /// The guest prints more in one line than is printed.
    pub fn warn_of_long_line(&self) {
        self.warnings.warn(
            Limit::Line,
            "guest prints lines that are too long; they are cut",
        );
    }
}

/// The longest prefix of at most `max` bytes that doesn't cut a character.
pub fn truncate(line: &[u8], max: usize) -> &[u8] {
    let continues = |at: usize| line.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let at = (max.saturating_sub(3)..=max)
        .rev()
        .find(|at| !continues(*at))
        .unwrap_or(max);
    line.get(..at).unwrap_or(line)
}

/// Admits so many lines a second.
#[derive(Debug)]
pub struct LineRate {
    max: u64,
    began: Instant,
    /// The second since `began` in the upper half, lines in the lower.
    now: AtomicU64,
}

impl LineRate {
    pub fn new(max: u32) -> Self {
        LineRate {
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
            assert_eq!(str::from_utf8(truncate(line, max)), Ok(kept), "{max}");
        }
        assert_eq!(
            truncate(&[0x80; 8], 4),
            &[0x80; 4],
            "not text: cut anywhere"
        );
    }

    #[test]
    fn admits_so_many_a_second() {
        let rate = LineRate::new(3);
        let admitted = (0..10).filter(|_| rate.admit()).count();
        assert!((3..=6).contains(&admitted), "{admitted}");
        assert!(!LineRate::new(0).admit());
    }
}
