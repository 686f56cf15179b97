//! The node: what there is once in a process. It has the engine pool, the
//! output, the control socket, and the services with their listeners.
//!
//! Starting is fail-fast: whatever can be wrong is found before the first
//! connection is accepted. Stopping is bounded: nothing waits longer than the
//! grace time.
//!
//! - [`options`]: what can be said to it
//! - [`start`]: from a service's options to one that can serve
//! - [`reload`]: to other options, while connections are open; [`same`]: what of them is
//!   there already
//! - [`running`]: a service that serves, and what ends with it
//! - [`mod@check`]: whether services could be served
//! - [`status`]: what the control socket and the admin address see of it

mod check;
mod options;
mod reload;
mod running;
mod same;
mod start;
mod status;

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hotsocket_sandbox::{EnginePool, PoolLimits};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout_at;

pub use check::check;
pub use options::{
    ClosingStore, Control, Guest, Options, Place, ServiceListener, ServiceOptions, StartError,
};

use crate::admin::{Admin, AdminError};
use crate::control::server::{self, ControlSocket};
use crate::control::socket_path::{self, SocketPathError};
use crate::drain::{Drain, Order};
use crate::listener::{self, ListenAddress, Listener, Listening, SocketOptions, Tcp};
use crate::output::Output;
use crate::registry::Registry;
use crate::service::{ConnectionIds, CutOff};
use crate::tap::Taps;
use running::RunningService;
use start::{BoundService, Shared};
use status::{Directory, NodeStatus};

/// The guest that is served when none is named…
pub const BUILT_IN: &[u8] = include_bytes!("../../../guest/prebuilt/hello.wasm");
/// …and what it is called.
const BUILT_IN_NAME: &str = "hello";

/// The port of a node and a guest that name none.
pub const DEFAULT_PORT: u16 = 3000;

/// For viewers of connections, to take the last of what there is to see.
const LAST_LOOK: Duration = Duration::from_millis(250);

