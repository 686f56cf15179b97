//! Where instances come from: engines, each with a pool of instances, what
//! guests find linked, and the code compiled for it.
//!
//! There are two. The *small* one is made when the server starts and costs
//! little; it serves guests that never wait. The *large* one has room for all
//! connections, and links what may wait: WASI, and a store that does. It is made when a
//! guest first imports one of these, or when the small one is nearly full; guests that
//! never wait continue there. Both have a fiber stack for each instance (see [`crate::call_mode`]).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use crate::code_cache::{self, CodeCache, CodeCacheDir};
use crate::compiler::{self, CompileLimits, Compiler, Strategy};
use crate::component::{self, LoadError};
use crate::contract::{self, Exports};
use crate::engine::{self, Built, Capacity};
use crate::epoch_ticker::EpochTicker;
use crate::fairness::Turns;
use crate::fault::one_line;
use crate::function_cache::FunctionCache;
use crate::hash::Hash;
use crate::limits::PoolLimits;
use crate::reclaim::Reclaimer;
use crate::store_data::StoreData;

/// Lets guests find WASI in a linker. What they may do with it is up to their
/// [`Grants`](crate::Grants).
pub type LinkWasi = fn(&mut Linker<StoreData>) -> wasmtime::Result<()>;

/// The engines of a process; all of its sandboxes share them.
pub struct EnginePool {
    /// How the long events of all instances share the serving threads.
    pub(crate) turns: Turns,
    reclaimer: Arc<Reclaimer>,
    small: Arc<GuestEngine>,
    /// `None` until it is needed.
    large: Mutex<Option<Arc<GuestEngine>>>,
    /// Instances of the large engine.
    large_capacity: u32,
    limits: PoolLimits,
    /// Where compiled code is kept.
    cache_dir: Option<PathBuf>,
    /// What all engines compile with.
    compiler: Arc<SharedCompiler>,
    link_wasi: LinkWasi,
}

/// The compiler of a process, which compiles one component at a time.
struct SharedCompiler {
    compiler: Compiler,
    /// Held while a child compiles. So all services of a process together take no
    /// more memory for it than one compilation may.
    in_use: Mutex<()>,
}

impl EnginePool {
    /// Make the small engine. Call it in a tokio runtime: its number of threads
    /// bounds how many long events run at once.
    ///
    /// # Errors
    /// When wasmtime cannot run here, or no thread can be started.
    pub fn new(
        limits: PoolLimits,
        cache: &CodeCacheDir,
        compiler: Compiler,
        link_wasi: LinkWasi,
    ) -> Result<Self, LoadError> {
        let cache_dir = code_cache::open(cache);
        let capacity = Capacity::of(limits.max_connections);
        if let Some(warning) = &capacity.warning {
            tracing::warn!("{warning}");
        }
        let reclaimer = Reclaimer::start().map_err(|error| no_engine(error.into()))?;
        let reclaimer = Arc::new(reclaimer);
        let compiler = Arc::new(SharedCompiler {
            compiler,
            in_use: Mutex::default(),
        });
        let small = GuestEngine::new(
            &limits,
            capacity.small,
            cache_dir.clone(),
            Arc::clone(&compiler),
            None,
            Arc::clone(&reclaimer),
        );
        let small = small.map_err(no_engine)?;
        let threads = tokio::runtime::Handle::try_current()
            .map_or(1, |handle| handle.metrics().num_workers());
        Ok(EnginePool {
            turns: Turns::new(threads),
            reclaimer,
            small: Arc::new(small),
            large: Mutex::default(),
            large_capacity: capacity.large,
            limits,
            cache_dir,
            compiler,
            link_wasi,
        })
    }

    pub(crate) fn compiles_inside(&self) -> bool {
        self.compiler.compiler == Compiler::Inside
    }

    pub(crate) fn caches_code(&self) -> bool {
        self.cache_dir.is_some()
    }

    pub(crate) fn small(&self) -> &Arc<GuestEngine> {
        &self.small
    }

