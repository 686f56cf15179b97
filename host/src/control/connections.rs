//! The answer to `connections`: some of the open connections, in the order that the
//! client asks for. It is made on a thread of its own, as there may be many.

use std::cmp::Ordering;
use std::sync::Arc;

use hotsocket_sandbox::{ConnectionInfo, Endpoint};

use super::protocol::{ConnectionList, ConnectionQuery, ConnectionRow, MAX_ROWS, SortBy};
use crate::roster::{Progress, SessionHandle};
use crate::service::NamedService;

/// Words of a filter that are looked for; more of them say nothing.
const MAX_WORDS: usize = 16;

/// One connection, as it was when it was looked at: it changes while others are sorted.
struct Candidate<'a> {
    service: &'a str,
    handle: Arc<SessionHandle>,
    progress: Progress,
    age_ms: u64,
    idle_ms: u64,
}

impl Candidate<'_> {
    fn new(service: &NamedService, handle: Arc<SessionHandle>) -> Candidate<'_> {
        let milliseconds =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Candidate {
            service: &service.name,
            progress: handle.progress(),
            age_ms: milliseconds(handle.age()),
            idle_ms: milliseconds(handle.idle()),
            handle,
        }
    }

    fn connection(&self) -> ConnectionInfo {
        self.handle.connection
    }

    fn row(&self) -> ConnectionRow {
        let connection = self.connection();
        ConnectionRow {
            id: connection.id,
            peer: connection.peer.to_string(),
            listener: connection.local.to_string(),
            service: self.service.to_owned(),
            generation: self.progress.generation,
            state: self.progress.state.name().to_owned(),
            received: self.progress.received,
            sent: self.progress.sent,
            queued: self.progress.queued,
            age_ms: self.age_ms,
            idle_ms: self.idle_ms,
            last_event: self.handle.last_event().map(str::to_owned),
            cpu_us: u64::try_from(self.handle.cpu().as_micros()).unwrap_or(u64::MAX),
            label: self.handle.label().map(String::from),
        }
    }

    /// Whether each of these words, in lower case, is in one of the texts of its row: the
    /// inspector's page looks at the same.
    fn contains(&self, words: &[&str]) -> bool {
        if words.is_empty() {
            return true;
        }
        let row = self.row();
        // No word is in two lines.
        let text = format!(
            "{}\n{}\n{}\n{}\n{}\n{}\ngen {}",
            row.peer,
            row.listener,
            row.service,
            row.state,
            row.label.unwrap_or_default(),
            row.last_event.unwrap_or_default(),
            row.generation
        );
        let text = text.to_lowercase();
        words.iter().all(|word| text.contains(word))
    }
}

/// What is known of one connection of a service.
pub fn row(service: &NamedService, handle: Arc<SessionHandle>) -> ConnectionRow {
    Candidate::new(service, handle).row()
}

/// Answer the question.
pub fn list(services: &[NamedService], query: &ConnectionQuery) -> ConnectionList {
    let all = services.iter().flat_map(|service| {
        let handles = service.service.roster.all().into_iter();
        handles.map(|handle| Candidate::new(service, handle))
    });
    choose(all, query)
}

fn choose<'a>(all: impl Iterator<Item = Candidate<'a>>, query: &ConnectionQuery) -> ConnectionList {
    let filter = query.filter.as_deref().unwrap_or_default().to_lowercase();
    let words: Vec<_> = filter.split_whitespace().take(MAX_WORDS).collect();
    let mut open = 0;
    let mut found: Vec<_> = all
        .inspect(|_| open += 1)
        .filter(|candidate| {
            let is_service = |name: &String| *name == candidate.service;
            query.service.as_ref().is_none_or(is_service) && candidate.contains(&words)
        })
        .collect();
    let matching = found.len();
    let rows = query.rows.min(MAX_ROWS);
    let order = |a: &Candidate<'_>, b: &Candidate<'_>| compare(a, b, query);
    if rows < found.len() {
        found.select_nth_unstable_by(rows, order);
        found.truncate(rows);
    }
    found.sort_unstable_by(order);
    ConnectionList {
        open,
        matching,
        connections: found.iter().map(Candidate::row).collect(),
    }
}

/// Numbers in descending order, as the largest matter most, all else in ascending order;
/// and the other way round if the client asks for it. Those that are equal by their id.
fn compare(a: &Candidate<'_>, b: &Candidate<'_>, query: &ConnectionQuery) -> Ordering {
    let (mine, other) = (&a.progress, &b.progress);
    let ordering = match query.sort {
        SortBy::Id => Ordering::Equal,
        SortBy::Received => other.received.cmp(&mine.received),
        SortBy::Sent => other.sent.cmp(&mine.sent),
        SortBy::Queued => other.queued.cmp(&mine.queued),
        SortBy::Age => b.age_ms.cmp(&a.age_ms),
        SortBy::Idle => b.idle_ms.cmp(&a.idle_ms),
        SortBy::Generation => mine.generation.cmp(&other.generation),
        SortBy::State => mine.state.name().cmp(other.state.name()),
        SortBy::Service => a.service.cmp(b.service),
        SortBy::Peer => peer(a).cmp(&peer(b)),
    };
    let ordering = ordering.then(a.connection().id.cmp(&b.connection().id));
    match query.reverse {
        true => ordering.reverse(),
        false => ordering,
    }
}

/// Addresses in their order, then processes.
fn peer(candidate: &Candidate<'_>) -> (Option<std::net::SocketAddr>, Option<(u32, Option<i32>)>) {
    match candidate.connection().peer {
        Endpoint::Ip(address) => (Some(address), None),
        Endpoint::Unix(process) => (None, process.map(|process| (process.uid, process.pid))),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hotsocket_sandbox::Event;

    use super::*;

    fn candidate(id: u64, generation: u64, label: &str) -> Candidate<'static> {
        let connection = ConnectionInfo {
            id,
            local: SocketAddr::from(([127, 0, 0, 1], 3000)).into(),
            peer: SocketAddr::from(([192, 0, 2, 1], 40_000)).into(),
        };
        let handle = Arc::new(SessionHandle::new(connection, generation, 0));
        handle.set_label(Some(label));
        handle.begin_event(Event::Data);
        Candidate {
            service: "Echo",
            progress: handle.progress(),
            age_ms: 0,
            idle_ms: 0,
            handle,
        }
    }

    #[test]
    fn a_filter_is_words_without_regard_to_case() {
        let found = |filter: &str| {
            let all = [candidate(1, 1, "Änne"), candidate(2, 88, "Bob B")];
            let query = ConnectionQuery {
                filter: Some(filter.to_owned()),
                rows: 10,
                ..ConnectionQuery::default()
            };
            let list = choose(all.into_iter(), &query);
            assert_eq!((list.open, list.matching), (2, list.connections.len()));
            let ids = list.connections.iter().map(|row| row.id);
            ids.collect::<Vec<_>>()
        };
        for filter in ["", "  ", "192.0.2.1:40", ":3000", "ECHO", "opening data"] {
            assert_eq!(found(filter), [1, 2], "{filter:?}");
        }
        for filter in ["bob", "B echo BOB", "gen 88", "data\tgen bob"] {
            assert_eq!(found(filter), [2], "{filter:?}");
        }
        assert_eq!(found("äNNE"), [1]);
        for filter in ["bob änne", "openingbob", "gen 77"] {
            assert_eq!(found(filter), [0; 0], "{filter:?}");
        }
        // What is beyond so many words is not looked at.
        assert_eq!(found(&("bob ".repeat(MAX_WORDS) + "nobody")), [2]);
    }
}