/// A running node. [`Node::start`] it, and [`Node::shut_down`] in the end.
pub struct Node {
    /// One at least, in the order of the options.
    services: Vec<RunningService>,
    /// Of the first of them.
    first: Arc<Registry>,
    /// What the control socket sees of them.
    directory: Arc<Directory>,
    /// The control socket and what carries out a drain; aborted when the node stops.
    tasks: Vec<JoinHandle<()>>,
    drain: Arc<Drain>,
    /// What people look at connections with.
    taps: Arc<Taps>,
    /// Ends last, so that whoever asks meanwhile learns that the node stops.
    admin: Option<Admin>,
    /// What services have in common, for those that a reload adds.
    shared: Shared,
    /// What the pools of instances were made for.
    pool: PoolLimits,
    /// Services that a reload has removed, until their connections are closed.
    removed: JoinSet<CutOff>,
    /// The stores in files that those had.
    closing_stores: Vec<ClosingStore>,
    /// True when nobody waits for those connections any more.
    cut_removed: watch::Sender<bool>,
    /// Listeners that a reload has removed, until they accept no more.
    stopping: JoinSet<()>,
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
        wrap: impl Fn(Tcp) -> L + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        options.validate()?;
        let pool = options.pool();
        let mut bound = Vec::new();
        for service in options.services {
            bound.push(BoundService::bind(service, &mut Vec::new()).await?);
        }
        let control = bind_control(&options.control)?;
        let admin = options.admin.map(|admin| {
            let bound = listener::bind(admin.listen.clone(), SocketOptions::default());
            Admin::start(bound.map_err(AdminError::Bind)?, admin)
        });
        let admin = admin.transpose()?;
        let engines = EnginePool::new(
            pool.clone(),
            &options.code_cache,
            options.compiler,
            hotsocket_wasi::link,
        );
        let engines = engines.map_err(|error| StartError::Engine(error.to_string()))?;
        let shared = Shared {
            engines: Arc::new(engines),
            output: Arc::clone(&output),
            ids: ConnectionIds::default(),
            accept: Box::new(move |socket, layers, service, intake| match socket {
                Listening::Tcp(tcp) => {
                    tokio::spawn(listener::accept(wrap(tcp), layers, service, intake))
                }
                Listening::Unix(unix) => {
                    tokio::spawn(listener::accept(unix, layers, service, intake))
                }
            }),
        };
        let mut prepared = Vec::new();
        for service in bound {
            prepared.push(service.prepare(&shared).await?);
        }
        let services: Vec<_> = prepared
            .into_iter()
            .map(|service| service.start(&shared))
            .collect();
        let directory = Arc::new(Directory::default());
        directory.set(services.iter().map(RunningService::view).collect());
        let drain = Arc::<Drain>::default();
        let status = NodeStatus::new(
            Arc::clone(&directory),
            Arc::clone(&drain),
            output,
            admin.as_ref().map(Admin::access),
            options.taps,
        );
        let status = Arc::new(status);
        let taps = Arc::clone(status.taps());
        let mut tasks = vec![tokio::spawn(carry_out(
            Arc::clone(&drain),
            Arc::clone(&directory),
        ))];
        if let Some(control) = control {
            tracing::debug!("control socket {}", control.path().display());
            tasks.push(tokio::spawn(server::serve(control, Arc::clone(&status))));
        }
        if let Some(admin) = &admin {
            admin.set_node(status);
        }
        for service in &services {
            service.log_listening();
        }
        for service in &services {
            service.log_serving(services.len() > 1, began);
        }
        let first = services.first().ok_or(StartError::NoService)?;
        Ok(Node {
            first: Arc::clone(&first.service.registry),
            services,
            directory,
            tasks,
            drain,
            taps,
            admin,
            shared,
            pool,
            removed: JoinSet::new(),
            closing_stores: Vec::new(),
            cut_removed: watch::Sender::new(false),
            stopping: JoinSet::new(),
        })
    }

    /// The addresses that are listened on, with their real ports: those of the first
    /// service first.
    pub fn listeners(&self) -> Vec<ListenAddress> {
        let listeners = self.services.iter().flat_map(|service| &service.listeners);
        listeners.map(|listener| listener.address.clone()).collect()
    }

    /// The registry of the first service.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.first
    }

    /// Connections open now, of all services.
    pub fn connections(&self) -> usize {
        let services = self.services.iter();
        services.map(|service| service.service.roster.len()).sum()
    }

    /// How the node takes leave of its connections.
    pub fn drain(&self) -> &Arc<Drain> {
        &self.drain
    }

    /// Connections open at that time, with those in their handshake, of the services that
    /// there are then. None as soon as the node stops.
    pub fn left(&self) -> impl Fn() -> usize + use<> {
        let directory = Arc::clone(&self.directory);
        move || directory.left()
    }

    /// The same of the services that there are now, also while the node stops.
    pub fn left_while_stopping(&self) -> impl Fn() -> usize + use<> {
        let services = self.services.iter();
        let services: Vec<_> = services
            .map(|running| Arc::clone(&running.service))
            .collect();
        move || services.iter().map(|service| service.taken()).sum()
    }

    /// The longest grace time of the services.
    pub fn grace(&self) -> Duration {
        let services = self.services.iter();
        let times = services.map(|running| running.service.limits.load().grace);
        times.max().unwrap_or_default()
    }

    /// The longest linger time of the services.
    pub fn linger(&self) -> Duration {
        let services = self.services.iter();
        let times = services.map(|running| running.service.limits.load().linger);
        times.max().unwrap_or_default()
    }

    /// Stop accepting, close every connection, and wait for that at most the
    /// grace and linger times, and at most `within`.
    pub async fn shut_down(mut self, within: Duration) {
        for task in &self.tasks {
            task.abort();
        }
        let began = Instant::now();
        // So that whoever looks sees that no more connections are accepted.
        self.drain.begin(Order::new(Duration::ZERO, true));
        for service in &mut self.services {
            service.stop_accepting().await;
        }
        self.directory.set(Vec::new());
        let mut stopping = JoinSet::new();
        let longest = self.grace().saturating_add(self.linger());
        for service in self.services {
            stopping.spawn(service.shut_down(within, pending()));
        }
        let mut cut_off = CutOff::default();
        while let Some(stopped) = stopping.join_next().await {
            cut_off += stopped.unwrap_or_default();
        }
        // Those have their own times, which nobody waits for any more.
        let mut end = tokio::time::Instant::now()
            .checked_add(longest.min(within).saturating_sub(began.elapsed()));
        while !self.removed.is_empty() {
            let stopped = self.removed.join_next();
            let stopped = match end {
                Some(end) => timeout_at(end, stopped).await,
                None => Ok(stopped.await),
            };
            match stopped {
                Ok(stopped) => cut_off += stopped.and_then(Result::ok).unwrap_or_default(),
                Err(_) => {
                    self.cut_removed.send_replace(true);
                    end = None;
                }
            }
        }
        self.taps.finish(LAST_LOOK).await;
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
        drop(self.admin);
    }
}

/// Drain when it is asked for.
async fn carry_out(drain: Arc<Drain>, directory: Arc<Directory>) {
    let services = || {
        let named = directory.named().into_iter();
        named.map(|named| named.service).collect()
    };
    drain.run(services, || directory.stop_accepting()).await;
}

/// Where nobody has named a place for it, a server does without a control socket if
/// nothing can be created there, as in a container that is read-only.
fn bind_control(control: &Control) -> Result<Option<ControlSocket>, StartError> {
    let path = match control {
        Control::None => return Ok(None),
        Control::At(path) => return Ok(Some(ControlSocket::bind(path)?)),
        Control::Default => socket_path::for_this_process(),
    };
    let path = match path {
        Ok(path) => path,
        Err(SocketPathError::Create {
            path,
            reason,
            is_unwritable: true,
        }) => {
            log_no_control(&path, &reason);
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    match ControlSocket::bind(&path) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if error.is_unwritable() => {
            log_no_control(&path, &error.reason());
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn log_no_control(path: &Path, reason: &str) {
    tracing::warn!(
        kind = "control",
        "no control socket: cannot create {}: {reason}; `hotsocket swap` and other commands \
         can't reach this server without --control PATH, overwriting the guest's file swaps it",
        path.display()
    );
}