    /// Connections that there is room for, if an instance takes so many places and
    /// only the large engine serves it, or both do.
    pub(crate) fn room(&self, places: usize, only_large: bool) -> usize {
        // Whoever makes it keeps the lock for long; then it is not known yet whether it has
        // fewer places.
        let large = match self.large.try_lock().as_deref() {
            Some(Some(large)) => large.capacity,
            Some(None) | None => self.large_capacity as usize,
        };
        // As many successors can be made before their predecessors are dropped.
        let spare = engine::SPARE_INSTANCES as usize;
        let small = match only_large {
            true => 0,
            false => self.small.capacity / places,
        };
        small.saturating_add(large.saturating_sub(spare) / places)
    }

    /// The large engine. Making it takes some 30 ms: never call this on a
    /// serving thread.
    ///
    /// # Errors
    /// When wasmtime cannot run here, or no thread can be started.
    pub(crate) fn large(&self) -> Result<Arc<GuestEngine>, LoadError> {
        let mut large = self.large.lock();
        if let Some(engine) = &*large {
            return Ok(Arc::clone(engine));
        }
        let made = GuestEngine::new(
            &self.limits,
            self.large_capacity,
            self.cache_dir.clone(),
            Arc::clone(&self.compiler),
            Some(self.link_wasi),
            Arc::clone(&self.reclaimer),
        );
        let made = Arc::new(made.map_err(no_engine)?);
        Ok(Arc::clone(large.insert(made)))
    }
}

/// An engine and what belongs to it. Take a [`Place`] before making an
/// instance.
pub(crate) struct GuestEngine {
    engine: Engine,
    /// For guests that never wait.
    linker: Linker<StoreData>,
    /// For those that may; only the large engine has it.
    waiting: Option<Linker<StoreData>>,
    cache: CodeCache,
    compiler: Arc<SharedCompiler>,
    /// What the code must be compiled for.
    strategy: Strategy,
    max_stack: usize,
    /// Whether large components are compiled for it.
    keeps_functions: bool,
    /// For those that are compiled in this process.
    functions: Option<Arc<FunctionCache>>,
    pub reclaimer: Arc<Reclaimer>,
    /// Interrupts the events of its instances.
    pub ticker: Arc<EpochTicker>,
    capacity: usize,
    /// Places that are taken.
    taken: AtomicUsize,
}

/// The right to one instance of an engine, and to a fiber stack for it. Drop it
/// after the instance.
pub(crate) struct Place {
    engine: Arc<GuestEngine>,
    /// An instance with several memories or many tables takes the place of several.
    count: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.engine.taken.fetch_sub(self.count, Ordering::AcqRel);
    }
}

impl GuestEngine {
    fn new(
        limits: &PoolLimits,
        instances: u32,
        cache_dir: Option<PathBuf>,
        compiler: Arc<SharedCompiler>,
        link_wasi: Option<LinkWasi>,
        reclaimer: Arc<Reclaimer>,
    ) -> wasmtime::Result<Self> {
        // Only components that carry an interpreter are large enough for it, and
        // those import WASI.
        let keeps_functions = link_wasi.is_some();
        let inside = compiler.compiler == Compiler::Inside;
        let functions = (keeps_functions && inside).then(Arc::<FunctionCache>::default);
        let Built {
            engine,
            capacity,
            strategy,
        } = engine::build(limits, instances, functions.as_ref())?;
        let cache = CodeCache::new(cache_dir, &engine);
        if let (Some(functions), Some(path)) = (&functions, cache.functions()) {
            functions.keep_in(path);
        }
        let mut linker = Linker::new(&engine);
        contract::link(&mut linker, false)?;
        let mut waiting = None;
        if let Some(link_wasi) = link_wasi {
            let linker = waiting.insert(Linker::new(&engine));
            contract::link(linker, true)?;
            link_wasi(linker)?;
        }
        Ok(GuestEngine {
            cache,
            compiler,
            strategy,
            max_stack: limits.max_stack,
            keeps_functions,
            functions,
            reclaimer,
            ticker: Arc::new(EpochTicker::start(&engine)?),
            engine,
            linker,
            waiting,
            capacity,
            taken: AtomicUsize::new(0),
        })
    }

    /// Take the place of an instance that needs `count` of them, see
    /// [`engine::places`]. `None` if so many are not free.
    pub fn place(self: &Arc<Self>, count: usize) -> Option<Place> {
        let more = |taken: usize| {
            let more = taken.saturating_add(count);
            (more <= self.capacity).then_some(more)
        };
        let taken = self
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.is_ok().then(|| Place {
            engine: Arc::clone(self),
            count,
        })
    }

