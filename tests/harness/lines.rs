//! What a process prints, collected while it runs.
//!
//! While it runs, a test can only know what has come so far ([`Lines::wait`],
//! [`Lines::has`]). How many lines there are is known at its end: take the whole
//! output of [`Server::stop`](super::Server::stop), and [`count_lines`].

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{PATIENCE, wait_for_within};

/// One output stream of a process, read by a thread of its own.
#[derive(Clone)]
pub struct Lines {
    name: &'static str,
    /// The longest wait for a line.
    patience: Duration,
    collected: Arc<Mutex<Collected>>,
}

#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    ended: bool,
}

impl Lines {
    pub fn collect(
        name: &'static str,
        mut stream: impl Read + Send + 'static,
        patience: Duration,
    ) -> Self {
        let collected = Arc::<Mutex<Collected>>::default();
        let lines = Lines {
            name,
            patience,
            collected: Arc::clone(&collected),
        };
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                let count = stream.read(&mut buffer).unwrap_or(0);
                let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
                collected.bytes.extend_from_slice(&buffer[..count]);
                if count == 0 {
                    collected.ended = true;
                    return;
                }
            }
        });
        lines
    }

    /// Of a stream that is not read here.
    pub fn empty(name: &'static str) -> Self {
        let ended = Collected {
            ended: true,
            ..Collected::default()
        };
        Lines {
            name,
            patience: PATIENCE,
            collected: Arc::new(Mutex::new(ended)),
        }
    }

    /// Everything so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.collected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
            .clone()
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Wait until the process has closed the stream, and give all of it.
    pub fn whole(&self) -> Vec<u8> {
        wait_for_within(PATIENCE, "the end of a stream", || {
            self.collected
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .ended
        });
        self.bytes()
    }

    /// Whether a line with this in it has come so far.
    pub fn has(&self, part: &str) -> bool {
        self.text().contains(part)
    }

    /// Wait for a line with this in it, and give the first.
    #[track_caller]
    pub fn wait(&self, part: &str) -> String {
        let mut found = None;
        let what = format!("{part:?} on {}", self.name);
        wait_for_within(self.patience, &what, || {
            let text = self.text();
            // The last line may be half of one.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            found = whole
                .lines()
                .find(|line| line.contains(part))
                .map(str::to_owned);
            found.is_some()
        });
        found.unwrap_or_default()
    }

    /// Wait until at least so many lines have this in them.
    #[track_caller]
    pub fn wait_count(&self, part: &str, count: usize) {
        let what = format!("{count} times {part:?} on {}", self.name);
        wait_for_within(self.patience, &what, || {
            count_lines(&self.text(), part) >= count
        });
    }
}

/// A log has this in one line. Of a warning that would come often there may be one
/// more for each ten seconds, which only a slow machine takes that long for: the
/// server leaves so much time between two (`Complaint` in its sources).
#[track_caller]
pub fn assert_logged_once(log: &str, part: &str, began: Instant) {
    let times = count_lines(log, part);
    let allowed = 1 + began.elapsed().as_secs() as usize / 10;
    assert!(
        (1..=allowed).contains(&times),
        "{times} lines with {part:?} in\n{log}"
    );
}

/// How many lines have this in them.
pub fn count_lines(text: &str, part: &str) -> usize {
    text.lines().filter(|line| line.contains(part)).count()
}
