//! Waiting until files stop changing (debouncing).

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Files that look the same for this long have settled.
const QUIET_TIME: Duration = Duration::from_millis(50);

/// Look at files until two looks in a row are equal, and return the last one.
/// With `at_most`, files that never stop changing are returned as they are
/// after that time.
pub async fn settle<S: PartialEq, F: Future<Output = S>>(
    look: impl Fn() -> F,
    at_most: Option<Duration>,
) -> S {
    let begin = Instant::now();
    let mut before = look().await;
    loop {
        sleep(QUIET_TIME).await;
        let now = look().await;
        if now == before || at_most.is_some_and(|at_most| begin.elapsed() > at_most) {
            return now;
        }
        before = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::ready;

    #[tokio::test(start_paused = true)]
    async fn it_waits_until_nothing_changes() {
        let looks = Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            ready(looks.get().min(4))
        };
        assert_eq!(settle(look, None).await, 4);
        assert_eq!(looks.get(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_stops_changing_is_returned_after_a_while() {
        let looks = Cell::new(0);
        let look = || ready(looks.replace(looks.get() + 1));
        let begin = Instant::now();
        settle(look, Some(Duration::from_secs(5))).await;
        let took = begin.elapsed();
        assert!(took > Duration::from_secs(5) && took < Duration::from_secs(6));
    }
}
