//! What all scripts of a run share: the sandbox that guests run in, and what
//! they and the host print, captured.
//!
//! Each script gets a service of its own from it, in [`super::runner`].

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hotsocket_sandbox::{
    self as sandbox, CodeCacheDir, CompiledGuest, Compiler, ComponentBytes, EnginePool, Grants,
    LoadError, Sandbox,
};
use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::build;
use crate::guest_file;
use crate::limits::{Limits, WhenFull};
use crate::log::{Clock, Text};
use crate::output::{GuestLines, Output};
use crate::store::Memory;

/// How long the threads that write guests' lines may take to flush.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that are kept of each kind of line; more are dropped.
const MAX_CAPTURED: usize = 16 << 20;
/// Instances that one script may need, with successors.
const CONNECTIONS: usize = 256;

/// What holds for all scripts of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a step waits for what it expects, on the script's clock.
    pub timeout: Duration,
    /// The number of connections is not taken from them.
    pub limits: Limits,
    pub compiler: Compiler,
    /// What guests get from `hotsocket:environment` at the beginning of a script.
    pub guest_settings: sandbox::Settings,
    pub code_cache: CodeCacheDir,
}

/// Why no script can be run.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    #[error("cannot read {}: {}", .path.display(), crate::os_error::message(.error))]
    Read { path: PathBuf, error: io::Error },
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
    pub(super) compiled: Arc<CompiledGuest>,
    pub(super) name: String,
    /// The port that it names, if it does.
    pub(super) port: Option<u16>,
}

/// See the module's documentation.
pub struct Environment {
    pub(super) sandbox: Arc<Sandbox>,
    /// Empty at the beginning of each script.
    pub(super) store: Memory,
    pub(super) limits: Arc<Limits>,
    pub(super) timeout: Duration,
    pub(super) guest_settings: sandbox::Settings,
    pub(super) captured: Captured,
    /// A script that has timed out still runs and uses this environment, so no other may.
    pub(super) is_in_use: AtomicBool,
}

impl Environment {
    /// Captures the log of the whole process, so a process has one environment.
    ///
    /// # Errors
    /// When the sandbox cannot be created.
    pub fn new(settings: Settings) -> Result<Self, EnvironmentError> {
        let limits = Arc::new(Limits {
            max_connections: CONNECTIONS,
            when_full: WhenFull::Refuse,
            ..settings.limits
        });
        let captured = Captured::start()?;
        let engines = EnginePool::new(
            limits.pool(),
            &settings.code_cache,
            settings.compiler,
            hotsocket_wasi::link,
        );
        let engines = engines.map_err(|error| EnvironmentError::Start(error.to_string()))?;
        let sandbox = Sandbox::new(
            Arc::new(engines),
            limits.sandbox(),
            Grants::default(),
            sandbox::Environment::reproducible(),
            Arc::clone(&captured.output) as _,
        );
        let store = Memory::new(limits.store(), Arc::clone(sandbox.limit_counters()));
        sandbox.set_store(Arc::new(store.clone()));
        Ok(Environment {
            store,
            sandbox: Arc::new(sandbox),
            limits,
            timeout: settings.timeout,
            guest_settings: settings.guest_settings,
            captured,
            is_in_use: AtomicBool::new(false),
        })
    }

    /// Load a guest from a file: a component, or a source to build.
    ///
    /// # Errors
    /// When it cannot be built, or is not a guest.
    pub fn load(&self, path: &Path) -> Result<Guest, EnvironmentError> {
        let component = ComponentBytes::new(component(path)?);
        let load = |error| EnvironmentError::Load {
            path: path.to_owned(),
            error,
        };
        let compiled = self.sandbox.compile(&component).map_err(load)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime
            .map_err(|error| EnvironmentError::Start(error.to_string()))?
            .block_on(self.sandbox.try_out(&compiled))
            .map_err(load)?;
        Ok(Guest {
            compiled,
            name: build::find(path)
                .map_or_else(|_| path.to_owned(), |source| source.name)
                .display()
                .to_string(),
            port: build::section(component.bytes()).and_then(|section| section.port),
        })
    }
}

/// The component in a file, or the one that is built from it.
fn component(path: &Path) -> Result<Vec<u8>, EnvironmentError> {
    let read = |path: &Path| {
        let max = Limits::default().max_component;
        guest_file::read(path, max).map_err(|error| EnvironmentError::Read {
            path: path.to_owned(),
            error,
        })
    };
    let is_file = path.exists() && !path.is_dir();
    if is_file && path.extension().is_none_or(|extension| extension == "wasm") {
        return read(path);
    }
    read(&build::cached(path)?)
}

/// What guests print, and the host's log.
pub(super) struct Captured {
    output: Arc<Output>,
    stdout: CaptureBuffer,
    stderr: CaptureBuffer,
    log: CaptureBuffer,
}

impl Captured {
    fn start() -> Result<Self, EnvironmentError> {
        let (stdout, stderr, log) = (
            CaptureBuffer::default(),
            CaptureBuffer::default(),
            CaptureBuffer::default(),
        );
        let output = Output::to(
            stdout.clone(),
            stderr.clone(),
            (false, false),
            GuestLines::Plain,
        )
        .map_err(|error| EnvironmentError::Start(format!("no thread: {error}")))?;
        let text = Text(Clock::None);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::INFO)
            .with_ansi(false)
            .event_format(text)
            .fmt_fields(text)
            .with_writer(log.clone());
        // A second environment of one process has no log.
        let _ = tracing::subscriber::set_global_default(subscriber.finish());
        Ok(Captured {
            output,
            stdout,
            stderr,
            log,
        })
    }

    /// Lines that guests have printed to standard output since the last
    /// [`Self::clear`].
    pub fn printed(&self) -> Vec<String> {
        self.output.flush(FLUSH_TIMEOUT);
        self.stdout.lines()
    }

    /// The same for standard error.
    pub fn printed_errors(&self) -> Vec<String> {
        self.output.flush(FLUSH_TIMEOUT);
        self.stderr.lines()
    }

    /// The same for the host's log.
    pub fn logged(&self) -> Vec<String> {
        self.log.lines()
    }

    pub fn clear(&self) {
        self.output.flush(FLUSH_TIMEOUT);
        for buffer in [&self.stdout, &self.stderr, &self.log] {
            buffer.0.lock().clear();
        }
    }
}

/// Keeps what is written to it.
#[derive(Clone, Default)]
struct CaptureBuffer(Arc<Mutex<Vec<u8>>>);

impl CaptureBuffer {
    fn lines(&self) -> Vec<String> {
        let captured = self.0.lock();
        let text = String::from_utf8_lossy(&captured);
        text.lines().map(str::to_owned).collect()
    }
}

impl Write for CaptureBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut captured = self.0.lock();
        if captured.len() + bytes.len() <= MAX_CAPTURED {
            captured.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for CaptureBuffer {
    type Writer = CaptureBuffer;

    fn make_writer(&self) -> CaptureBuffer {
        self.clone()
    }
}
