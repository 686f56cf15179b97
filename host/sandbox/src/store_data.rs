//! What a store holds next to the guest's memory: the effects of the event in
//! progress, its CPU budget, its output, and WASI for the guests that want it.
//!
//! Nothing in here outlives the instance; what must belongs to the session,
//! which takes the effects after each event.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

use crate::cpu_budget::CpuBudget;
use crate::effects::{Effects, ServedConnection, Window};
use crate::environment::Environment;
use crate::guest_output::GuestOutput;
use crate::hibernation::Hibernation;
use crate::key_value::{Handles, KeyValue};
use crate::limit_counters::{ConnectionWarnings, Limit};
use crate::memory_limit::MemoryLimit;
use crate::topics::Lookup;
use crate::transport::Stream;
use crate::wasi::{Grants, MAX_HANDLES};

/// The data of an instance's store. Made by [`crate::Sandbox`]; public only
/// because [`crate::LinkWasi`] names it.
pub struct StoreData {
    /// `None` for an instance that serves no connection.
    pub(crate) connection: Option<ServedConnection>,
    pub(crate) effects: Effects,
    pub(crate) window: Window,
    /// Lent by the session for the event in progress: larger writes go there at
    /// once. `None` where a write may have to be taken back.
    pub(crate) transport: Option<Stream>,
    pub(crate) output: GuestOutput,
    pub(crate) cpu_budget: CpuBudget,
    pub(crate) memory: MemoryLimit,
    pub(crate) max_timers: usize,
    pub(crate) warnings: Arc<ConnectionWarnings>,
    /// The message that the guest passed to `panic` during this event.
    pub(crate) panic_message: Option<String>,
    /// Output is muted for the rest of the event, because of that message.
    muted_by_panic: bool,
    pub(crate) hibernation: Hibernation,
    /// The guest exports `hotsocket:topics/subscriber`.
    pub(crate) is_subscriber: bool,
    /// What the guest has open of the store.
    pub(crate) handles: Handles,
    reach: Arc<Reach>,
    wasi: Option<Box<(WasiCtx, ResourceTable)>>,
}

/// What all instances of a service can reach beyond their connection.
pub(crate) struct Reach {
    pub grants: Grants,
    /// Settings and random bytes.
    pub environment: Environment,
    /// Set by the service, before it has sessions.
    pub topics: Lookup,
    /// The store of the service; set once, before it compiles a guest.
    pub key_value: OnceLock<Arc<dyn KeyValue>>,
}

impl StoreData {
    pub(crate) fn new(
        connection: Option<ServedConnection>,
        output: GuestOutput,
        cpu_budget: CpuBudget,
        memory: MemoryLimit,
        max_timers: usize,
        reach: Arc<Reach>,
        is_subscriber: bool,
    ) -> Self {
        StoreData {
            connection,
            warnings: Arc::clone(&output.warnings),
            effects: Effects::default(),
            window: Window::default(),
            transport: None,
            output,
            cpu_budget,
            memory,
            max_timers,
            panic_message: None,
            muted_by_panic: false,
            hibernation: Hibernation::default(),
            is_subscriber,
            handles: Handles::default(),
            reach,
            wasi: None,
        }
    }

    /// Settings and random bytes.
    pub(crate) fn environment(&self) -> &Environment {
        &self.reach.environment
    }

    /// How many connections have subscribed to a topic; none where there is no service.
    pub(crate) fn subscribers(&self, topic: &str) -> u64 {
        let topics = self.reach.topics.read();
        topics
            .as_ref()
            .map_or(0, |topics| topics.subscribers(topic))
    }

    /// The store; `None` where there is none.
    pub(crate) fn key_value(&self) -> Option<&Arc<dyn KeyValue>> {
        self.reach.key_value.get()
    }

    /// The guest is about to trap. The runtime of its language would print the same
    /// message, so output is muted.
    pub(crate) fn set_panic_message(&mut self, message: String) {
        self.panic_message = Some(message);
        self.muted_by_panic |= !self.output.muted.swap(true, Ordering::Relaxed);
    }

    /// Another event begins. What a guest that did not trap said of a trap is
    /// forgotten.
    pub(crate) fn begin_event(&mut self, is_starting: bool) {
        self.panic_message = None;
        self.unmute_after_panic();
        self.cpu_budget.begin_event(is_starting);
    }

    /// A guest that said why it would trap, and didn't, may print again.
    pub(crate) fn unmute_after_panic(&mut self) {
        if std::mem::take(&mut self.muted_by_panic) {
            self.output.muted.store(false, Ordering::Relaxed);
        }
    }

    /// Count a growth that was rejected during this event.
    pub(crate) fn count_rejected_growth(&mut self) -> Option<Limit> {
        let limit = self.memory.take_rejected()?;
        self.warnings.count(limit);
        Some(limit)
    }

    /// The same for an event that succeeded: nothing else will log it.
    pub(crate) fn warn_of_rejected_growth(&mut self) {
        if let Some(limit) = self.memory.take_rejected() {
            self.warnings
                .warn(limit, "guest memory or table growth rejected");
        }
    }
}

impl WasiView for StoreData {
    /// Created at the first use: most guests never use it.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (ctx, table) = &mut **self.wasi.get_or_insert_with(|| {
            let mut table = ResourceTable::new();
            table.set_max_capacity(MAX_HANDLES);
            let random = self.reach.environment.random();
            Box::new((self.reach.grants.context(&self.output, random), table))
        });
        WasiCtxView { ctx, table }
    }
}
