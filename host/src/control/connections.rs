//! The answer to `connections`: some of the open connections, in the order that the
//! client asks for. It is made on a thread of its own, as there may be many.

use std::cmp::Ordering;
use std::sync::Arc;

use hotsocket_sandbox::{ConnectionInfo, Endpoint};

use super::protocol::{ConnectionList, ConnectionQuery, ConnectionRow, MAX_ROWS, SortBy};
use crate::roster::{Progress, SessionHandle};
use crate::service::NamedService;

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

    /// Whether one of the texts of its row contains this.
    fn contains(&self, text: &str) -> bool {
        let row = self.row();
        let label = row.label.as_deref().unwrap_or_default();
        let fields = [&row.peer, &row.listener, &row.service, &row.state, label];
        fields.iter().any(|field| field.contains(text))
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
    let mut open = 0;
    let mut found: Vec<_> = all
        .inspect(|_| open += 1)
        .filter(|candidate| {
            let is_service = |name: &String| *name == candidate.service;
            query.service.as_ref().is_none_or(is_service)
                && query
                    .filter
                    .as_ref()
                    .is_none_or(|text| candidate.contains(text))
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
