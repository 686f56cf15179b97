//! Waiting for conditions, never for time.

use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for anything. Only a failing test ever waits so long, or one that
/// has a guest with an engine in it compiled on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Wait until the condition holds; panic with these words if it never does.
#[track_caller]
pub fn wait_for(what: &str, condition: impl FnMut() -> bool) {
    wait_for_within(PATIENCE, what, condition);
}

/// The same, with another longest wait.
#[track_caller]
pub fn wait_for_within(time: Duration, what: &str, condition: impl FnMut() -> bool) {
    assert!(wait_within(time, condition), "waited in vain for: {what}");
}

/// Wait until the condition holds; false if it doesn't in this time.
pub fn wait_within(time: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + time;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
    true
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
