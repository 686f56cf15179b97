//! The entry point of the crate: compiles guests and makes their instances.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use wasmtime::{Store, UpdateDeadline};

use crate::call_mode::CallHistory;
use crate::compiled::{CompiledGuest, LoadedGuest, Shared};
use crate::compiler::CompileLimits;
use crate::component::LoadError;
use crate::cpu_budget::{Budgets, CpuBudget, Tick};
use crate::declared_imports::Imports;
use crate::effects::{ConnectionInfo, ServedConnection};
use crate::engine;
use crate::engine_pool::{EnginePool, Place};
use crate::environment::Environment;
use crate::fairness::Fairness;
use crate::fault::{Cause, Event, Fault};
use crate::guest_output::{GuestOutput, LineRate, LineSink};
use crate::hash::ComponentBytes;
use crate::instance::Instance;
use crate::key_value::KeyValue;
use crate::limit_counters::{ConnectionWarnings, Limit, LimitCounters};
use crate::limits::{Limits, LiveLimits};
use crate::log::LoggedConnection;
use crate::measures::Measures;
use crate::memory_limit::{MemoryInUse, MemoryLimit};
use crate::store_data::{Reach, StoreData};
use crate::topics::{CountSubscribers, Lookup};
use crate::wasi::Grants;

/// Everything that the instances of one service share. [`Self::compile`] bytes
/// first, [`Self::try_out`] the result, then [`Self::instantiate`] it for each
/// connection.
pub struct Sandbox {
    engines: Arc<EnginePool>,
    fairness: Arc<Fairness>,
    limits: Arc<LiveLimits>,
    reach: Arc<Reach>,
    output: Arc<dyn LineSink>,
    counters: Arc<LimitCounters>,
    measures: Arc<Measures>,
    memory_in_use: MemoryInUse,
}

impl Sandbox {
    /// Guests print to `output`.
    pub fn new(
        engines: Arc<EnginePool>,
        limits: Limits,
        grants: Grants,
        environment: Environment,
        output: Arc<dyn LineSink>,
    ) -> Self {
        crate::wasi::start_clock();
        let limits = Arc::new(LiveLimits::new(limits));
        let fairness = Fairness::new(engines.turns.clone(), Arc::clone(&limits));
        Sandbox {
            engines,
            fairness: Arc::new(fairness),
            limits,
            reach: Arc::new(Reach {
                grants,
                environment,
                topics: Lookup::default(),
                key_value: OnceLock::new(),
            }),
            output,
            counters: Arc::default(),
            measures: Arc::default(),
            memory_in_use: MemoryInUse::default(),
        }
    }

    /// Let guests ask who has subscribed to what, from now on here.
    pub fn set_topics(&self, topics: Arc<dyn CountSubscribers>) {
        *self.reach.topics.write() = Some(topics);
    }

    /// Let guests use this store. Call it before [`Self::compile`]; only the first call
    /// counts.
    pub fn set_store(&self, store: Arc<dyn KeyValue>) {
        let _ = self.reach.key_value.set(store);
    }

    /// Hold guests to other limits: instances that are made from now on, and of the
    /// others those that no instance keeps for itself (the wall-clock time of an event,
    /// the size of a snapshot).
    pub fn set_limits(&self, limits: Limits) {
        self.limits.set(limits);
    }

    /// Settings and random bytes of all instances.
    pub fn environment(&self) -> &Environment {
        &self.reach.environment
    }

    /// Where reached limits are counted.
    pub fn limit_counters(&self) -> &Arc<LimitCounters> {
        &self.counters
    }

    /// What is measured of all instances.
    pub fn measures(&self) -> &Measures {
        &self.measures
    }

    /// Bytes that all instances have now: memories, tables, and what the host has
    /// allocated for them.
    pub fn memory_in_use(&self) -> usize {
        self.memory_in_use.load(Ordering::Relaxed)
    }

    /// Whether compiled code is kept on disk.
    pub fn caches_code(&self) -> bool {
        self.engines.caches_code()
    }

    /// Largest component that is taken, in bytes.
    pub fn max_component(&self) -> usize {
        self.limits.current().max_component
    }

