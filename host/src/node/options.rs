//! Everything that can be said to a node before it starts, and why it may not
//! start.

use std::path::PathBuf;

use hotsocket_sandbox::{CodeCacheDir, Compiler, Fault, Grants, LoadError, Settings};

use crate::control::socket_path::SocketPathError;
use crate::limits::{LimitError, Limits};
use crate::listener::tls::TlsError;
use crate::listener::{BindError, Inherited, ListenAddress, ListenerOptions, SocketOptions};
use crate::nats::{NatsOptions, OptionsError};
use crate::registry::{Rules, SwapError};
use crate::store::{OpenError, StorePlace};

/// See the module's documentation. [`Default`] is what the command line is
/// without flags, with no guest's file to watch, and but for [`Self::compiler`].
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The component to serve; the built-in `hello` if none.
    pub guest: Option<PathBuf>,
    /// If none, [`DEFAULT_PORT`](super::DEFAULT_PORT) or the one that the guest
    /// names, on this machine only.
    pub listen: Vec<ListenAddress>,
    /// Sockets that listen already, in addition; with one, there is no default address.
    pub inherited: Vec<Inherited>,
    pub sockets: SocketOptions,
    /// How each listener treats what it accepts.
    pub listener: ListenerOptions,
    pub limits: Limits,
    pub grants: Grants,
    /// What guests are told by `hotsocket:environment`.
    pub settings: Settings,
    /// Where the store is kept; in memory only if nowhere.
    pub store: Option<StorePlace>,
    /// Swap when the guest's file changes.
    pub watch: bool,
    pub control: Control,
    /// Other nodes, for what connections say to each other.
    pub topics: Option<NatsOptions>,
    pub rules: Rules,
    /// Log a line for each connection when it is over.
    pub access_log: bool,
    /// Where compiled code is kept.
    pub code_cache: CodeCacheDir,
    /// Where components are compiled. The command line's is a process of its own;
    /// the default is this one, as not every program can be run again for it.
    pub compiler: Compiler,
}

impl Options {
    /// Check that every limit and setting is in its range.
    ///
    /// # Errors
    /// Names the first one that isn't.
    pub fn validate(&self) -> Result<(), LimitError> {
        self.limits.validate()?;
        self.sockets.validate()?;
        self.listener.validate()?;
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

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
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
        _ => "",
    }
}
