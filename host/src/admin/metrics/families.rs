//! The metrics of services. Their only labels besides `service` and `generation` have
//! values of which there are few, and all from the start.

use std::fmt;
use std::sync::Arc;

use hotsocket_sandbox::limit_counters::LimitCounters;
use hotsocket_sandbox::measures::Histogram;

use super::family::{Families, Labels};
use crate::by_name::ByName;
use crate::rollout::Generation;
use crate::roster::Carried;
use crate::service::{Counters, NamedService, Service};
use crate::store::StoreStatus;
use crate::topics::{Size, Totals};

/// One service, with what takes a while to find out and is needed several times.
struct Sample<'a> {
    name: &'a str,
    service: &'a Service,
    expiries: &'a [(String, i64)],
    carried: Carried,
    store: StoreStatus,
    topics: Size,
    messages: Totals,
    generations: Vec<ShownGeneration>,
}

struct ShownGeneration {
    generation: Arc<Generation>,
    number: String,
    is_active: bool,
}

impl<'a> Sample<'a> {
    fn of(named: &'a NamedService) -> Self {
        let service = &*named.service;
        let active = service.registry.active().number;
        let generations = service.registry.generations().into_iter();
        let generations = generations.map(|generation| ShownGeneration {
            number: generation.number.to_string(),
            is_active: generation.number == active,
            generation,
        });
        Sample {
            name: &named.name,
            service,
            expiries: &named.expiries,
            carried: service.roster.carried(),
            store: named.store.status(),
            topics: service.topics.size(),
            messages: service.topics.totals(),
            generations: generations.collect(),
        }
    }

    fn labels(&self) -> Labels<'_> {
        vec![("service", self.name)]
    }

    fn with<'s>(&'s self, name: &'static str, value: &'s str) -> Labels<'s> {
        vec![("service", self.name), (name, value)]
    }
}

/// `of_node`: limits that belong to no service. They have no label `service`, so that they
/// stay the same ones when services come and go.
pub fn write(
    families: &mut Families<'_>,
    services: &[NamedService],
    of_node: &LimitCounters,
) -> fmt::Result {
    let all: Vec<_> = services.iter().map(Sample::of).collect();
    Writer {
        families,
        all,
        of_node,
    }
    .write()
}

struct Writer<'w, 'e, 'a> {
    families: &'w mut Families<'e>,
    all: Vec<Sample<'a>>,
    of_node: &'w LimitCounters,
}

