//! A server: one guest behind its listeners, from start to the last byte.
//!
//! Starting is fail-fast: whatever can be wrong is found before the first
//! connection is accepted. Stopping is bounded: nothing waits longer than the
//! grace time.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::connection::{Context, Table};
use crate::control::protocol::{Connections, GenerationStatus, Status};
use crate::control::server::{AdminApi, ControlSocket};
use crate::control::socket_path::{self, SocketPathError};
use crate::limits::{LimitError, Limits};
use crate::listener::{self, BindError, SocketOptions, Wrap};
use crate::output::Output;
use crate::reached::Reached;
use crate::registry::{self, Generation, Registry, Rules, Source};
use crate::runtime::{CachePlace, Fault, Grants, LoadError, Runtime, component};

/// The guest that is served when none is named.
pub const BUILT_IN: &[u8] = include_bytes!("../../guest/prebuilt/hello.wasm");

/// The port of a server and a guest that name none.
pub const DEFAULT_PORT: u16 = 3000;

/// Everything that can be said to a server before it starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// The component to serve; the built-in `hello` if none.
    pub guest: Option<PathBuf>,
    /// If none, [`DEFAULT_PORT`] or the one that the guest names, on this
    /// machine only.
    pub listen: Vec<SocketAddr>,
    pub sockets: SocketOptions,
    pub limits: Limits,
    pub grants: Grants,
    /// Swap when the guest's file changes.
    pub watch: bool,
    pub control: Control,
    pub rules: Rules,
    /// Where compiled code is kept.
    pub code_cache: CachePlace,
    /// Put the connection's id before each guest line.
    pub label: bool,
}

impl Options {
    /// Check that every limit and setting is in its range.
    ///
    /// # Errors
    /// Names the first one that isn't.
    pub fn validate(&self) -> Result<(), LimitError> {
        self.limits.validate()?;
        self.sockets.validate()?;
        self.rules.validate()
    }
}

/// Where the control socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Where the other commands look for it.
    Default,
    At(PathBuf),
    None,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error("{} is neither a command nor a file; `hotsocket --help` lists the commands", .0.display())]
    NoCommand(PathBuf),
    #[error("cannot read {}: {}{}", .path.display(), crate::os_error::message(.error), hint(.error))]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("{guest} {error}")]
    Load { guest: String, error: LoadError },
    #[error(transparent)]
    Compile(#[from] registry::SwapError),
    #[error("{guest}: {fault}")]
    Listening { guest: String, fault: Fault },
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("{0}")]
    Control(String),
    #[error(transparent)]
    SocketPath(#[from] SocketPathError),
    #[error("cannot start the WebAssembly engine: {0}")]
    Engine(String),
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            "; name a guest's .wasm file, or none to serve the built-in one"
        }
        std::io::ErrorKind::IsADirectory => {
            "; name a guest's .wasm file (`hotsocket build DIR` makes one)"
        }
        _ => "",
    }
}

/// A running server.
pub struct Server {
    context: Arc<Context>,
    registry: Arc<Registry>,
    listeners: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    acceptors: Vec<JoinHandle<()>>,
    /// Stopped when the server is.
    attendants: Vec<JoinHandle<()>>,
}

impl Server {
    /// Start and accept connections. `began` is when the process did, for the
    /// log.
    ///
    /// # Errors
    /// Tells the first thing that is wrong; then nothing has been accepted.
    pub async fn start(
        options: Options,
        output: Arc<Output>,
        began: Instant,
    ) -> Result<Self, StartError> {
        Self::start_with(options, output, began, listener::plain()).await
    }

