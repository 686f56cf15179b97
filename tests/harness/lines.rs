//! What a process prints, collected while it runs.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::wait_for;

/// One output stream of a process, read by a thread of its own.
#[derive(Clone)]
pub struct Lines {
    name: &'static str,
    collected: Arc<Mutex<Collected>>,
}

#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    ended: bool,
}

impl Lines {
    pub fn collect(name: &'static str, mut stream: impl Read + Send + 'static) -> Self {
        let collected = Arc::<Mutex<Collected>>::default();
        let lines = Lines {
            name,
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

    /// Everything so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.collected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
            .clone()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Wait until the process has closed the stream, and give all of it.
    pub fn whole(&self) -> Vec<u8> {
        wait_for("the end of a stream", || {
            self.collected
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .ended
        });
        self.bytes()
    }

    /// How many lines have this in them.
    pub fn count(&self, part: &str) -> usize {
        self.text()
            .lines()
            .filter(|line| line.contains(part))
            .count()
    }

    /// Wait for a line with this in it, and give it.
    pub fn wait(&self, part: &str) -> String {
        let mut found = None;
        wait_for(&format!("{part:?} on {}", self.name), || {
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

    /// Wait until so many lines have this in them.
    pub fn wait_count(&self, part: &str, count: usize) {
        wait_for(&format!("{count} times {part:?} on {}", self.name), || {
            self.count(part) >= count
        });
    }
}
