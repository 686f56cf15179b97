//! The sandbox: compiles guests, makes instances of them, gives them events.
//!
//! Only this module and those below it name wasmtime's types. The rest of the
//! server knows [`Runtime`], [`Code`], [`Instance`] and [`Fault`].
//!
//! - [`engine`]: configuration, pool, epoch clock
//! - [`component`], [`world`]: what a file is, and whether its types are right
//! - [`instance`]: one instance and its events
//! - [`imports`], [`state`], [`wasi`]: what a guest finds around it
//! - [`meter`], [`pacing`], [`fault`]: what it may use, and how it ends
//! - [`cache`], [`functions`]: compiled code on disk
//! - [`bindings`]: generated from `wit/`

mod bindings;
mod cache;
pub mod component;
mod engine;
mod fault;
mod functions;
mod imports;
mod instance;
mod meter;
mod pacing;
mod state;
mod voice;
mod wasi;
mod world;

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store, UpdateDeadline};

pub use cache::Place as CachePlace;
pub use component::LoadError;
pub use engine::{Room, give_way};
pub use fault::{Cause, Event, Fault};
pub use instance::{CloseReason, Instance, Origin, Succession};
pub use state::{Effects, Ends, Window};
pub use wasi::Grants;

use crate::limits::Limits;
use crate::output::Output;
use crate::reached::{Notes, Reached};
use cache::CodeCache;
use functions::FunctionCache;
use meter::Meter;
use pacing::Pacing;
use state::{Allowance, State};
use voice::{Rate, Voice};

