//! The viewer's end of a tap: lines of JSON (NDJSON, `application/x-ndjson`), one record
//! each, from the lease to the end.
//!
//! ```text
//! {"type":"lease","tap":"9f…","lease_ms":30000,"connection":{…}}
//! {"type":"event",…}
//! {"type":"dropped","records":12,"bytes":34567}
//! {"type":"end"}     or     {"type":"expired"}
//! ```

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::Lease;
use super::queue::{End, Taken, Tap};
use crate::output;

/// For what waits when the lease of a viewer is over.
const TIME_FOR_REST: Duration = Duration::from_secs(1);

/// See the module's documentation. Call [`Self::next`] until there is nothing more, and
/// [`Self::renew`] (or [`super::Taps::renew`], with [`Self::id`]) within each
/// [`Self::lease`]. Dropping it ends the tap, and makes room for another.
///
/// Whoever sends the lines on must not wait for its client once the tap is
/// [given up](Self::patience).
pub struct TapStream {
    lease: Lease,
    /// The first line, and no more lines after the last.
    next: Next,
    /// Detaches the tap from what it shows.
    _attached: Box<dyn Any + Send>,
}

enum Next {
    First(Vec<u8>),
    Records,
    Nothing,
}

impl TapStream {
    /// For a tap that is attached to something for as long as `attached` lives.
    /// `connection` is what the first line says of the only connection that it shows.
    pub fn new(
        lease: Lease,
        attached: impl Any + Send,
        connection: Option<impl Serialize>,
    ) -> Self {
        let tap = lease.tap();
        let mut line = output::Record::empty();
        line.field("type", "lease");
        line.field("tap", tap.id());
        line.field("lease_ms", tap.limits().lease.as_millis() as u64);
        line.field("service", tap.service());
        line.field("connection", connection);
        let mut first = line.end();
        first.push(b'\n');
        TapStream {
            next: Next::First(first),
            lease,
            _attached: Box::new(attached),
        }
    }

    fn tap(&self) -> &Arc<Tap> {
        self.lease.tap()
    }

    /// By which others renew it.
    pub fn id(&self) -> &str {
        self.tap().id()
    }

    /// How long it lasts if it is not renewed.
    pub fn lease(&self) -> Duration {
        self.tap().limits().lease
    }

    /// Begin the lease again. False if the tap is over.
    pub fn renew(&self) -> bool {
        self.tap().renew()
    }

