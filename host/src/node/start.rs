//! From the options of a service to one that can serve, in two steps: first what is found
//! at once (files, addresses), then what takes time (the store, the guest, NATS). Nothing
//! is accepted before [`PreparedService::start`], which cannot fail.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hotsocket_sandbox::limit_counters::LimitCounters;
use hotsocket_sandbox::{
    CompiledGuest, ComponentBytes, EnginePool, Environment, Fault, Hash, Sandbox,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::running::{RunningListener, RunningService};
use super::{
    BUILT_IN, BUILT_IN_NAME, DEFAULT_PORT, Guest, Place, ServiceListener, ServiceOptions,
    StartError,
};
use crate::guest_file;
use crate::limits::Limits;
use crate::listener::tls::TlsLayers;
use crate::listener::{self, BindError, Bound, Handle, Intake, Layers, ListenAddress, Listening};
use crate::nats::NatsOptions;
use crate::output::Output;
use crate::registry;
use crate::rollout::Source;
use crate::service::{ConnectionIds, Service, ServiceLines};
use crate::store::{Memory, NatsStore, Store, StorePlace};
use crate::topics::nats::Link;

/// Starts the accept loop of a listening socket.
type Accept = dyn Fn(Listening, Arc<Layers>, Arc<Service>, watch::Receiver<Intake>) -> JoinHandle<()>
    + Send
    + Sync;

/// What all services of a node have in common.
pub(super) struct Shared {
    pub(super) engines: Arc<EnginePool>,
    pub(super) output: Arc<Output>,
    pub(super) ids: ConnectionIds,
    pub(super) accept: Box<Accept>,
}

/// A service whose guest has been read and whose addresses are taken.
pub(super) struct BoundService {
    options: ServiceOptions,
    /// What the options say of NATS, with the files that they name.
    topics: Option<NatsOptions>,
    component: ComponentBytes,
    source: Source,
    listeners: Vec<BoundListener>,
}

/// A listener whose address is taken, and whose layers are ready.
pub(super) struct BoundListener {
    options: ServiceListener,
    socket: Bound,
    layers: Arc<Layers>,
}

/// A service that only has to be started.
pub(super) struct PreparedService {
    options: ServiceOptions,
    service: Arc<Service>,
    store: Arc<dyn Store>,
    link: Option<Link>,
    hash: Hash,
    listeners: Vec<PreparedListener>,
}

/// A listener that clients can connect to, though nobody accepts them yet.
pub(super) struct PreparedListener {
    options: ServiceListener,
    /// With its real port.
    address: ListenAddress,
    socket: Listening,
    /// For whoever listens there next.
    handle: Handle,
    layers: Arc<Layers>,
}

impl BoundListener {
    /// `before` are the layers of the listener whose socket this one takes over.
    ///
    /// # Errors
    /// When what the files of its options say cannot be used.
    pub(super) fn new(
        options: ServiceListener,
        socket: Bound,
        tls: &mut TlsLayers,
        before: Option<&Layers>,
    ) -> Result<Self, StartError> {
        let name = Some(options.name.as_str()).filter(|name| !name.is_empty());
        let tls = match (&options.layers.tls, socket.address().socket_addr()) {
            (Some(options), Some(_)) => Some(tls.get(options)?),
            _ => None,
        };
        let layers = Layers::new(&options.layers, name.map(Arc::from), tls, before);
        Ok(BoundListener {
            options,
            socket,
            layers: Arc::new(layers),
        })
    }

    pub(super) fn listen(self) -> Result<PreparedListener, BindError> {
        Ok(PreparedListener {
            handle: self.socket.handle()?,
            address: self.socket.address().clone(),
            socket: self.socket.listen()?,
            options: self.options,
            layers: self.layers,
        })
    }
}

impl BoundService {
    /// An address that one of the handles has is taken over from it.
    ///
    /// # Errors
    /// When the guest cannot be read, or an address cannot be listened on.
    pub(super) async fn bind(
        options: ServiceOptions,
        handles: &mut Vec<&Handle>,
    ) -> Result<Self, StartError> {
        let (component, source) = read(&options.guest, options.limits.max_component).await?;
        let topics = options.topics.clone().map(NatsOptions::prepare).transpose();
        let topics = topics.map_err(StartError::Topics)?;
        let listeners = options.listeners.iter().cloned();
        let mut tls = TlsLayers::new(options.limits.max_handshakes);
        let bound = listeners.map(|listener| bind(listener, component.bytes(), handles, &mut tls));
        let listeners = bound.collect::<Result<_, _>>()?;
        Ok(BoundService {
            options,
            topics,
            component,
            source,
            listeners,
        })
    }

    /// Open the store, compile the guest, begin to listen, and tell the guest.
    ///
    /// # Errors
    /// Reports the first thing that fails. Then nothing of the service is left.
    pub(super) async fn prepare(self, shared: &Shared) -> Result<PreparedService, StartError> {
        let options = self.options;
        let guest = self.source.to_string();
        let limits = Arc::new(options.limits.clone());
        let lines = ServiceLines::new(Arc::clone(&shared.output) as _);
        let sandbox = Arc::new(Sandbox::new(
            Arc::clone(&shared.engines),
            limits.sandbox(),
            options.grants.clone(),
            Environment::new(options.settings.clone()),
            Arc::clone(&lines) as _,
        ));
        let reached = Arc::clone(sandbox.limit_counters());
        let store = open_store(options.store.clone(), &limits, reached).await?;
        sandbox.set_store(Arc::clone(&store) as _);
        let compiled = registry::compile(&sandbox, self.component, &guest, None).await?;
        let hash = compiled.hash;
        // Whoever connects as soon as the guest says that it listens must not be
        // refused.
        let listeners = self.listeners.into_iter().map(BoundListener::listen);
        let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
        let addresses = listeners.iter().map(|listener| &listener.address);
        call_listening(&sandbox, &compiled, addresses)
            .await
            .map_err(|fault| StartError::Listening { guest, fault })?;
        let service = Service::new(
            sandbox,
            compiled,
            self.source,
            options.rules,
            limits,
            shared.ids.clone(),
            options.access_log,
        );
        lines.set_roster(&service.roster);
        let link = match &self.topics {
            Some(options) => {
                let link = Link::start(options, &service.topics).await;
                Some(link.map_err(StartError::Topics)?)
            }
            None => None,
        };
        Ok(PreparedService {
            options,
            service,
            store,
            link,
            hash,
            listeners,
        })
    }
}

impl PreparedService {
    /// Accept connections.
    pub(super) fn start(self, shared: &Shared) -> RunningService {
        let service = self.service;
        let registry = Arc::clone(&service.registry);
        let undoing = tokio::spawn(async move { registry.undo_bad_swaps().await });
        let listeners = self.listeners.into_iter();
        let listeners = listeners.map(|listener| listener.start(shared, &service));
        let mut running = RunningService {
            name: self.options.name(),
            listeners: listeners.collect(),
            options: self.options,
            store: self.store,
            link: self.link,
            undoing,
            watching: None,
            service,
        };
        running.offer_tls();
        running.service.registry.warn_of_plain_text();
        running.watch(Some(self.hash));
        running
    }
}

impl PreparedListener {
    pub(super) fn start(self, shared: &Shared, service: &Arc<Service>) -> RunningListener {
        let (intake, watched) = watch::channel(Intake::Open);
        if let Err(error) = self.handle.set_options() {
            tracing::warn!(
                "{}: its options and its mode stay as they were: {}",
                self.address,
                crate::os_error::message(&error)
            );
        }
        if let Some(limits) = &self.layers.limits {
            limits.take_effect();
        }
        let service = Arc::clone(service);
        let layers = Arc::clone(&self.layers);
        let accept_loop = (shared.accept)(self.socket, self.layers, service, watched);
        RunningListener {
            layers,
            options: self.options,
            address: self.address,
            handle: self.handle.clone(),
            intake,
            acceptor: tokio::spawn(async move {
                let _ = accept_loop.await;
                // Clients are refused from now on, unless another listener has taken the
                // socket over.
                self.handle.close();
            }),
        }
    }
}

pub(super) async fn read(
    guest: &Guest,
    max: usize,
) -> Result<(ComponentBytes, Source), StartError> {
    let path = match guest {
        Guest::BuiltIn => {
            return Ok((
                ComponentBytes::new(BUILT_IN.to_vec()),
                Source::BuiltIn(BUILT_IN_NAME),
            ));
        }
        Guest::Built { name, component } => {
            return Ok((component.clone(), Source::File(name.clone())));
        }
        Guest::File(path) => path,
    };
    match guest_file::read_in_time(path, max).await {
        Ok(component) => Ok((component, Source::File(path.clone()))),
        Err(error) => Err(StartError::Read {
            path: path.clone(),
            error,
        }),
    }
}

async fn open_store(
    place: Option<StorePlace>,
    limits: &Limits,
    reached: Arc<LimitCounters>,
) -> Result<Arc<dyn Store>, StartError> {
    Ok(match place {
        None => Arc::new(Memory::new(limits.store(), reached)),
        Some(StorePlace::File(file)) => {
            Arc::new(Memory::open(limits.store(), reached, file).await?)
        }
        Some(StorePlace::Nats(place)) => {
            let store = NatsStore::connect(place).await;
            Arc::new(store.map_err(StartError::StoreNats)?)
        }
    })
}

/// Take the address of a listener: from a handle that has it, or from the system.
pub(super) fn bind(
    listener: ServiceListener,
    guest: &[u8],
    handles: &mut Vec<&Handle>,
    tls: &mut TlsLayers,
) -> Result<BoundListener, StartError> {
    let address = match &listener.place {
        Place::OfGuest => {
            let own = crate::build::section(guest).and_then(|section| section.port);
            SocketAddr::from((Ipv4Addr::LOCALHOST, own.unwrap_or(DEFAULT_PORT))).into()
        }
        Place::At(address) => address.clone(),
        Place::Inherited(socket) => {
            let socket = listener::adopt(socket, listener.sockets)?;
            return BoundListener::new(listener, socket, tls, None);
        }
    };
    let held = handles.iter().position(|handle| handle.is_at(&address));
    let socket = match held {
        Some(held) => handles
            .swap_remove(held)
            .take_over(&address, listener.sockets)?,
        None => listener::bind(address, listener.sockets)?,
    };
    BoundListener::new(listener, socket, tls, None)
}

/// Call the guest's first event, in an instance that serves no connection.
async fn call_listening(
    sandbox: &Sandbox,
    guest: &Arc<CompiledGuest>,
    listeners: impl Iterator<Item = &ListenAddress>,
) -> Result<(), Fault> {
    let mut instance = sandbox.instantiate(guest, None, 1).await?;
    let listeners: Vec<_> = listeners.map(ListenAddress::endpoint).collect();
    instance.listening(&listeners).await
}