/// SHA-256 of a component's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    pub fn of(bytes: &[u8]) -> Self {
        Hash(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(64).div_ceil(2);
        self.0
            .iter()
            .take(digits)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A guest that has been compiled, linked and tried.
pub struct Code {
    pre: bindings::GuestPre<State>,
    pub hash: Hash,
}

/// Everything that instances share.
pub struct Runtime {
    engine: Engine,
    linker: Linker<State>,
    pacing: Arc<Pacing>,
    cache: CodeCache,
    functions: Arc<FunctionCache>,
    limits: Arc<Limits>,
    grants: Arc<Grants>,
    output: Arc<Output>,
    pub reached: Arc<Reached>,
    /// Put the connection before each guest line.
    label: bool,
    pub room: Room,
    _ticker: engine::Ticker,
}

/// Name the flag that makes room for a component that asks for more than an
/// instance may have.
fn beyond_pool(error: String) -> String {
    if error.contains("table index") && error.contains("exceeds the limit") {
        return format!("{error}; --max-table raises it");
    }
    error
}

impl Runtime {
    /// # Errors
    /// When wasmtime cannot run here, or no thread can be started.
    pub fn new(
        limits: Arc<Limits>,
        grants: Grants,
        output: Arc<Output>,
        label: bool,
        cache: &CachePlace,
    ) -> wasmtime::Result<Self> {
        let functions = Arc::<FunctionCache>::default();
        let (engine, room) = engine::build(&limits, &functions)?;
        let cache = CodeCache::open(cache, &engine);
        if let Some(path) = cache.functions() {
            functions.keep_in(path);
        }
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker)?;
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let ticker = engine::Ticker::start(&engine)?;
        let threads = tokio::runtime::Handle::try_current()
            .map_or(1, |handle| handle.metrics().num_workers());
        Ok(Runtime {
            pacing: Arc::new(Pacing::new(threads, limits.event_timeout)),
            cache,
            functions,
            engine,
            linker,
            limits,
            grants: Arc::new(grants),
            output,
            reached: Arc::default(),
            label,
            room,
            _ticker: ticker,
        })
    }

    /// No event takes longer than this.
    pub fn longest_event(&self) -> std::time::Duration {
        self.limits.event_timeout
    }

    /// No compilation is waited for longer than this.
    pub fn compile_timeout(&self) -> std::time::Duration {
        self.limits.compile_timeout
    }

    /// Lines of guests and of the log that nobody read in time.
    pub fn dropped_lines(&self) -> u64 {
        self.output.dropped()
    }

    /// Check, compile and link a component. Takes milliseconds to seconds of
    /// CPU: never call it on a serving thread.
    ///
    /// # Errors
    /// When the bytes are not a guest that this server can serve.
    pub fn compile(&self, bytes: &[u8]) -> Result<Code, LoadError> {
        if bytes.len() > self.limits.max_component {
            return Err(LoadError::TooLarge {
                size: bytes.len(),
                max: self.limits.max_component,
            });
        }
        let hash = Hash::of(bytes);
        let told = |error: wasmtime::Error| fault::one_line(&format!("{error:#}"));
        let component = match self.cache.load(&self.engine, hash) {
            // Only what has passed the checks below gets into the cache.
            Some(component) => component,
            None => {
                component::describe(bytes)?.check_world()?;
                let compilation = self.functions.begin(bytes.len());
                let component = Component::from_binary(&self.engine, bytes)
                    .map_err(|error| LoadError::Compile(beyond_pool(told(error))))?;
                drop(compilation);
                self.cache.store(&component, hash);
                component
            }
        };
        let pre = self
            .linker
            .instantiate_pre(&component)
            .map_err(|error| LoadError::WrongImport(told(error)))?;
        let pre = bindings::GuestPre::new(pre).map_err(|error| LoadError::Invalid(told(error)))?;
        Ok(Code { pre, hash })
    }

    /// Make one instance that serves nothing, under the limits that hold for
    /// every instance, to learn whether others can be made. No event is sent
    /// to it and nothing it prints is shown.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn try_out(&self, code: &Code) -> Result<(), LoadError> {
        match self.make(code, None, true).await {
            Ok(_) => Ok(()),
            Err(fault) => match self.wrong_export(code).await {
                Some((name, detail)) => Err(LoadError::WrongType { name, detail }),
                None => Err(LoadError::Trial(fault.to_string())),
            },
        }
    }

    /// The export whose type keeps instances from being made, if one does.
    async fn wrong_export(&self, code: &Code) -> Option<(&'static str, String)> {
        let mut store = self.store(None, true);
        let instance = code.pre.instance_pre().instantiate_async(&mut store);
        let instance = self.pacing.event(instance).await.ok()?;
        world::wrong_export(&instance, &mut store)
    }

    /// Make an instance for a connection, or for none.
    ///
    /// # Errors
    /// When there is no room for it, or the guest fails while it starts.
    pub async fn instantiate(&self, code: &Code, ends: Option<Ends>) -> Result<Instance, Fault> {
        self.make(code, ends, false).await
    }

    /// A store for one instance, with everything that holds for it.
    fn store(&self, ends: Option<Ends>, muted: bool) -> Store<State> {
        let label = ends
            .filter(|_| self.label)
            .map(|ends| Arc::from(format!("{} ", ends.id)));
        let whose = ends.map(|ends| (ends.id, ends.peer));
        let voice = Voice {
            rate: Arc::new(Rate::new(self.limits.max_lines)),
            notes: Arc::new(Notes::new(Arc::clone(&self.reached), whose)),
            output: Arc::clone(&self.output),
            label,
            muted: Arc::new(muted.into()),
            max_line: self.limits.max_line,
        };
        let state = State::new(
            ends,
            voice,
            Meter::new(self.limits.cpu_budget),
            Allowance::new(self.limits.max_memory, self.limits.max_table),
            self.limits.max_timers,
            Arc::clone(&self.grants),
        );
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.allowance);
        store.epoch_deadline_callback(|mut store| {
            let meter = &mut store.data_mut().meter;
            if meter.tick() {
                Ok(UpdateDeadline::Yield(1))
            } else {
                Err(Cause::CpuBudget(meter.budget()).into_error())
            }
        });
        store.set_epoch_deadline(1);
        store
    }

    async fn make(&self, code: &Code, ends: Option<Ends>, muted: bool) -> Result<Instance, Fault> {
        let mut store = self.store(ends, muted);
        let making = code.pre.instantiate_async(&mut store);
        match self.pacing.event(making).await {
            Ok(guest) => Ok(Instance::new(
                store,
                guest,
                Arc::clone(&self.pacing),
                self.limits.max_snapshot,
            )),
            Err(error) => Err(Fault::new(Event::Start, &error, store.data_mut())),
        }
    }
}