impl Writer<'_, '_, '_> {
    fn write(&mut self) -> fmt::Result {
        self.connections()?;
        self.events()?;
        self.instances()?;
        self.generations()?;
        self.tls()?;
        self.topics()?;
        self.store()
    }

    fn connections(&mut self) -> fmt::Result {
        self.gauge(
            "hotsocket_connections_open",
            "Open connections, from the end of their handshake on.",
            |s| s.service.roster.len() as u64,
        )?;
        self.counter(
            "hotsocket_connections_accepted",
            "Accepted connections.",
            |s| Counters::read(&s.service.counters.accepted),
        )?;
        self.counters(
            "hotsocket_connections_closed",
            "Connections that are over, by the cause that the access log names.",
            "cause",
            |s| &s.service.counters.closed,
        )?;
        self.counters(
            "hotsocket_connections_refused",
            "Connections refused at a limit or for lack of room.",
            "limit",
            |s| &s.service.counters.refused,
        )?;
        self.counter("hotsocket_received_bytes", "Bytes from peers.", |s| {
            s.carried.received
        })?;
        self.counter(
            "hotsocket_sent_bytes",
            "Bytes for peers that the kernel has taken.",
            |s| s.carried.sent,
        )?;
        self.gauge(
            "hotsocket_queued_bytes",
            "Bytes that wait for peers.",
            |s| s.carried.queued,
        )
    }

    fn events(&mut self) -> fmt::Result {
        let samples = self.all.iter().flat_map(|s| {
            let events = s.service.sandbox.measures().events();
            events.map(|(event, count)| (s.with("event", event), count))
        });
        self.families.counter(
            "hotsocket_events",
            "Calls of guests, by the function of the contract.",
            samples,
        )?;
        self.histogram(
            "hotsocket_event_cpu_seconds",
            "CPU time of an event; of short events a sample is measured and counts for all.",
            |s| s.service.sandbox.measures().event_cpu(),
        )?;
        self.counters(
            "hotsocket_traps",
            "Events that failed, by what ended them.",
            "kind",
            |s| &s.service.counters.faults,
        )?;
        let of_services = self.all.iter().flat_map(|s| {
            let limits = s.service.limit_counters.each();
            limits.map(|(limit, count)| (s.with("limit", limit), count))
        });
        let of_node = self.of_node.each().map(|(limit, count)| {
            let labels: Labels<'_> = vec![("limit", limit)];
            (labels, count)
        });
        self.families.counter(
            "hotsocket_limit_reached",
            "How often a limit was reached, by the name of its flag (docs/limits.md).",
            of_services.chain(of_node),
        )
    }

    fn instances(&mut self) -> fmt::Result {
        self.gauge(
            "hotsocket_instances",
            "Connections that hold an instance now.",
            |s| s.service.roster.awake() as u64,
        )?;
        self.gauge(
            "hotsocket_instance_memory_bytes",
            "Memory of all instances: linear memories, tables, and what the host has allocated.",
            |s| s.service.sandbox.memory_in_use() as u64,
        )?;
        self.gauge(
            "hotsocket_hibernated",
            "Connections whose instance hibernates now.",
            |s| s.service.roster.asleep() as u64,
        )?;
        self.counter("hotsocket_wakes", "Instances that were woken.", |s| {
            Counters::read(&s.service.counters.woken)
        })?;
        self.histogram(
            "hotsocket_instance_create_seconds",
            "Time that an instance for a connection took to make.",
            |s| s.service.sandbox.measures().instance_create(),
        )
    }

    fn generations(&mut self) -> fmt::Result {
        let samples = self.all.iter().flat_map(|s| {
            let shown = s.generations.iter();
            shown.map(|shown| {
                let mut labels = s.with("generation", &shown.number);
                let state = if shown.is_active { "active" } else { "kept" };
                labels.push(("state", state));
                labels
            })
        });
        self.families.info(
            "hotsocket_generation",
            "The active generation, those kept for rollbacks and those with connections.",
            samples,
        )?;
        let samples = self.all.iter().flat_map(|s| {
            let shown = s.generations.iter();
            shown.map(|shown| {
                let connections = shown.generation.connections() as u64;
                (s.with("generation", &shown.number), connections)
            })
        });
        self.families.gauge(
            "hotsocket_generation_connections",
            "Connections that a generation serves now.",
            samples,
        )?;
        self.counters(
            "hotsocket_swaps",
            "Swaps and rollbacks, by their outcome.",
            "outcome",
            |s| &s.service.registry.totals().swaps,
        )?;
        self.counters(
            "hotsocket_migrations",
            "Connections that new code was to take over, by what became of that.",
            "outcome",
            |s| &s.service.registry.totals().migrations,
        )?;
        self.histogram(
            "hotsocket_swap_seconds",
            "Time from the request of a swap to the last migration.",
            |s| &s.service.registry.totals().took,
        )
    }

    fn tls(&mut self) -> fmt::Result {
        self.counters(
            "hotsocket_tls_handshakes",
            "TLS handshakes, by their outcome.",
            "outcome",
            |s| &s.service.counters.tls_handshakes,
        )?;
        let samples = self.all.iter().flat_map(|s| {
            s.expiries.iter().map(|(listener, expires)| {
                let labels = vec![("service", s.name), ("listener", listener.as_str())];
                (labels, u64::try_from(*expires).unwrap_or(0))
            })
        });
        self.families.gauge(
            "hotsocket_certificate_expiry_timestamp_seconds",
            "When the first certificate of a listener expires, in seconds since 1970.",
            samples,
        )
    }

    fn topics(&mut self) -> fmt::Result {
        self.gauge(
            "hotsocket_topics",
            "Topics and patterns that have subscribers.",
            |s| s.topics.topics as u64,
        )?;
        self.gauge(
            "hotsocket_subscriptions",
            "Subscriptions of connections.",
            |s| s.topics.subscriptions as u64,
        )?;
        self.counter(
            "hotsocket_messages_published",
            "Messages that connections and commands have published.",
            |s| s.messages.published,
        )?;
        self.counter(
            "hotsocket_messages_delivered",
            "Messages put into the mailbox of a connection, once for each.",
            |s| s.messages.delivered,
        )?;
        self.counter(
            "hotsocket_messages_dropped",
            "Messages dropped because a mailbox or the queue of a peer was full.",
            |s| s.messages.dropped,
        )
    }

    fn store(&mut self) -> fmt::Result {
        // Of a store in NATS they are not known.
        let known = |s: &&Sample<'_>| s.store.nats.is_none();
        let samples = self.all.iter().filter(known);
        self.families.gauge(
            "hotsocket_store_keys",
            "Keys of the store.",
            samples.map(|s| (s.labels(), s.store.keys as u64)),
        )?;
        let samples = self.all.iter().filter(known);
        self.families.gauge(
            "hotsocket_store_bytes",
            "Bytes of keys and values of the store, with what each takes besides.",
            samples.map(|s| (s.labels(), s.store.bytes as u64)),
        )?;
        self.counter(
            "hotsocket_store_errors",
            "Failed writes of the store's file, or failed calls of its NATS.",
            |s| s.store.errors,
        )
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Fn(&Sample<'_>) -> u64) -> fmt::Result {
        let samples = self.all.iter().map(|s| (s.labels(), value(s)));
        self.families.gauge(name, help, samples)
    }

    fn counter(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&Sample<'_>) -> u64,
    ) -> fmt::Result {
        let samples = self.all.iter().map(|s| (s.labels(), value(s)));
        self.families.counter(name, help, samples)
    }

    /// A counter with a label that has these values.
    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl for<'s> Fn(&'s Sample<'_>) -> &'s ByName,
    ) -> fmt::Result {
        let samples = self.all.iter().flat_map(|s| {
            let all = values(s).all();
            all.map(|(value, count)| (s.with(label, value), count))
        });
        self.families.counter(name, help, samples)
    }

    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        value: impl for<'s> Fn(&'s Sample<'_>) -> &'s Histogram,
    ) -> fmt::Result {
        let samples = self.all.iter().map(|s| (s.labels(), value(s)));
        self.families.histogram(name, help, samples)
    }
}