    /// Resolves when nobody has renewed the tap for a lease, and then for [`TIME_FOR_REST`]: who
    /// has not taken by then what there is to see does not look.
    pub fn patience(&self) -> impl Future<Output = ()> + Send + 'static {
        let tap = Arc::clone(self.tap());
        async move {
            loop {
                let until = tap.expires() + TIME_FOR_REST;
                if until <= std::time::Instant::now() {
                    return;
                }
                sleep_until(Instant::from_std(until)).await;
            }
        }
    }

    /// One line or several, each with its newline. `None` after the last, which says why
    /// there are no more. Nothing is lost if the future is dropped before it is ready.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        match std::mem::replace(&mut self.next, Next::Records) {
            Next::First(line) => return Some(line),
            Next::Records => {}
            Next::Nothing => {
                self.next = Next::Nothing;
                return None;
            }
        }
        loop {
            let tap = self.lease.tap();
            match tap.take() {
                Taken::Some(entries) => {
                    let mut lines = Vec::new();
                    for entry in entries {
                        entry.write(tap.service(), &mut lines);
                    }
                    return Some(lines);
                }
                Taken::End(end) => {
                    self.next = Next::Nothing;
                    let last = match end {
                        End::Over => "{\"type\":\"end\"}\n",
                        End::Expired => "{\"type\":\"expired\"}\n",
                    };
                    return Some(last.into());
                }
                Taken::Nothing(expires) => {
                    tokio::select! {
                        () = tap.changed() => {}
                        () = sleep_until(Instant::from_std(expires)) => {}
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::{Bytes, Mark, MarkKind, Record, TapLimits, Taps, What};
    use hotsocket_sandbox::limit_counters::LimitCounters;

    fn taps(limits: TapLimits) -> (Arc<Taps>, Arc<LimitCounters>) {
        let reached = Arc::<LimitCounters>::default();
        (Taps::new(limits, Arc::clone(&reached)), reached)
    }

    fn stream(taps: &Arc<Taps>) -> TapStream {
        let lease = taps.lease("echo", Some(7)).expect("room");
        TapStream::new(lease, (), None::<()>)
    }

    async fn lines(stream: &mut TapStream) -> String {
        let lines = stream.next().await.unwrap_or_default();
        String::from_utf8(lines).expect("UTF-8")
    }

    fn direct(count: usize) -> Arc<Record> {
        let what = What::Direct {
            topic: "t".into(),
            out: Bytes::new(&vec![0; count]),
        };
        Record::new(7, what)
    }

    #[tokio::test]
    async fn a_lease_that_nobody_renews_ends() {
        let limits = TapLimits {
            lease: Duration::from_millis(20),
            ..TapLimits::default()
        };
        let (taps, reached) = taps(limits);
        let mut stream = stream(&taps);
        assert!(lines(&mut stream).await.starts_with("{\"type\":\"lease\","));
        assert_eq!(lines(&mut stream).await, "{\"type\":\"expired\"}\n");
        assert_eq!(stream.next().await, None);
        assert!(!stream.renew(), "it is over");
        assert!(!stream.tap().push(&direct(1)), "it wants no more");
        assert_eq!(stream.next().await, None, "nothing is recorded any more");
        assert_eq!(reached.all().collect::<Vec<_>>(), [("tap-lease", 1)]);
    }

    #[tokio::test]
    async fn a_viewer_that_takes_nothing_is_given_up() {
        let limits = TapLimits {
            lease: Duration::from_millis(20),
            ..TapLimits::default()
        };
        let (taps, reached) = taps(limits);
        // Of one whose connection is over nothing expires.
        for is_over in [false, true] {
            let began = Instant::now();
            let stream = stream(&taps);
            stream.tap().push(&direct(1));
            if is_over {
                stream.tap().end();
            }
            stream.patience().await;
            assert!(began.elapsed() >= limits.lease + TIME_FOR_REST);
            assert_eq!(reached.all().collect::<Vec<_>>(), [("tap-lease", 1)]);
        }
        let stream = stream(&taps);
        stream.tap().end();
        let patience = stream.patience();
        let renewed = Instant::now();
        assert!(!stream.renew(), "it is over");
        patience.await;
        assert!(
            renewed.elapsed() >= limits.lease + TIME_FOR_REST,
            "it may take the rest"
        );
    }

    #[tokio::test]
    async fn peers_that_come_and_go_fill_no_more_than_the_buffer() {
        let limits = TapLimits {
            buffer: 4096,
            ..TapLimits::default()
        };
        let (taps, reached) = taps(limits);
        let lease = taps.lease("echo", None).expect("room");
        let mut stream = TapStream::new(lease, (), None::<()>);
        lines(&mut stream).await;
        for id in 0..1000 {
            let last = Mark::new(MarkKind::Closed, "over");
            assert!(stream.tap().push(&Record::new(id, What::Mark(last))));
        }
        let seen = lines(&mut stream).await.matches("\"closed\"").count();
        assert!((1..100).contains(&seen), "{seen}");
        let dropped = reached.all().next().expect("a limit");
        assert_eq!(dropped, ("tap-buffer", 1000 - seen as u64));
    }

    #[tokio::test]
    async fn what_does_not_fit_is_counted_in_its_place() {
        let limits = TapLimits {
            buffer: 4096,
            ..TapLimits::default()
        };
        let (taps, reached) = taps(limits);
        let mut stream = stream(&taps);
        lines(&mut stream).await;
        let tap = Arc::clone(stream.tap());
        for count in [1000, 100_000, 2000, 3] {
            tap.push(&direct(count));
        }
        let last = Mark::new(MarkKind::Closed, "over");
        tap.push(&Record::new(7, What::Mark(last)));
        tap.end();
        let mut all = String::new();
        while let Some(lines) = stream.next().await {
            all += std::str::from_utf8(&lines).expect("UTF-8");
        }
        let seen: Vec<serde_json::Value> = all
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let brief: Vec<_> = seen
            .iter()
            .map(|record| {
                let number = |field: &str| record[field].as_u64();
                (
                    record["type"].as_str(),
                    number("seq"),
                    number("records"),
                    number("bytes"),
                )
            })
            .collect();
        assert_eq!(
            brief,
            [
                (Some("direct"), Some(1), None, None),
                (Some("dropped"), None, Some(1), Some(100_000)),
                (Some("direct"), Some(3), None, None),
                (Some("direct"), Some(4), None, None),
                (Some("mark"), Some(5), None, None),
                (Some("end"), None, None, None),
            ]
        );
        assert_eq!(seen[2]["out_bytes"], 2000);
        assert_eq!(reached.all().collect::<Vec<_>>(), [("tap-buffer", 1)]);
    }

    #[tokio::test]
    async fn a_node_that_stops_lets_viewers_see_the_end() {
        let (taps, _) = taps(TapLimits::default());
        let mut stream = stream(&taps);
        lines(&mut stream).await;
        let all = Arc::clone(&taps);
        let finished = tokio::spawn(async move { all.finish(Duration::from_secs(60)).await });
        assert_eq!(lines(&mut stream).await, "{\"type\":\"end\"}\n");
        drop(stream);
        finished.await.expect("no panic");
    }
}