    /// The same, with something between the drivers and their sockets.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(
        options: Options,
        output: Arc<Output>,
        began: Instant,
        wrap: Wrap,
    ) -> Result<Self, StartError> {
        let guest = read_guest(options.guest.as_deref(), options.limits.max_component)?;
        Self::start_on(guest, options, output, began, wrap).await
    }

    /// The same with a guest that has been read already; that of the options
    /// is only watched.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_on(
        (bytes, source): (Vec<u8>, Source),
        options: Options,
        output: Arc<Output>,
        began: Instant,
        wrap: Wrap,
    ) -> Result<Self, StartError> {
        options.validate()?;
        let is_built_in = matches!(source, Source::BuiltIn(_));
        let sockets = addresses(&options.listen, &bytes)
            .iter()
            .map(|address| listener::bind(*address, options.sockets))
            .collect::<Result<Vec<_>, _>>()?;
        let control = bind_control(&options.control)?;
        let listeners: Vec<_> = sockets
            .iter()
            .filter_map(|socket| socket.local_addr().ok())
            .collect();

        let limits = Arc::new(options.limits);
        let runtime = Runtime::new(
            Arc::clone(&limits),
            options.grants,
            output,
            options.label,
            &options.code_cache,
        )
        .map_err(|error| StartError::Engine(format!("{error:#}")))?;
        let runtime = Arc::new(runtime);
        let guest = source.to_string();
        let code = registry::compile(&runtime, bytes, &guest, None).await?;
        runtime
            .try_out(&code)
            .await
            .map_err(|error| StartError::Load {
                guest: guest.clone(),
                error,
            })?;
        let hash = code.hash;
        tell_listening(&runtime, &code, &listeners)
            .await
            .map_err(|fault| StartError::Listening {
                guest: guest.clone(),
                fault,
            })?;

        let table = Arc::<Table>::default();
        let registry = Arc::new(Registry::new(
            Arc::clone(&runtime),
            Arc::clone(&table),
            code,
            source,
            options.rules,
        ));
        let orders = Arc::clone(registry.orders());
        let context = Arc::new(Context::new(runtime, orders, table, limits));
        let mut server = Server {
            context,
            registry,
            listeners,
            stop: watch::channel(false).0,
            acceptors: Vec::new(),
            attendants: Vec::new(),
        };
        let guarded = Arc::clone(&server.registry);
        server
            .attendants
            .push(tokio::spawn(async move { guarded.guard().await }));
        let watched = options.guest.filter(|_| options.watch);
        if let Some(path) = &watched {
            let watching = registry::watch(Arc::clone(&server.registry), path.clone(), hash);
            server.attendants.push(tokio::spawn(watching));
        }
        if let Some(control) = control {
            tracing::debug!("control socket {}", control.path().display());
            let subject = server.subject(watched.as_deref());
            server.attendants.push(tokio::spawn(control.serve(subject)));
        }
        for socket in sockets {
            let (context, stop) = (Arc::clone(&server.context), server.stop.subscribe());
            let acceptor = listener::accept(socket, context, stop, Arc::clone(&wrap));
            server.acceptors.push(tokio::spawn(acceptor));
        }
        for address in &server.listeners {
            tracing::info!("listening on {address}");
        }
        tracing::info!(
            "serving {guest}, generation 1 ({hash:.12}), ready in {} ms{}",
            began.elapsed().as_millis(),
            match (&watched, is_built_in) {
                (Some(_), _) => "; overwrite the file to swap",
                (None, true) => "; `hotsocket swap FILE.wasm` replaces it",
                (None, false) => "",
            }
        );
        Ok(server)
    }

    fn subject(&self, watched: Option<&Path>) -> Arc<Desk> {
        Arc::new(Desk {
            context: Arc::clone(&self.context),
            registry: Arc::clone(&self.registry),
            listeners: self.listeners.clone(),
            watching: watched.map(|path| {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
                path.display().to_string()
            }),
            started: Instant::now(),
        })
    }

    /// The addresses that are listened on, with their real ports.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.context.table.len()
    }

    /// Stop accepting, tell every connection, and wait until they have ended,
    /// at most the grace and linger times.
    pub async fn shut_down(self) {
        for attendant in &self.attendants {
            attendant.abort();
        }
        self.stop.send_replace(true);
        for acceptor in self.acceptors {
            let _ = acceptor.await;
        }
        let limits = &self.context.limits;
        let deadline = Instant::now() + limits.grace + limits.linger + Duration::from_millis(200);
        self.context.orders.stop();
        self.context.table.wake_all();
        loop {
            let gone = self.context.table.gone.notified();
            let left = deadline.saturating_duration_since(Instant::now());
            if self.context.table.is_empty() || left.is_zero() {
                break;
            }
            let _ = tokio::time::timeout(left, gone).await;
        }
        match self.context.table.len() {
            0 => tracing::info!("stopped"),
            open => {
                tracing::warn!("stopped with {open} connections cut off: their peers took nothing")
            }
        }
    }
}