    /// Whether most places are taken.
    pub fn is_nearly_full(&self) -> bool {
        self.taken.load(Ordering::Relaxed) > self.capacity / 4 * 3
    }

    /// Check, compile and link a component: in the large engine one that may wait.
    pub fn compile(
        &self,
        bytes: &[u8],
        hash: Hash,
        limits: CompileLimits,
    ) -> Result<Exports, LoadError> {
        if let Some(component) = self.cache.load(&self.engine, hash) {
            // Only what has passed all checks gets into the cache.
            return link(self.waiting.as_ref().unwrap_or(&self.linker), &component);
        }
        let component = match &self.compiler.compiler {
            Compiler::Inside => self.compile_inside(bytes, hash)?,
            Compiler::Child { .. } => self.compile_in_child(bytes, hash, limits)?,
        };
        link(self.waiting.as_ref().unwrap_or(&self.linker), &component)
    }

    fn compile_inside(&self, bytes: &[u8], hash: Hash) -> Result<Component, LoadError> {
        compiler::validate(bytes)?;
        engine::lower_compiler_priority();
        let functions = self.functions.as_ref();
        let compilation = functions.map(|kept| kept.begin(bytes.len()));
        if let Some(damage) = compilation.as_ref().and_then(|begun| begun.damage()) {
            tracing::warn!("{damage}");
        }
        let component = Component::from_binary(&self.engine, bytes).map_err(not_compiled)?;
        drop(compilation);
        self.cache.store(&component, hash);
        Ok(component)
    }

    fn compile_in_child(
        &self,
        bytes: &[u8],
        hash: Hash,
        limits: CompileLimits,
    ) -> Result<Component, LoadError> {
        component::sniff(bytes)?;
        let in_use = self.compiler.in_use.try_lock_for(limits.time);
        let _in_use = in_use.ok_or(LoadError::CompilerBusy)?;
        let process = compiler::Process {
            compiler: &self.compiler.compiler,
            limits,
            strategy: self.strategy,
            max_stack: self.max_stack,
            name: &self.cache.name(hash),
            functions: self.cache.functions().filter(|_| self.keeps_functions),
        };
        let code = process.compile(bytes)?;
        // Fails if it needs more than the pool has.
        let component = code_cache::load(&self.engine, &code).map_err(not_compiled)?;
        self.cache.copy(&code, hash);
        // The kernel can drop pages of a file, but not those of one in memory.
        Ok(self.cache.load(&self.engine, hash).unwrap_or(component))
    }

    /// Load code that the small engine has compiled: it never waits.
    pub fn load(&self, exports: &Exports) -> Result<Exports, LoadError> {
        let failed = |error: wasmtime::Error| LoadError::Compile(one_line(&format!("{error:#}")));
        let code = exports.pre.component().serialize().map_err(failed)?;
        // SAFETY: the bytes come from `serialize` of this process' own component
        // and have not left it.
        let component = unsafe { Component::deserialize(&self.engine, code) };
        link(&self.linker, &component.map_err(failed)?)
    }

    /// A store for one instance.
    pub fn store(&self, data: StoreData) -> Store<StoreData> {
        Store::new(&self.engine, data)
    }
}

fn link(linker: &Linker<StoreData>, component: &Component) -> Result<Exports, LoadError> {
    let pre = linker
        .instantiate_pre(component)
        .map_err(|error| LoadError::WrongImport(one_line(&format!("{error:#}"))))?;
    Exports::new(pre).ok_or_else(|| LoadError::Invalid("its handler is incomplete".to_owned()))
}

fn no_engine(error: wasmtime::Error) -> LoadError {
    LoadError::NoEngine(one_line(&format!("{error:#}")))
}

/// An error of the compiler, or of the pool that the code is for.
fn not_compiled(error: wasmtime::Error) -> LoadError {
    LoadError::Compile(name_table_flag(one_line(&format!("{error:#}"))))
}

/// Name the flag that makes room for a component that asks for more than an
/// instance may have.
fn name_table_flag(error: String) -> String {
    if error.contains("table index") && error.contains("exceeds the limit") {
        return format!("{error} (raise --max-table)");
    }
    error
}
