//! Everything that can be said to a node before it starts, and why it may not
//! start.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hotsocket_sandbox::{
    CodeCacheDir, Compiler, ComponentBytes, Fault, Grants, LoadError, PoolLimits, Settings,
};
use tokio::sync::watch;

use super::BUILT_IN_NAME;
use crate::admin::{AdminError, AdminOptions};
use crate::control::server::ControlSocketError;
use crate::control::socket_path::SocketPathError;
use crate::limits::{LimitError, Limits};
use crate::listener::tls::{TlsError, TlsOptions};
use crate::listener::{BindError, Inherited, ListenAddress, ListenerOptions, SocketOptions};
use crate::nats::{NatsOptions, OptionsError};
use crate::registry::{Rules, SwapError};
use crate::store::{OpenError, StorePlace};
use crate::tap::TapLimits;

/// See the module's documentation. [`Default`] is one service with the built-in guest,
/// as on the command line without flags, but for [`Self::compiler`].
#[derive(Clone, Debug)]
pub struct Options {
    /// What is served; one at least.
    pub services: Vec<ServiceOptions>,
    pub control: Control,
    /// Where metrics and health are shown; nowhere if `None`.
    pub admin: Option<AdminOptions>,
    /// What bounds those who look at connections.
    pub taps: TapLimits,
    /// Where compiled code is kept.
    pub code_cache: CodeCacheDir,
    /// Where components are compiled. The command line's is a process of its own;
    /// the default is this one, as not every program can be run again for it.
    pub compiler: Compiler,
}

impl Default for Options {
    fn default() -> Self {
        ServiceOptions::default().into()
    }
}

impl From<ServiceOptions> for Options {
    /// A node with one service.
    fn from(service: ServiceOptions) -> Self {
        Options {
            services: vec![service],
            control: Control::default(),
            admin: None,
            taps: TapLimits::default(),
            code_cache: CodeCacheDir::default(),
            compiler: Compiler::default(),
        }
    }
}

/// One service: its guest, where its connections come from, and what holds for them.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// What people call it; after its guest if empty. See [`Self::name`].
    pub name: String,
    pub guest: Guest,
    /// Where connections come from.
    pub listeners: Vec<ServiceListener>,
    pub limits: Limits,
    pub grants: Grants,
    /// What guests get from `hotsocket:environment`.
    pub settings: Settings,
    /// Where the store is kept; in memory only if nowhere.
    pub store: Option<StorePlace>,
    /// Swap when the guest's file changes.
    pub watch: bool,
    /// Other nodes, for what connections say to each other.
    pub topics: Option<NatsOptions>,
    pub rules: Rules,
    /// Log a line for each connection when it is over.
    pub access_log: bool,
}

impl Default for ServiceOptions {
    /// One listener, on the guest's port, and every limit at its default.
    fn default() -> Self {
        ServiceOptions {
            name: String::new(),
            guest: Guest::default(),
            listeners: vec![ServiceListener::default()],
            limits: Limits::default(),
            grants: Grants::default(),
            settings: Settings::default(),
            store: None,
            watch: false,
            topics: None,
            rules: Rules::default(),
            access_log: false,
        }
    }
}

/// One place where the connections of a service come from. Made from an address, it has
/// the defaults of everything else.
#[derive(Clone, Debug, Default)]
pub struct ServiceListener {
    /// What people call it; empty if it has no name.
    pub name: String,
    pub place: Place,
    pub sockets: SocketOptions,
    /// What its connections go through before they have a session.
    pub layers: ListenerOptions,
}

/// What a listener listens on.
#[derive(Clone, Debug, Default)]
pub enum Place {
    /// The port that the guest names, or else [`DEFAULT_PORT`](super::DEFAULT_PORT), on
    /// this machine only.
    #[default]
    OfGuest,
    At(ListenAddress),
    /// A socket that listens already.
    Inherited(Inherited),
}

impl<A: Into<ListenAddress>> From<A> for ServiceListener {
    fn from(address: A) -> Self {
        ServiceListener {
            place: Place::At(address.into()),
            ..ServiceListener::default()
        }
    }
}

/// What a service serves at first.
#[derive(Clone, Debug, Default)]
pub enum Guest {
    /// [`BUILT_IN`](super::BUILT_IN), called `hello`.
    #[default]
    BuiltIn,
    /// The component in this file, which can be watched.
    File(PathBuf),
    /// A component that has been built already, called as its source is.
    Built {
        name: PathBuf,
        component: ComponentBytes,
    },
}

impl From<PathBuf> for Guest {
    fn from(path: PathBuf) -> Self {
        Guest::File(path)
    }
}

impl Options {
    /// `--max-connections` of each service, and how many descriptors one of its connections
    /// takes: an instance that uses WASI opens the directories that it may use.
    pub fn connections(&mut self) -> impl Iterator<Item = (&mut usize, usize)> {
        self.services.iter_mut().map(|service| {
            let each = 1 + service.grants.dirs.len();
            (&mut service.limits.max_connections, each)
        })
    }

