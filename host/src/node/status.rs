//! What the control socket sees of a node.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hotsocket_sandbox::limit_counters::LimitCounters;

use crate::control::protocol::{Connections, GenerationStatus, MemoryStatus, Status, StoreStatus};
use crate::control::server::AdminApi;
use crate::listener::ListenAddress;
use crate::output::Output;
use crate::registry::Registry;
use crate::rollout::Generation;
use crate::service::{Counters, Service};
use crate::store::{self, Store};
use crate::topics::Topics;

/// See the module's documentation.
pub struct NodeStatus {
    service: Arc<Service>,
    output: Arc<Output>,
    listeners: Vec<ListenAddress>,
    /// The file that is watched, if one is.
    watching: Option<String>,
    store: Arc<dyn Store>,
    started: Instant,
}

impl NodeStatus {
    pub fn new(
        service: Arc<Service>,
        output: Arc<Output>,
        listeners: Vec<ListenAddress>,
        watched: Option<&Path>,
        store: Arc<dyn Store>,
    ) -> Self {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        NodeStatus {
            service,
            output,
            listeners,
            watching: watched.map(|path| absolute(path).display().to_string()),
            store,
            started: Instant::now(),
        }
    }

    fn generations(&self, active: u64) -> Vec<GenerationStatus> {
        let history = self.service.registry.history();
        let status = |generation: &Arc<Generation>| {
            let number = generation.number;
            let record = history.iter().find(|record| record.generation == number);
            GenerationStatus {
                number,
                guest: generation.source.to_string(),
                sha256: generation.guest.hash.to_string(),
                active: number == active,
                connections: generation.connections(),
                migrated: record.map_or(0, |record| record.migrated),
                failed: record.map_or(0, |record| record.failed),
                age_s: generation.accepted.elapsed().map_or(0, |age| age.as_secs()),
            }
        };
        let generations = self.service.registry.generations();
        generations.iter().map(status).collect()
    }
}

impl AdminApi for NodeStatus {
    fn registry(&self) -> &Registry {
        &self.service.registry
    }

    fn topics(&self) -> &Topics {
        &self.service.topics
    }

    fn store(&self) -> &dyn Store {
        &*self.store
    }

    fn max_component(&self) -> usize {
        self.service.limits.max_component
    }

    fn reached(&self) -> &LimitCounters {
        &self.service.limit_counters
    }

    fn status(&self) -> Status {
        let active = self.service.registry.active();
        let dropped = self.output.dropped();
        let counters = &self.service.counters;
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: self.started.elapsed().as_secs(),
            listeners: self.listeners.iter().map(ToString::to_string).collect(),
            guest: active.source.to_string(),
            generation: active.number,
            sha256: active.guest.hash.to_string(),
            watching: self.watching.clone(),
            settings: self.service.sandbox.environment().names(),
            connections: Connections {
                open: self.service.roster.len(),
                limit: self.service.limits.max_connections,
                accepted: Counters::read(&counters.accepted),
                refused: Counters::read(&counters.refused),
                faults: Counters::read(&counters.faults),
                restarts: Counters::read(&counters.restarts),
                asleep: self.service.roster.asleep() as u64,
                hibernated: Counters::read(&counters.hibernated),
                woken: Counters::read(&counters.woken),
                stays_awake: self.service.awake_reasons.all(),
            },
            memory: MemoryStatus {
                instances: self.service.sandbox.memory_in_use(),
                limit_each: self.service.limits.max_memory,
            },
            store: StoreStatus::from(self.store.status()),
            generations: self.generations(active.number),
            limits_reached: self
                .service
                .limit_counters
                .all()
                .map(|(name, count)| (name.to_owned(), count))
                .collect(),
            dropped_lines: dropped.total(),
            dropped_lines_of: dropped
                .each()
                .into_iter()
                .filter(|(_, lines)| *lines > 0)
                .map(|(of, lines)| (of.to_owned(), lines))
                .collect(),
            nats: self.service.topics.nats_status(),
        }
    }
}

impl From<store::StoreStatus> for StoreStatus {
    fn from(status: store::StoreStatus) -> Self {
        StoreStatus {
            keys: status.keys,
            bytes: status.bytes,
            file: status.file.map(|path| path.display().to_string()),
            errors: status.errors,
            nats: status.nats,
        }
    }
}
