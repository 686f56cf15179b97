//! What the control socket and the admin address see of a node.
//!
//! - [`requests`]: how they ask for it

mod requests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use hotsocket_sandbox::limit_counters::LimitCounters;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::admin::AdminAccess;
use crate::control::protocol::{
    Connections, GenerationStatus, MemoryStatus, ServiceStatus, StoreStatus, Traffic,
};
use crate::control::receive::RequestBytes;
use crate::drain::Drain;
use crate::listener::{Intake, Layers};
use crate::output::Output;
use crate::rollout::Generation;
use crate::service::{Counters, NamedService, Service};
use crate::store::{self, Store};
use crate::tap::{TapLimits, Taps};

/// The services that there are now.
#[derive(Default)]
pub struct Directory(RwLock<Vec<Arc<ServiceView>>>);

/// One service, as it is seen from outside.
pub struct ServiceView {
    pub name: String,
    pub service: Arc<Service>,
    pub store: Arc<dyn Store>,
    /// The addresses that are listened on, with their real ports.
    pub listeners: Vec<String>,
    /// The addresses of those that have a name.
    pub named_listeners: BTreeMap<String, String>,
    /// What connections of each address go through.
    pub layers: Vec<(String, Arc<Layers>)>,
    /// Closes the accept loops.
    pub intakes: Vec<watch::Sender<Intake>>,
    /// The file that is watched, if one is.
    pub watching: Option<String>,
}

impl Directory {
    pub fn set(&self, services: Vec<Arc<ServiceView>>) {
        *self.0.write() = services;
    }

    fn all(&self) -> Vec<Arc<ServiceView>> {
        self.0.read().clone()
    }

    /// Each with its name.
    pub fn named(&self) -> Vec<NamedService> {
        let services = self.0.read();
        services.iter().map(|view| view.named()).collect()
    }

    /// Connections open now, with those in their handshake.
    pub fn left(&self) -> usize {
        let services = self.0.read();
        services.iter().map(|view| view.service.taken()).sum()
    }

    /// Close the listening sockets of all services.
    pub fn stop_accepting(&self) {
        for view in self.all() {
            view.service.close_admission();
            for intake in &view.intakes {
                intake.send_replace(Intake::Closed);
            }
        }
    }

    /// The service of that name, or the only one.
    ///
    /// # Errors
    /// Names those that there are.
    fn find(&self, name: Option<&str>) -> Result<Arc<ServiceView>, String> {
        let services = self.0.read();
        let found = match name {
            Some(name) => services.iter().find(|service| service.name == name),
            None if services.len() > 1 => None,
            None => services.first(),
        };
        if let Some(found) = found {
            return Ok(Arc::clone(found));
        }
        let names: Vec<_> = services.iter().map(|found| found.name.as_str()).collect();
        let names = names.join(", ");
        Err(match name {
            _ if names.is_empty() => "the server stops".to_owned(),
            Some(name) => format!("there is no service {name:?}; there are: {names}"),
            None => format!("the server has several services; choose one with --service: {names}"),
        })
    }
}

/// See the module's documentation.
pub struct NodeStatus {
    directory: Arc<Directory>,
    drain: Arc<Drain>,
    output: Arc<Output>,
    /// What is counted before it is known which service is meant.
    reached: Arc<LimitCounters>,
    /// What requests hold, those of the control socket and of the admin address.
    request_bytes: Arc<RequestBytes>,
    admin: Option<AdminAccess>,
    /// Of all services.
    taps: Arc<Taps>,
    started: Instant,
}

impl NodeStatus {
    pub fn new(
        directory: Arc<Directory>,
        drain: Arc<Drain>,
        output: Arc<Output>,
        admin: Option<AdminAccess>,
        taps: TapLimits,
    ) -> Self {
        let reached = Arc::<LimitCounters>::default();
        NodeStatus {
            taps: Taps::new(taps, Arc::clone(&reached)),
            directory,
            drain,
            output,
            reached,
            // Set when they are asked for.
            request_bytes: RequestBytes::new(0),
            admin,
            started: Instant::now(),
        }
    }
}

impl NodeStatus {
    /// All that people look at connections with.
    pub fn taps(&self) -> &Arc<Taps> {
        &self.taps
    }
}

impl ServiceView {
    fn named(&self) -> NamedService {
        NamedService {
            name: self.name.clone(),
            service: Arc::clone(&self.service),
            store: Arc::clone(&self.store),
            expiries: self.expiries(),
        }
    }

    fn expiries(&self) -> Vec<(String, i64)> {
        let of_listener = |(address, layers): &(String, Arc<Layers>)| {
            let expires = layers.expiry()?;
            let mut named = self.named_listeners.iter();
            let name = named.find(|(_, named)| *named == address);
            let label = name.map_or(address, |(name, _)| name);
            Some((label.clone(), expires))
        };
        self.layers.iter().filter_map(of_listener).collect()
    }

    fn status(&self) -> ServiceStatus {
        let service = &self.service;
        let active = service.registry.active();
        let counters = &service.counters;
        let limits = service.limits.load();
        let reached = service.limit_counters.all();
        let carried = service.roster.carried();
        let events = service.sandbox.measures().events();
        ServiceStatus {
            name: self.name.clone(),
            listeners: self.listeners.clone(),
            named_listeners: self.named_listeners.clone(),
            certificates: self
                .layers
                .iter()
                .flat_map(|(address, layers)| layers.certificates(address))
                .collect(),
            guest: active.source.to_string(),
            generation: active.number,
            sha256: active.guest.hash.to_string(),
            watching: self.watching.clone(),
            settings: service.sandbox.environment().names(),
            connections: Connections {
                open: service.roster.len(),
                limit: limits.max_connections,
                accepted: Counters::read(&counters.accepted),
                refused: counters.all_refused(),
                faults: counters.faults.total(),
                restarts: Counters::read(&counters.restarts),
                asleep: service.roster.asleep() as u64,
                hibernated: Counters::read(&counters.hibernated),
                woken: Counters::read(&counters.woken),
                stays_awake: service.awake_reasons.all(),
            },
            traffic: Traffic {
                received: carried.received,
                sent: carried.sent,
                queued: carried.queued,
                events: events.map(|(_, count)| count).sum(),
            },
            memory: MemoryStatus {
                instances: service.sandbox.memory_in_use(),
                limit_each: limits.max_memory,
            },
            store: StoreStatus::from(self.store.status()),
            generations: self.generations(active.number),
            limits_reached: reached
                .map(|(name, count)| (name.to_owned(), count))
                .collect(),
            nats: service.topics.nats_status(),
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