    /// Whether components are compiled in this process, where a compilation
    /// can't be stopped.
    pub fn compiles_inside(&self) -> bool {
        self.engines.compiles_inside()
    }

    /// How long a compilation may take.
    pub fn compile_timeout(&self) -> Duration {
        self.limits.current().compile_timeout
    }

    /// Check, compile and link a component. Blocks for milliseconds to the limit
    /// of time for compilations: never call it on a serving thread.
    ///
    /// # Errors
    /// When the bytes are not a guest that can be served here.
    pub fn compile(&self, component: &ComponentBytes) -> Result<Arc<CompiledGuest>, LoadError> {
        let (bytes, hash) = (component.bytes(), component.hash());
        let current = self.limits.current();
        let max = current.max_component;
        if bytes.len() > max {
            self.counters.count(Limit::Component);
            return Err(LoadError::TooLarge { max });
        }
        let imports = Imports::of(bytes);
        let store_waits = || {
            let store = self.reach.key_value.get();
            store.is_some_and(|store| store.may_wait())
        };
        let may_wait = imports.wasi || imports.key_value && store_waits();
        let engine = match may_wait {
            false => Arc::clone(self.engines.small()),
            true => self.engines.large()?,
        };
        let limits = CompileLimits {
            memory: current.compile_memory as u64,
            time: current.compile_timeout,
        };
        let compiled = engine.compile(bytes, hash, limits);
        let exports = compiled.inspect_err(|error| match error {
            LoadError::CompileTimeout { .. } => self.counters.count(Limit::CompileTimeout),
            LoadError::CompileMemory { .. } => self.counters.count(Limit::CompileMemory),
            _ => {}
        })?;
        let loaded = LoadedGuest {
            shared: Arc::new(Shared {
                history: Arc::new(CallHistory::new(may_wait)),
                places: engine::places(exports.pre.component()),
                fairness: Arc::clone(&self.fairness),
                limits: Arc::clone(&self.limits),
                imports_wasi: imports.wasi,
                measures: Arc::clone(&self.measures),
                slot_size: AtomicUsize::new(0),
            }),
            exports,
            engine,
        };
        let begins_tls = imports.start_tls;
        let guest = CompiledGuest::new(hash, begins_tls, loaded, may_wait);
        Ok(Arc::new(guest))
    }

    /// Instantiate the guest once as a trial, under the limits of every instance.
    /// The instance gets no event, and its output is dropped.
    ///
    /// # Errors
    /// When it cannot be made, or an export has a wrong type.
    pub async fn try_out(&self, guest: &Arc<CompiledGuest>) -> Result<(), LoadError> {
        let made = self.make(guest, None, 0, true).await;
        match made.map(|mut instance| instance.wrong_export()) {
            Ok(None) => Ok(()),
            Ok(Some((name, detail))) => Err(LoadError::WrongType { name, detail }),
            Err(fault) if matches!(fault.cause, Cause::NoRoom(_)) => {
                Err(LoadError::NoRoom(fault.to_string()))
            }
            Err(fault) => Err(LoadError::Trial(fault.to_string())),
        }
    }

    /// How many connections there is room for, if all are served by this guest.
    /// `None`: as many as the pool is made for, as with most guests.
    pub fn room_for(&self, guest: &CompiledGuest) -> Option<usize> {
        guest.room(&self.engines)
    }

    /// Make the first instance of a connection, one of so many that have or get an
    /// instance. Those for which the pool is made leave room for trials and
    /// successors; of guests that take several places, only so many are admitted
    /// that they do, too.
    ///
    /// # Errors
    /// As [`Self::instantiate`].
    pub async fn admit(
        &self,
        guest: &Arc<CompiledGuest>,
        connection: ServedConnection,
        generation: u64,
        connections: usize,
    ) -> Result<Instance, Fault> {
        if self.room_for(guest).is_some_and(|room| connections > room) {
            return Err(self.pool_is_full());
        }
        self.instantiate(guest, Some(connection), generation).await
    }

