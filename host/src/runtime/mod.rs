//! The sandbox: compiles guests, makes instances of them, gives them events.
//!
//! Only this module and those below it name wasmtime's types. The rest of the
//! server knows [`Runtime`], [`Code`], [`Instance`] and [`Fault`].
//!
//! - [`bed`], [`engine`]: where instances come from; configuration and pool
//! - [`component`], [`world`], [`exports`]: what a file is, whether its types
//!   are right, and where its functions are
//! - [`instance`]: one instance and its events, on a fiber or not
//! - [`imports`]: what a guest finds around it; what its store holds is a crate
//!   of its own, [`hotsocket_store`]
//! - [`pacing`], [`fault`]: how it gives way, and how it ends
//! - [`shim`]: how a component's modules are joined
//! - [`cache`], [`functions`]: compiled code on disk
//! - [`bindings`]: generated from `wit/`

mod bed;
mod bindings;
mod cache;
pub mod component;
mod engine;
mod exports;
mod fault;
mod functions;
mod imports;
mod instance;
mod pacing;
mod shim;
mod world;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hotsocket_slab::Slot;
use hotsocket_store::{calls, clock, meter, sink, state, voice, wasi};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use wasmtime::{Store, UpdateDeadline};

pub use cache::Place as CachePlace;
pub use component::LoadError;
pub use engine::{give_way, ready_thread};
pub use fault::{Cause, Event, Fault};
pub use instance::{CloseReason, Instance, Origin, Succession};
pub use sink::{SLICE, Sink, recycle};
pub use state::{Effects, Ends, Window};
pub use wasi::Grants;

use crate::limits::Limits;
use crate::output::Output;
use crate::reached::{Limit, Notes, Reached};
use bed::Bed;
use calls::Calls;
use engine::Depth;
use exports::Exports;
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

/// A guest that has been compiled and linked, with all that its instances
/// share.
pub struct Code {
    pub hash: Hash,
    bed: Arc<Bed>,
    exports: Exports,
    calls: Calls,
    /// It imports what may wait, so it can only run on fibers.
    waits: bool,
    pacing: Arc<Pacing>,
    stacks: Arc<Semaphore>,
    max_snapshot: usize,
    /// Bytes that the host needs for each instance; 0 until there was one.
    footprint: AtomicUsize,
}

/// What the first instance of a generation has room for in its slot.
const FIRST_SLOT: usize = 16 * 1024;

impl Code {
    /// Where the host's data of one more instance will lie.
    fn slot(&self) -> Slot {
        Slot::new(match self.footprint.load(Ordering::Relaxed) {
            0 => FIRST_SLOT,
            known => known,
        })
    }
}

/// Everything that instances share.
pub struct Runtime {
    lean: Arc<Bed>,
    /// Made when a guest first needs it.
    deep: Mutex<Option<Arc<Bed>>>,
    pacing: Arc<Pacing>,
    code_dir: Option<PathBuf>,
    limits: Arc<Limits>,
    grants: Arc<Grants>,
    output: Arc<Output>,
    pub reached: Arc<Reached>,
    /// Put the connection before each guest line.
    label: bool,
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
        let code_dir = cache::open(cache);
        let lean = Bed::make(&limits, Depth::Lean, code_dir.clone())?;
        let threads = tokio::runtime::Handle::try_current()
            .map_or(1, |handle| handle.metrics().num_workers());
        Ok(Runtime {
            lean: Arc::new(lean),
            deep: Mutex::default(),
            pacing: Arc::new(Pacing::new(threads, limits.event_timeout)),
            code_dir,
            limits,
            grants: Arc::new(grants),
            output,
            reached: Arc::default(),
            label,
        })
    }

    /// The bed for guests that wait in what they import, or for the others.
    fn bed(&self, waits: bool) -> Result<Arc<Bed>, LoadError> {
        if !waits {
            return Ok(Arc::clone(&self.lean));
        }
        let mut deep = self.deep.lock();
        if let Some(bed) = &*deep {
            return Ok(Arc::clone(bed));
        }
        let made = Bed::make(&self.limits, Depth::Deep, self.code_dir.clone());
        let made = Arc::new(
            made.map_err(|error| LoadError::NoEngine(fault::one_line(&format!("{error:#}"))))?,
        );
        *deep = Some(Arc::clone(&made));
        Ok(made)
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

    /// Read a component's file: of one that is too large, only as much as shows
    /// that to [`Self::compile`].
    ///
    /// # Errors
    /// As reading any file.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        component::read(path, self.limits.max_component)
    }

    /// Check, compile and link a component. Takes milliseconds to seconds of
    /// CPU: never call it on a serving thread.
    ///
    /// # Errors
    /// When the bytes are not a guest that this server can serve.
    pub fn compile(&self, bytes: &[u8]) -> Result<Arc<Code>, LoadError> {
        if bytes.len() > self.limits.max_component {
            self.reached.count(Limit::Component);
            let max = self.limits.max_component;
            return Err(LoadError::TooLarge { max });
        }
        let hash = Hash::of(bytes);
        let waits = component::imports_wasi(bytes);
        let bed = self.bed(waits)?;
        Ok(Arc::new(Code {
            hash,
            exports: bed.compile(bytes, hash)?,
            calls: Calls::new(waits),
            waits,
            pacing: Arc::clone(&self.pacing),
            stacks: Arc::clone(&bed.stacks),
            max_snapshot: self.limits.max_snapshot,
            footprint: AtomicUsize::new(0),
            bed,
        }))
    }

    /// Make one instance that serves nothing, under the limits that hold for
    /// every instance, to learn whether others can be made. No event is sent
    /// to it and nothing it prints is shown.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn try_out(&self, code: &Arc<Code>) -> Result<(), LoadError> {
        let mut slot = code.slot();
        let store = slot.fill(|| self.store(code, None, true));
        let made = Instance::new(store, Arc::clone(code), slot).await;
        match made.map(|mut instance| instance.wrong_export()) {
            Ok(None) => Ok(()),
            Ok(Some((name, detail))) => Err(LoadError::WrongType { name, detail }),
            Err(fault) => Err(LoadError::Trial(fault.to_string())),
        }
    }

    /// Make an instance for a connection, or for none.
    ///
    /// # Errors
    /// When there is no room for it, or the guest fails while it starts.
    pub async fn instantiate(
        &self,
        code: &Arc<Code>,
        ends: Option<Ends>,
    ) -> Result<Instance, Fault> {
        let mut slot = code.slot();
        let store = slot.fill(|| self.store(code, ends, false));
        Instance::new(store, Arc::clone(code), slot).await
    }

    /// A store for one instance, with everything that holds for it.
    fn store(&self, code: &Code, ends: Option<Ends>, muted: bool) -> Store<State> {
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
            Meter::new(self.limits.cpu_budget, Arc::clone(&code.bed.clock)),
            Allowance::new(self.limits.max_memory, self.limits.max_table),
            self.limits.max_timers,
            Arc::clone(&self.grants),
        );
        let mut store = code.bed.store(state);
        store.limiter(|state| &mut state.allowance);
        store.epoch_deadline_callback(|mut store| {
            let meter = &mut store.data_mut().meter;
            if !meter.tick() {
                Err(Cause::CpuBudget(meter.budget()).into_error())
            } else if meter.holds_thread() {
                Ok(UpdateDeadline::Continue(1))
            } else {
                Ok(UpdateDeadline::Yield(1))
            }
        });
        store.set_epoch_deadline(1);
        store
    }
}