    /// Check that every limit and setting is in its range, and that services can be
    /// told apart.
    ///
    /// # Errors
    /// Names the first thing that is wrong.
    pub fn validate(&self) -> Result<(), StartError> {
        if let Some(admin) = &self.admin {
            admin.limits.validate()?;
        }
        self.taps.validate()?;
        let mut names = BTreeSet::new();
        for service in &self.services {
            service.validate()?;
            if !names.insert(service.name()) {
                return Err(StartError::SameName(service.name()));
            }
        }
        match names.is_empty() {
            true => Err(StartError::NoService),
            false => Ok(()),
        }
    }

    /// What the pools of instances are made for: all services share them.
    pub fn pool(&self) -> PoolLimits {
        let pools = self.services.iter().map(|service| service.limits.pool());
        let shared = pools.reduce(|all, one| PoolLimits {
            max_connections: all.max_connections.saturating_add(one.max_connections),
            max_stack: all.max_stack.max(one.max_stack),
            max_table: all.max_table.max(one.max_table),
            keep_memory: all.keep_memory && one.keep_memory,
        });
        shared.unwrap_or_else(|| Limits::default().pool())
    }
}

impl ServiceOptions {
    /// What people call the service: after the file of its guest, where it has no name.
    pub fn name(&self) -> String {
        let of_file = |path: &Path| match path.file_stem() {
            Some(stem) => stem.to_string_lossy().into_owned(),
            None => path.display().to_string(),
        };
        match (self.name.as_str(), &self.guest) {
            ("", Guest::BuiltIn) => BUILT_IN_NAME.to_owned(),
            ("", Guest::File(path) | Guest::Built { name: path, .. }) => of_file(path),
            (name, _) => name.to_owned(),
        }
    }

    /// The files that it takes to serve it: the guest's, certificates, logins.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        if let Guest::File(path) = &self.guest {
            files.push(path.clone());
        }
        let tls = self
            .listeners
            .iter()
            .filter_map(|it| it.layers.tls.as_ref());
        files.extend(tls.flat_map(TlsOptions::files).map(Path::to_owned));
        let store = match &self.store {
            Some(StorePlace::Nats(place)) => Some(&place.server),
            Some(StorePlace::File(_)) | None => None,
        };
        for nats in self.topics.iter().chain(store) {
            files.extend(nats.credentials.iter().chain(&nats.ca).cloned());
        }
        files.sort();
        files.dedup();
        files
    }

    /// The file of its store, if it has one.
    pub(super) fn store_file(&self) -> Option<&Path> {
        match &self.store {
            Some(StorePlace::File(file)) => Some(&file.path),
            Some(StorePlace::Nats(_)) | None => None,
        }
    }

    /// Check that every limit and setting is in its range.
    ///
    /// # Errors
    /// Names the first one that isn't.
    pub fn validate(&self) -> Result<(), LimitError> {
        self.limits.validate()?;
        for listener in &self.listeners {
            listener.sockets.validate()?;
            listener.layers.validate(self.limits.handshake_timeout)?;
        }
        self.rules.validate()
    }
}

/// Where the control socket is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// Where the other commands look for it.
    #[default]
    Default,
    At(PathBuf),
    None,
}

/// The store in a file of a service that was removed. Another service can have it from
/// [`Self::closed`] on.
#[derive(Clone, Debug)]
pub struct ClosingStore {
    pub(super) path: PathBuf,
    /// The service's name.
    pub(super) of: String,
    /// Its sender is dropped when the store has been closed.
    pub(super) closed: watch::Receiver<()>,
}

impl ClosingStore {
    /// Wait until the store has been closed. Safe to cancel.
    pub async fn closed(&mut self) {
        while self.closed.changed().await.is_ok() {}
    }
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("a node needs a service")]
    NoService,
    #[error("the server drains")]
    Draining,
    #[error("two services are called {0}; give each a name of its own")]
    SameName(String),
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error("cannot read {}: {}{}", .path.display(), crate::os_error::message(.error), hint(.error))]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("cannot read the guest: no thread for it: {0}")]
    Thread(std::io::Error),
    #[error("{guest} {error}")]
    Load { guest: String, error: LoadError },
    #[error(transparent)]
    Compile(#[from] SwapError),
    #[error("{guest}: {fault}")]
    Listening { guest: String, fault: Fault },
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("--topics: {0}")]
    Topics(OptionsError),
    #[error("--store: {0}")]
    StoreNats(OptionsError),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(
        "service {by} has the store {} as long as it runs, so service {service} cannot have it: \
         to rename a service with a store, or to give its store to another one, restart the server",
        path.display()
    )]
    StoreInUse {
        path: PathBuf,
        by: String,
        service: String,
    },
    #[error(
        "service {}, which was removed, has the store {} until its connections are closed",
        .0.of, .0.path.display()
    )]
    StoreClosing(ClosingStore),
    #[error(transparent)]
    Control(#[from] ControlSocketError),
    #[error(transparent)]
    Admin(#[from] AdminError),
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
        _ => "",
    }
}
