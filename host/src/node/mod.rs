//! The node: what there is once in a process. It has the engine pool, the
//! output, the control socket and, for now, one service with its listeners.
//!
//! Starting is fail-fast: whatever can be wrong is found before the first
//! connection is accepted. Stopping is bounded: nothing waits longer than the
//! grace time.
//!
//! - [`options`]: what can be said to it
//! - [`status`]: what the control socket sees of it

mod options;
mod status;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hotsocket_sandbox::limit_counters::LimitCounters;
use hotsocket_sandbox::{CompiledGuest, ComponentBytes, EnginePool, Environment, Fault, Sandbox};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use options::{Control, Options, StartError};

use crate::control::server::{self, ControlSocket};
use crate::control::socket_path;
use crate::guest_file;
use crate::limits::Limits;
use crate::listener::tls::Tls;
use crate::listener::{self, Bound, Layers, ListenAddress, Listener, Listening, Tcp};
use crate::nats::NatsOptions;
use crate::output::Output;
use crate::registry::{self, Registry};
use crate::rollout::Source;
use crate::service::{ConnectionIds, Service};
use crate::store::{Memory, NatsStore, Store, StorePlace};
use crate::topics::nats::Link;
use status::NodeStatus;

/// The guest that is served when none is named.
pub const BUILT_IN: &[u8] = include_bytes!("../../../guest/prebuilt/hello.wasm");

/// The port of a node and a guest that name none.
pub const DEFAULT_PORT: u16 = 3000;

/// How long writing the last changes to the store's file may take when the node stops.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// A running node. [`Node::start`] it, and [`Node::shut_down`] in the end.
pub struct Node {
    service: Arc<Service>,
    store: Arc<dyn Store>,
    listeners: Vec<ListenAddress>,
    /// True once no more connections shall be accepted.
    stop: watch::Sender<bool>,
    /// The accept loops; they end when they see `stop`.
    acceptors: Vec<JoinHandle<()>>,
    /// The control socket, the watch of the guest's file and what undoes bad
    /// swaps; aborted when the node stops.
    tasks: Vec<JoinHandle<()>>,
    /// To other nodes, with `--topics`.
    link: Option<Link>,
}

impl Node {
    /// Start and accept connections. `began` is when the process did, for the
    /// log.
    ///
    /// Compiling may take long. If the future is dropped meanwhile, nothing is left
    /// but a thread, which ends with its compilation.
    ///
    /// # Errors
    /// Reports the first thing that is wrong; then nothing has been accepted.
    pub async fn start(
        options: Options,
        output: Arc<Output>,
        began: Instant,
    ) -> Result<Self, StartError> {
        Self::start_with(options, output, began, |listener| listener).await
    }

