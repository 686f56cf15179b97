//! What no peer sees of a guest: its faults, the lines that it prints, and what it
//! publishes. Each waits on the script's clock until it is there.

use hotsocket_sandbox::Publication;
use tokio::time::{Instant, sleep};

use super::{INSTANT, LOG_LINES, Runner, StepError, difference};

impl Runner<'_> {
    /// One more fault, whose line in the log contains `part` and is none of an earlier one.
    pub(super) async fn expect_fault(&mut self, part: Option<&str>) -> Result<(), StepError> {
        let deadline = Instant::now() + self.environment.timeout;
        while self.faults() <= self.expected_faults {
            if Instant::now() >= deadline {
                let time = crate::duration::show(self.environment.timeout);
                return Err(StepError::new(format!(
                    "timed out after {time}: expected a fault"
                )));
            }
            sleep(INSTANT).await;
        }
        self.expected_faults += 1;
        let log = self.environment.captured.logged();
        if let Some(part) = part {
            let mut new = log.iter().enumerate().skip(self.logged);
            let is_it = |at: &usize, line: &str| {
                !self.used.contains(at) && tells_of_fault(line) && line.contains(part)
            };
            let Some((at, _)) = new.find(|(at, line)| is_it(at, line)) else {
                return Err(StepError::new(format!(
                    "the guest failed, but no new line of the log contains {part:?}"
                )));
            };
            self.used.insert(at);
        }
        if self.faults() <= self.expected_faults {
            // All have been expected, so what is in the log belongs to no later one.
            self.logged = log.len();
            self.used.clear();
        }
        Ok(())
    }

    /// A guest prints this line, maybe after others.
    pub(super) async fn expect_line(&mut self, line: &str, stream: usize) -> Result<(), StepError> {
        let deadline = Instant::now() + self.environment.timeout;
        let captured = &self.environment.captured;
        let Some(printed) = self.printed.get_mut(stream) else {
            return Ok(());
        };
        loop {
            let lines = match stream {
                0 => captured.printed(),
                _ => captured.printed_errors(),
            };
            let mut new = lines.iter().enumerate().skip(*printed);
            if let Some((at, _)) = new.find(|(_, new)| *new == line) {
                *printed = at + 1;
                return Ok(());
            }
            if Instant::now() >= deadline {
                let last = lines.iter().skip(*printed).rev().take(LOG_LINES).rev();
                let details = last.map(|line| format!("printed   {line}")).collect();
                let message = format!(
                    "timed out after {}: no guest printed {}",
                    crate::duration::show(self.environment.timeout),
                    difference::quote(line.as_bytes())
                );
                return Err(StepError::with_details(message, details));
            }
            sleep(INSTANT).await;
        }
    }

    /// A guest publishes this, maybe after others.
    pub(super) async fn expect_published(
        &mut self,
        topic: &str,
        bytes: &[u8],
    ) -> Result<(), StepError> {
        let deadline = Instant::now() + self.environment.timeout;
        loop {
            self.seen.extend(self.published.try_iter());
            let is_it = |seen: &Publication| &*seen.topic == topic && &*seen.bytes == bytes;
            if let Some(at) = self.seen.iter().position(is_it) {
                self.seen.drain(..=at);
                return Ok(());
            }
            if Instant::now() >= deadline {
                let last = self.seen.iter().rev().take(LOG_LINES).rev();
                let line = |seen: &Publication| {
                    let bytes = difference::quote(&seen.bytes);
                    format!("published {} {bytes}", seen.topic)
                };
                let message = format!(
                    "timed out after {}: no guest published {topic} {}",
                    crate::duration::show(self.environment.timeout),
                    difference::quote(bytes)
                );
                return Err(StepError::with_details(message, last.map(line).collect()));
            }
            sleep(INSTANT).await;
        }
    }
}

/// Whether a line of the log is an error or a warning; faults are either.
fn tells_of_fault(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("ERROR ") || line.starts_with("WARN ")
}
