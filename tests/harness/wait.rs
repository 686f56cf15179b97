//! Waiting for conditions, never for time.

use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for anything. Only a failing test ever waits so long.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Wait until the condition holds; panic with these words if it never does.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Wait until a number has stopped rising, and give it. A machine so busy that
/// it only seems to have stopped makes the number smaller, so it is good for
/// upper bounds.
pub fn stalled(mut number: impl FnMut() -> usize) -> usize {
    let mut last = number();
    let mut since = Instant::now();
    wait_for("a number that rises no more", || {
        let now = number();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(300)
    });
    last
}