    /// Make an instance for a connection, or for none. The log names the guest
    /// by its generation.
    ///
    /// # Errors
    /// When there is no room for it, or the guest fails while it starts.
    pub async fn instantiate(
        &self,
        guest: &Arc<CompiledGuest>,
        connection: Option<ServedConnection>,
        generation: u64,
    ) -> Result<Instance, Fault> {
        self.make(guest, connection, generation, false).await
    }

    async fn make(
        &self,
        guest: &Arc<CompiledGuest>,
        connection: Option<ServedConnection>,
        generation: u64,
        muted: bool,
    ) -> Result<Instance, Fault> {
        if let Some(small) = guest.small() {
            if small.engine.is_nearly_full() {
                guest.prefetch_large(&self.engines);
            }
            if let Some(place) = small.engine.place(small.shared.places) {
                return self
                    .make_in(small, place, connection, generation, muted)
                    .await;
            }
        }
        let (large, place) = Box::pin(self.large_place(guest)).await?;
        self.make_in(&large, place, connection, generation, muted)
            .await
    }

    async fn large_place(
        &self,
        guest: &Arc<CompiledGuest>,
    ) -> Result<(Arc<LoadedGuest>, Place), Fault> {
        let large = guest.large(&self.engines).await;
        let large = large.map_err(|error| no_room(error.to_string()))?;
        match large.engine.place(large.shared.places) {
            Some(place) => Ok((Arc::clone(large), place)),
            None => Err(self.pool_is_full()),
        }
    }

    fn pool_is_full(&self) -> Fault {
        self.counters.count(Limit::Room);
        no_room("the instance pool is full".to_owned())
    }

    async fn make_in(
        &self,
        guest: &Arc<LoadedGuest>,
        place: Place,
        connection: Option<ServedConnection>,
        generation: u64,
        muted: bool,
    ) -> Result<Instance, Fault> {
        let began = Instant::now();
        let serves = connection.is_some();
        let mut slot = guest.slot();
        let store = slot.fill(|| self.store(guest, connection, generation, muted));
        let instance = Instance::new(store, Arc::clone(guest), place, slot).await?;
        if serves {
            self.measures.note_instance(began.elapsed());
        }
        Ok(instance)
    }

    /// A store for one instance, with everything that holds for it.
    fn store(
        &self,
        guest: &LoadedGuest,
        connection: Option<ServedConnection>,
        generation: u64,
        muted: bool,
    ) -> Store<StoreData> {
        let info = connection.as_ref().map(|connection| connection.info);
        let logged = info.map(|ConnectionInfo { id, peer, .. }| LoggedConnection {
            id,
            peer,
            generation,
            label: None,
        });
        let limits = self.limits.current();
        let output = GuestOutput {
            sink: Arc::clone(&self.output),
            muted: Arc::new(muted.into()),
            max_line: limits.max_line,
            rate: Arc::new(LineRate::new(limits.max_lines)),
            warnings: Arc::new(ConnectionWarnings::new(Arc::clone(&self.counters), logged)),
        };
        let data = StoreData::new(
            connection,
            output,
            CpuBudget::new(
                Budgets {
                    event: limits.cpu_budget,
                    start: limits.start_budget,
                },
                Arc::clone(&guest.engine.ticker),
                Arc::clone(&guest.shared.history),
            ),
            MemoryLimit::new(
                limits.max_memory,
                limits.max_table,
                Arc::clone(&self.memory_in_use),
            ),
            limits.max_timers,
            Arc::clone(&self.reach),
            guest.exports.has(Event::Message),
        );
        let mut store = guest.engine.store(data);
        store.limiter(|data| &mut data.memory);
        store.epoch_deadline_callback(|mut store| {
            let budget = &mut store.data_mut().cpu_budget;
            match budget.tick() {
                Tick::Over => {
                    let (budget, flag) = (budget.budget(), budget.flag());
                    Err(Cause::CpuBudget { budget, flag }.into_error())
                }
                Tick::GoesOn => Ok(UpdateDeadline::Continue(1)),
                Tick::GivesWay => Ok(UpdateDeadline::Yield(1)),
            }
        });
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(limits.max_transfer(guest.shared.imports_wasi));
        store
    }
}

fn no_room(reason: String) -> Fault {
    Fault {
        event: Event::Start,
        cause: Cause::NoRoom(reason),
    }
}
