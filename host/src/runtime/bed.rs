//! Where instances come from: an engine with its pool, what guests find
//! linked, and the code compiled for it.
//!
//! There are two. Most guests import nothing that waits and need no fiber once
//! they are known, so their bed has few stacks, is made when the server starts
//! and costs little. Guests that import WASI need a stack for each instance;
//! their bed is made when the first of them comes.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use super::cache::CodeCache;
use super::clock::Clock;
use super::component::{self, LoadError};
use super::engine::{self, Depth};
use super::exports::Exports;
use super::functions::FunctionCache;
use super::state::State;
use super::{Hash, fault, imports};
use crate::limits::Limits;

/// See the module's documentation.
pub struct Bed {
    engine: Engine,
    linker: Linker<State>,
    cache: CodeCache,
    functions: Option<Arc<FunctionCache>>,
    /// One permit for each stack in the pool.
    pub stacks: Arc<Semaphore>,
    /// Interrupts the events of its instances.
    pub clock: Arc<Clock>,
}

impl Bed {
    /// # Errors
    /// When wasmtime cannot run here, or no thread can be started.
    pub fn make(limits: &Limits, depth: Depth, cache: Option<PathBuf>) -> wasmtime::Result<Self> {
        // Only components that carry an interpreter are so large, and those
        // import WASI.
        let functions = (depth == Depth::Deep).then(Arc::<FunctionCache>::default);
        let (engine, room) = engine::build(limits, depth, functions.as_ref())?;
        let cache = CodeCache::new(cache, &engine);
        if let (Some(functions), Some(path)) = (&functions, cache.functions()) {
            functions.keep_in(path);
        }
        if let Some(warning) = room.warning {
            tracing::warn!("{warning}");
        }
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker)?;
        if depth == Depth::Deep {
            hotsocket_wasi::link(&mut linker)?;
        }
        Ok(Bed {
            cache,
            functions,
            stacks: Arc::new(Semaphore::new(room.stacks)),
            clock: Arc::new(Clock::start(&engine)?),
            engine,
            linker,
        })
    }

    /// Check, compile and link a component.
    pub fn compile(&self, bytes: &[u8], hash: Hash) -> Result<Exports, LoadError> {
        let told = |error: wasmtime::Error| fault::one_line(&format!("{error:#}"));
        let component = match self.cache.load(&self.engine, hash) {
            // Only what has passed the checks below gets into the cache.
            Some(component) => component,
            None => {
                component::describe(bytes)?.check_world()?;
                engine::calm_compiler();
                let functions = self.functions.as_ref();
                let compilation = functions.map(|kept| kept.begin(bytes.len()));
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
        Exports::new(pre).ok_or_else(|| LoadError::Invalid("its handler is incomplete".to_owned()))
    }

    /// A store for one instance.
    pub fn store(&self, state: State) -> Store<State> {
        Store::new(&self.engine, state)
    }
}

/// Name the flag that makes room for a component that asks for more than an
/// instance may have.
fn beyond_pool(error: String) -> String {
    if error.contains("table index") && error.contains("exceeds the limit") {
        return format!("{error}; --max-table raises it");
    }
    error
}