    /// The same, with each listener wrapped in another one.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with<L: Listener>(
        options: Options,
        output: Arc<Output>,
        began: Instant,
        wrap: impl Fn(Tcp) -> L,
    ) -> Result<Self, StartError> {
        let guest = read_guest(options.guest.as_deref(), options.limits.max_component).await?;
        Self::start_on(guest, options, output, began, wrap).await
    }

    /// The same with a guest that has been read already; that of the options
    /// is only watched.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_on<L: Listener>(
        (component, source): (ComponentBytes, Source),
        mut options: Options,
        output: Arc<Output>,
        began: Instant,
        wrap: impl Fn(Tcp) -> L,
    ) -> Result<Self, StartError> {
        options.validate()?;
        let topics = options
            .topics
            .take()
            .map(NatsOptions::prepare)
            .transpose()
            .map_err(StartError::Topics)?;
        let tls = options.listener.tls.take();
        let tls = tls.map(|tls| Tls::load(tls, options.limits.max_handshakes).map(Arc::new));
        let tls = tls.transpose()?;
        let is_built_in = matches!(source, Source::BuiltIn(_));
        let guest = source.to_string();
        let bound = bind_all(&options, component.bytes())?;
        let control = bind_control(&options.control)?;
        let listeners: Vec<_> = bound.iter().map(|bound| bound.address().clone()).collect();
        let inherited = options.inherited.iter();
        let names: Vec<_> = inherited.map(|socket| socket.name.clone()).collect();
        let limits = Arc::new(options.limits);
        let engines = EnginePool::new(
            limits.pool(),
            &options.code_cache,
            options.compiler,
            hotsocket_wasi::link,
        );
        let engines = engines.map_err(|error| StartError::Engine(error.to_string()))?;
        let sandbox = Arc::new(Sandbox::new(
            Arc::new(engines),
            limits.sandbox(),
            options.grants,
            Environment::new(options.settings),
            Arc::clone(&output) as _,
        ));
        let reached = Arc::clone(sandbox.limit_counters());
        let store = open_store(options.store, &limits, reached).await?;
        sandbox.set_store(Arc::clone(&store) as _);
        let compiled = registry::compile(&sandbox, component, &guest, None).await?;
        let hash = compiled.hash;
        // Whoever connects as soon as the guest says that it listens must not be
        // refused.
        let sockets = bound.into_iter().map(Bound::listen);
        let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
        call_listening(&sandbox, &compiled, &listeners)
            .await
            .map_err(|fault| StartError::Listening {
                guest: guest.clone(),
                fault,
            })?;
        let ids = ConnectionIds::default();
        let service = Service::new(
            sandbox,
            compiled,
            source,
            options.rules,
            limits,
            ids,
            options.access_log,
        );

        let link = match &topics {
            Some(options) => {
                let link = Link::start(options, &service.topics).await;
                Some(link.map_err(StartError::Topics)?)
            }
            None => None,
        };
        let mut node = Node {
            link,
            service,
            store: store.clone(),
            listeners,
            stop: watch::channel(false).0,
            acceptors: Vec::new(),
            tasks: Vec::new(),
        };
        let registry = Arc::clone(node.registry());
        node.tasks
            .push(tokio::spawn(async move { registry.undo_bad_swaps().await }));
        let watched = options.guest.filter(|_| options.watch);
        if let Some(path) = &watched {
            let watching = registry::watch(Arc::clone(node.registry()), path.clone(), hash);
            node.tasks.push(tokio::spawn(watching));
        }
        if let Some(control) = control {
            tracing::debug!("control socket {}", control.path().display());
            let status = NodeStatus::new(
                Arc::clone(&node.service),
                output,
                node.listeners.clone(),
                watched.as_deref(),
                store,
            );
            node.tasks
                .push(tokio::spawn(server::serve(control, Arc::new(status))));
        }
        if let Some(tls) = &tls {
            node.tasks.push(tokio::spawn(tls.reload()));
        }
        for (number, socket) in sockets.into_iter().enumerate() {
            let (service, stop) = (Arc::clone(&node.service), node.stop.subscribe());
            let name = names.get(number).filter(|name| !name.is_empty());
            let name = name.map(|name| Arc::from(name.as_str()));
            let tls = match socket {
                Listening::Tcp(_) => tls.clone(),
                Listening::Unix(_) => None,
            };
            let layers = Layers::new(&options.listener, name, tls, &service.limit_counters);
            let layers = Arc::new(layers);
            node.acceptors.push(match socket {
                Listening::Tcp(tcp) => {
                    tokio::spawn(listener::accept(wrap(tcp), layers, service, stop))
                }
                Listening::Unix(unix) => {
                    tokio::spawn(listener::accept(unix, layers, service, stop))
                }
            });
        }
        let mut names = names.into_iter();
        for address in &node.listeners {
            let name = names.next().filter(|name| !name.is_empty());
            tracing::info!(
                kind = "listening",
                %address,
                name,
                "listening on {address}{}",
                name.as_ref().map_or(String::new(), |name| format!(" ({name})"))
            );
        }
        let ready_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            kind = "serving",
            guest,
            generation = 1,
            sha256 = hash.to_string(),
            ready_ms,
            "serving {guest}, generation 1 ({hash:.12}), ready in {ready_ms} ms{}",
            match (&watched, is_built_in) {
                (Some(_), _) => "; overwrite the file to swap",
                (None, true) => "; `hotsocket swap FILE.wasm` replaces it",
                (None, false) => "",
            }
        );
        Ok(node)
    }

    /// The addresses that are listened on, with their real ports.
    pub fn listeners(&self) -> &[ListenAddress] {
        &self.listeners
    }

    pub fn registry(&self) -> &Arc<Registry> {
        &self.service.registry
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.service.roster.len()
    }

    /// Stop accepting, close every connection, and wait for that at most the
    /// grace and linger times.
    pub async fn shut_down(self) {
        for task in &self.tasks {
            task.abort();
        }
        self.stop.send_replace(true);
        for acceptor in self.acceptors {
            let _ = acceptor.await;
        }
        let cut_off = self.service.shut_down().await;
        // Wills are the last that is published.
        if let Some(link) = self.link {
            link.stop().await;
        }
        if timeout(STORE_TIMEOUT, self.store.close()).await.is_err() {
            tracing::error!(
                kind = "store",
                "the store's last changes are not in its file"
            );
        }
        match cut_off.total() {
            0 => tracing::info!(kind = "stopped", cut_off = 0, "stopped"),
            total => tracing::warn!(
                kind = "stopped",
                cut_off = total,
                by_guest = cut_off.guest,
                by_peer = cut_off.flush + cut_off.peer_end,
                "stopped with {total} connections cut off: {cut_off}"
            ),
        }
    }
}

async fn read_guest(
    path: Option<&Path>,
    max: usize,
) -> Result<(ComponentBytes, Source), StartError> {
    let Some(path) = path else {
        return Ok((
            ComponentBytes::new(BUILT_IN.to_vec()),
            Source::BuiltIn("hello"),
        ));
    };
    match guest_file::read_in_time(path, max).await {
        Ok(component) => Ok((component, Source::File(path.to_owned()))),
        Err(error) => Err(StartError::Read {
            path: path.to_owned(),
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

fn bind_all(options: &Options, guest: &[u8]) -> Result<Vec<Bound>, StartError> {
    let adopt = |socket| listener::adopt(socket, options.sockets);
    let mut bound = options
        .inherited
        .iter()
        .map(adopt)
        .collect::<Result<Vec<_>, _>>()?;
    let mut addresses = options.listen.clone();
    if addresses.is_empty() && bound.is_empty() {
        let own = crate::build::section(guest).and_then(|section| section.port);
        let port = own.unwrap_or(DEFAULT_PORT);
        addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()];
    }
    for address in addresses {
        bound.push(listener::bind(address, options.sockets)?);
    }
    Ok(bound)
}

fn bind_control(control: &Control) -> Result<Option<ControlSocket>, StartError> {
    let path = match control {
        Control::None => return Ok(None),
        Control::At(path) => path.clone(),
        Control::Default => socket_path::for_this_process()?,
    };
    ControlSocket::bind(&path)
        .map(Some)
        .map_err(StartError::Control)
}

/// Call the guest's first event, in an instance that serves no connection.
async fn call_listening(
    sandbox: &Sandbox,
    guest: &Arc<CompiledGuest>,
    listeners: &[ListenAddress],
) -> Result<(), Fault> {
    let mut instance = sandbox.instantiate(guest, None, 1).await?;
    let listeners: Vec<_> = listeners.iter().map(ListenAddress::endpoint).collect();
    instance.listening(&listeners).await
}