fn read_guest(path: Option<&Path>, max: usize) -> Result<(Vec<u8>, Source), StartError> {
    match path {
        None => Ok((BUILT_IN.to_vec(), Source::BuiltIn("hello"))),
        Some(path) => match component::read(path, max) {
            Ok(bytes) => Ok((bytes, Source::File(path.to_owned()))),
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    && path.components().count() == 1
                    && path.extension().is_none() =>
            {
                Err(StartError::NoCommand(path.to_owned()))
            }
            Err(error) => Err(StartError::Read {
                path: path.to_owned(),
                error,
            }),
        },
    }
}

fn addresses(named: &[SocketAddr], guest: &[u8]) -> Vec<SocketAddr> {
    if !named.is_empty() {
        return named.to_vec();
    }
    let own = crate::build::section(guest).and_then(|section| section.port);
    vec![(Ipv4Addr::LOCALHOST, own.unwrap_or(DEFAULT_PORT)).into()]
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

/// The guest's first event, in an instance that serves no connection.
async fn tell_listening(
    runtime: &Runtime,
    code: &Arc<crate::runtime::Code>,
    listeners: &[SocketAddr],
) -> Result<(), Fault> {
    let mut instance = runtime.instantiate(code, None).await?;
    instance.listening(listeners).await
}

/// What the control socket sees of the server.
struct Desk {
    context: Arc<Context>,
    registry: Arc<Registry>,
    listeners: Vec<SocketAddr>,
    watching: Option<String>,
    started: Instant,
}

impl AdminApi for Desk {
    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn max_component(&self) -> usize {
        self.context.limits.max_component
    }

    fn reached(&self) -> &Reached {
        &self.context.runtime.reached
    }

    fn status(&self) -> Status {
        let active = self.registry.orders().active();
        let counters = &self.context.counters;
        let reached = &self.context.runtime.reached;
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: self.started.elapsed().as_secs(),
            listeners: self.listeners.iter().map(ToString::to_string).collect(),
            guest: active.source.to_string(),
            generation: active.number,
            sha256: active.code.hash.to_string(),
            watching: self.watching.clone(),
            connections: Connections {
                open: self.context.table.len(),
                limit: self.context.limits.max_connections,
                accepted: counters.accepted.load(Ordering::Relaxed),
                refused: counters.refused.load(Ordering::Relaxed),
                faults: counters.faults.load(Ordering::Relaxed),
                restarts: counters.restarts.load(Ordering::Relaxed),
                asleep: counters.asleep.load(Ordering::Relaxed),
                hibernated: counters.hibernated.load(Ordering::Relaxed),
                woken: counters.woken.load(Ordering::Relaxed),
            },
            generations: self.generations(active.number),
            limits_reached: reached
                .all()
                .map(|(name, count)| (name.to_owned(), count))
                .collect(),
            dropped_lines: self.context.runtime.dropped_lines(),
        }
    }
}

impl Desk {
    fn generations(&self, active: u64) -> Vec<GenerationStatus> {
        let history = self.registry.history();
        let status = |generation: &Arc<Generation>| {
            let number = generation.number;
            let record = history.iter().find(|record| record.generation == number);
            GenerationStatus {
                number,
                guest: generation.source.to_string(),
                sha256: generation.code.hash.to_string(),
                active: number == active,
                connections: generation.connections(),
                migrated: record.map_or(0, |record| record.migrated),
                failed: record.map_or(0, |record| record.failed),
                age_s: generation.accepted.elapsed().map_or(0, |age| age.as_secs()),
            }
        };
        self.registry.generations().iter().map(status).collect()
    }
}
