//! All of a server but its listeners: the sandbox that guests run in, and what
//! they and the host say.
//!
//! Owns what all scripts of a call share. Each script gets a registry and a
//! table of its own from it, in [`super::play`].

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::build;
use crate::dev::{Project, ProjectError};
use crate::limits::{Limits, OnTrap};
use crate::output::Output;
use crate::runtime::{CachePlace, Code, Grants, LoadError, Runtime};

/// How long the threads that write what guests print may take for it.
const WRITTEN: Duration = Duration::from_secs(10);
/// What is kept of each kind of line; a guest that prints more is cut off.
const MAX_HEARD: usize = 16 << 20;
/// Instances that one script may need, with those that take over.
const CONNECTIONS: usize = 256;

/// What can be said to all scripts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a step waits for what it expects, on the script's clock.
    pub timeout: Duration,
    pub on_trap: OnTrap,
    /// How long a connection must be quiet before its instance hibernates.
    pub hibernate_after: Option<Duration>,
    pub code_cache: CachePlace,
}

/// Why a guest cannot be had a conversation with.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error("cannot read {}: {}", .path.display(), crate::os_error::message(.error))]
    Read { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Source(#[from] ProjectError),
    #[error(transparent)]
    Build(#[from] build::Error),
    #[error("{} {error}", .path.display())]
    Load { path: PathBuf, error: LoadError },
    #[error("cannot start: {0}")]
    Start(String),
}

/// A guest that has been compiled and tried.
#[derive(Clone)]
pub struct Guest {
    pub(super) code: Arc<Code>,
    pub(super) name: String,
    /// That it would listen on.
    pub(super) port: Option<u16>,
}

/// See the module's documentation.
pub struct Stage {
    pub(super) runtime: Arc<Runtime>,
    pub(super) limits: Arc<Limits>,
    pub(super) timeout: Duration,
    pub(super) heard: Heard,
}

impl Stage {
    /// Takes the log of the whole process; there is one stage in it.
    ///
    /// # Errors
    /// When the machine has no room for the sandbox.
    pub fn new(settings: Settings) -> Result<Self, StageError> {
        let limits = Arc::new(Limits {
            max_connections: CONNECTIONS,
            on_trap: settings.on_trap,
            hibernate_after: settings.hibernate_after,
            ..Limits::default()
        });
        let heard = Heard::start()?;
        let runtime = Runtime::new(
            Arc::clone(&limits),
            Grants::default(),
            Arc::clone(&heard.output),
            false,
            &settings.code_cache,
        )
        .map_err(|error| StageError::Start(format!("{error:#}")))?;
        Ok(Stage {
            runtime: Arc::new(runtime),
            limits,
            timeout: settings.timeout,
            heard,
        })
    }

    /// Make a guest of a file: a component, or the source of one.
    ///
    /// # Errors
    /// When it cannot be built, or is no guest.
    pub fn load(&self, path: &Path) -> Result<Guest, StageError> {
        let bytes = component(path)?;
        let load = |error| StageError::Load {
            path: path.to_owned(),
            error,
        };
        let code = self.runtime.compile(&bytes).map_err(load)?;
        let waits = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        waits
            .map_err(|error| StageError::Start(error.to_string()))?
            .block_on(self.runtime.try_out(&code))
            .map_err(load)?;
        Ok(Guest {
            code,
            name: path.display().to_string(),
            port: build::section(&bytes).and_then(|section| section.port),
        })
    }
}

/// The component in a file, or the one that is built from it.
fn component(path: &Path) -> Result<Vec<u8>, StageError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| StageError::Read {
            path: path.to_owned(),
            error,
        })
    };
    if path.is_file() && path.extension().is_none_or(|extension| extension == "wasm") {
        return read(path);
    }
    read(&build::cached(&Project::find(path)?.source)?)
}

/// What guests print, and the host's log.
pub(super) struct Heard {
    output: Arc<Output>,
    stdout: Ear,
    stderr: Ear,
    log: Ear,
}

impl Heard {
    fn start() -> Result<Self, StageError> {
        let (stdout, stderr, log) = (Ear::default(), Ear::default(), Ear::default());
        let output = Output::to(stdout.clone(), stderr.clone(), (false, false))
            .map_err(|error| StageError::Start(format!("no thread: {error}")))?;
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::INFO)
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(log.clone());
        // A second stage of one process has no log.
        let _ = tracing::subscriber::set_global_default(subscriber.finish());
        Ok(Heard {
            output,
            stdout,
            stderr,
            log,
        })
    }

    /// Lines that guests have printed to standard output since the last
    /// [`Self::forget`].
    pub fn printed(&self) -> Vec<String> {
        self.output.flush(WRITTEN);
        self.stdout.lines()
    }

    /// The same for standard error.
    pub fn complained(&self) -> Vec<String> {
        self.output.flush(WRITTEN);
        self.stderr.lines()
    }

    /// The same for the host's log.
    pub fn logged(&self) -> Vec<String> {
        self.log.lines()
    }

    pub fn forget(&self) {
        self.output.flush(WRITTEN);
        for ear in [&self.stdout, &self.stderr, &self.log] {
            ear.0.lock().clear();
        }
    }
}

/// Keeps what is written to it.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<u8>>>);

impl Ear {
    fn lines(&self) -> Vec<String> {
        let heard = self.0.lock();
        let text = String::from_utf8_lossy(&heard);
        text.lines().map(str::to_owned).collect()
    }
}

impl Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut heard = self.0.lock();
        if heard.len() + bytes.len() <= MAX_HEARD {
            heard.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Ear {
    type Writer = Ear;

    fn make_writer(&self) -> Ear {
        self.clone()
    }
}
