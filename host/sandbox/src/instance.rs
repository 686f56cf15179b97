//! One instance of a guest: its store, its exports, and the events it is given.
//!
//! An instance serves one connection, or none (for `listening` and trials). It
//! is called for one event at a time. After a [`Fault`] it must be dropped;
//! dropping it is the only way its work ends. What an event asked for is fetched
//! with [`Instance::take_effects`].

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hotsocket_slab::Slot;
use wasmtime::Store;
use wasmtime::component::{self, ComponentNamedList, Lift, Lower, TypedFunc};

use crate::bindings::hotsocket::socket::types::{self, Address};
use crate::bounded_text::BoundedText;
use crate::call_mode::CallMode;
use crate::compiled::LoadedGuest;
use crate::cpu_budget::thread_cpu_time;
use crate::effects::{Effects, Window};
use crate::endpoint::Endpoint;
use crate::engine_pool::Place;
use crate::fairness::Standing;
use crate::fault::{Cause, Event, Fault};
use crate::lifecycle::{CloseReason, Origin};
use crate::limit_counters::Limit;
use crate::measures::SAMPLED;
use crate::peer::PeerFacts;
use crate::reclaim::FinishedInstance;
use crate::store_data::StoreData;
use crate::transport::Stream;

/// See the module's documentation. Call [`Self::set_window`] before each event,
/// and [`Self::lend`] if the event may write to the socket itself; in the end
/// [`Self::drop_in_background`] it.
pub struct Instance {
    store: Store<StoreData>,
    instance: component::Instance,
    guest: Arc<LoadedGuest>,
    /// Looked up at the first of the events that there are most of.
    data: Option<TypedFunc<(&'static [u8],), ()>>,
    /// How long the last event took, by the clock; see [`Standing::Unproven`].
    last: Duration,
    /// The next event is measured: for whoever looks at it, or because the epoch has ticked
    /// during the last one.
    is_measured: bool,
    /// CPU time of the last event, if it is known.
    last_cpu: Option<Duration>,
    /// CPU time of all events since it was last taken: of those that are known, each
    /// for as many as it stands for.
    cpu: Duration,
    /// Dropped last: the place is free when the store is gone.
    place: Place,
}

/// What `save` may return without a trap where `--max-snapshot` is small, in bytes.
const LARGE_SNAPSHOT: usize = 1 << 20;

impl Instance {
    /// Make an instance; a start function runs as an event does. What it
    /// allocates goes into the slot.
    pub(crate) async fn new(
        mut store: Store<StoreData>,
        guest: Arc<LoadedGuest>,
        place: Place,
        mut slot: Slot,
    ) -> Result<Self, Fault> {
        let shared = &guest.shared;
        store.data_mut().cpu_budget.begin_event(true);
        let mut last = Duration::ZERO;
        let standing = match store.data_mut().cpu_budget.proof().is_proven() {
            true => Standing::Proven,
            false => Standing::Unproven(&mut last),
        };
        let made = match shared.history.mode() {
            CallMode::Fiber => {
                let ticker = &guest.engine.ticker;
                let making = guest.exports.pre.instantiate_async(&mut store);
                let making = slot.fill_async(making);
                Box::pin(shared.fairness.event(ticker, standing, making)).await
            }
            CallMode::Direct => {
                store.data_mut().cpu_budget.run_directly();
                slot.fill(|| guest.exports.pre.instantiate(&mut store))
            }
        };
        let error = match made {
            Ok(instance) if store.data_mut().memory.charge_host(slot.size_needed()) => {
                let budget = &mut store.data_mut().cpu_budget;
                budget.settle();
                budget.record(last);
                shared
                    .slot_size
                    .fetch_max(slot.size_needed(), Ordering::Relaxed);
                return Ok(Instance {
                    store,
                    instance,
                    guest,
                    data: None,
                    last: Duration::ZERO,
                    is_measured: false,
                    last_cpu: None,
                    cpu: Duration::ZERO,
                    place,
                });
            }
            Ok(_) => Cause::TooMuchMemory(slot.size_needed()).into_error(),
            Err(error) => error,
        };
        let fault = Fault::new(Event::Start, &error, store.data_mut());
        let finished = FinishedInstance {
            store,
            _place: place,
        };
        guest.engine.reclaimer.reclaim(finished).await;
        Err(fault)
    }

    /// The function of the handler that has a type other than the contract's.
    pub(crate) fn wrong_export(&mut self) -> Option<(&'static str, String)> {
        let exports = &self.guest.exports;
        exports.wrong_type(&self.instance, &mut self.store)
    }

    /// Drop the instance. One that has much memory to give back is dropped on
    /// another thread; the wait is for room there.
    pub async fn drop_in_background(self) {
        let finished = FinishedInstance {
            store: self.store,
            _place: self.place,
        };
        self.guest.engine.reclaimer.reclaim(finished).await;
    }

    /// The connection takes much time with events that are short: they give way to
    /// those of others until they have become few.
    pub fn withdraw_proof(&mut self) {
        self.store.data_mut().cpu_budget.proof().withdraw();
    }

    /// The connection was served by another instance before: what that one has shown
    /// holds for this one.
    pub fn succeed(&mut self, predecessor: &mut Instance) {
        let proof = predecessor.store.data_mut().cpu_budget.proof();
        let proof = std::mem::take(proof);
        *self.store.data_mut().cpu_budget.proof() = proof;
    }

    /// Measure the CPU time of the next event, for [`Self::last_cpu`]. It costs two reads
    /// of a clock.
    pub fn measure_next(&mut self) {
        self.is_measured = true;
    }

    /// CPU time of the last event; `None` if it is not known, as it was short and not to
    /// be measured.
    pub fn last_cpu(&self) -> Option<Duration> {
        self.last_cpu
    }

    /// An estimate of the CPU time that events took since this was last called, from those
    /// that the metrics measure as well (see [`crate::measures`]).
    #[inline]
    pub fn take_cpu(&mut self) -> Duration {
        std::mem::take(&mut self.cpu)
    }

    /// What the last events asked for since it was last taken.
    pub fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.store.data_mut().effects)
    }

    /// Lend the connection's transport to the next event, which may write to it.
    pub fn lend(&mut self, transport: Option<Stream>) {
        self.store.data_mut().transport = transport;
    }

    /// Take the transport back. Call it after the event, whatever came of it.
    pub fn take_back(&mut self) -> Option<Stream> {
        self.store.data_mut().transport.take()
    }

    /// From now on this is known of the peer.
    pub fn set_facts(&mut self, facts: Option<Arc<PeerFacts>>) {
        if let Some(connection) = &mut self.store.data_mut().connection {
            connection.facts = facts;
        }
    }

    /// Say what `write` may take during the next event.
    pub fn set_window(&mut self, window: Window) {
        self.store.data_mut().window = window;
    }

    pub async fn listening(&mut self, listeners: &[Endpoint]) -> Result<(), Fault> {
        let listeners = listeners.iter().copied().map(crate::imports::address);
        let listeners: Vec<Address> = listeners.collect();
        self.call(Event::Listening, (&listeners[..],)).await
    }

    pub async fn open(&mut self, origin: Origin) -> Result<(), Fault> {
        let origin = types::Origin::from(origin);
        type Opened = Result<(), BoundedText<String>>;
        let (opened,): (Opened,) = self.call(Event::Open, (&origin,)).await?;
        let panic_message = self.store.data_mut().panic_message.take();
        opened.map_err(|reason| Fault {
            event: Event::Open,
            cause: Cause::of_refusal(panic_message, &reason.text),
        })
    }

    pub async fn data(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let data = match self.data {
            Some(data) => Ok(data),
            None => self.function(Event::Data),
        };
        self.data = data.as_ref().ok().copied();
        self.run(Event::Data, data, (bytes,)).await
    }

    pub async fn drained(&mut self) -> Result<(), Fault> {
        self.call(Event::Drained, ()).await
    }

    pub async fn end(&mut self) -> Result<(), Fault> {
        self.call(Event::End, ()).await
    }

    pub async fn timer(&mut self, id: u32) -> Result<(), Fault> {
        self.call(Event::Timer, (id,)).await
    }

    /// Whether the guest can be called with messages.
    pub fn is_subscriber(&self) -> bool {
        self.guest.exports.has(Event::Message)
    }

    /// A message, of which the guest exports the function.
    pub async fn message(&mut self, topic: &str, sender: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.call(Event::Message, (topic, sender, bytes)).await
    }

    /// The same for messages that were dropped.
    pub async fn lagged(&mut self, missed: u64) -> Result<(), Fault> {
        self.call(Event::Lagged, (missed,)).await
    }

    pub async fn close(&mut self, reason: CloseReason) -> Result<(), Fault> {
        let reason = types::CloseReason::from(reason);
        self.call(Event::Close, (&reason,)).await
    }

    /// The guest's state of this connection. What it wrote or printed on the
    /// way is dropped.
    pub async fn save(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        self.store.data_mut().unmute_after_panic();
        let muted = Arc::clone(&self.store.data().output.muted);
        let was_muted = muted.swap(true, Ordering::Relaxed);
        // A snapshot that is not much too large shall cost only itself.
        let limits = self.guest.shared.limits.current();
        let max = limits.max_snapshot;
        let most = max.saturating_mul(4);
        self.store.set_hostcall_fuel(most.max(LARGE_SNAPSHOT));
        self.store.data_mut().hibernation.begin_save(max);
        let saved = self.call(Event::Save, ()).await;
        self.store.data_mut().hibernation.end_save();
        let max_transfer = limits.max_transfer(self.guest.shared.imports_wasi);
        self.store.set_hostcall_fuel(max_transfer);
        self.take_effects();
        muted.store(was_muted, Ordering::Relaxed);
        let (snapshot,): (Option<Vec<u8>>,) = saved?;
        match &snapshot {
            Some(bytes) if bytes.len() > max => {
                self.store.data().warnings.count(Limit::Snapshot);
                Err(Fault {
                    event: Event::Save,
                    cause: Cause::SnapshotTooLarge {
                        size: bytes.len(),
                        max,
                    },
                })
            }
            _ => Ok(snapshot),
        }
    }

    /// Why the guest must not be put to sleep with what `save` has just returned.
    pub fn stays_awake(&mut self) -> Option<String> {
        self.store.data_mut().hibernation.take_reason()
    }

    /// What the guest keeps in addition to what `save` has just returned, for
    /// [`Self::give_kept`].
    pub fn take_keeps(&mut self) -> Option<Vec<u8>> {
        self.store.data_mut().hibernation.take_keeps()
    }

    /// Give the instance what the one before has kept, before its `open`.
    pub fn give_kept(&mut self, kept: Option<Vec<u8>>) {
        self.store.data_mut().hibernation.give(kept);
    }

    fn function<P, R>(&mut self, event: Event) -> wasmtime::Result<TypedFunc<P, R>>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let exports = &self.guest.exports;
        exports.function(event, &self.instance, &mut self.store)
    }

    async fn call<P, R>(&mut self, event: Event, params: P) -> Result<R, Fault>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let function = self.function(event);
        self.run(event, function, params).await
    }

    /// Run one event to its end.
    async fn run<P, R>(
        &mut self,
        event: Event,
        function: wasmtime::Result<TypedFunc<P, R>>,
        params: P,
    ) -> Result<R, Fault>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let Instance {
            store, guest, last, ..
        } = self;
        let is_measured = std::mem::take(&mut self.is_measured);
        let shared = &guest.shared;
        let is_starting = matches!(event, Event::Listening | Event::Open);
        store.data_mut().begin_event(is_starting);
        store.set_epoch_deadline(1);
        let is_sampled = shared.measures.begin_event(event);
        let is_proven = store.data_mut().cpu_budget.proof().is_proven();
        let (mode, standing) = match is_proven {
            true => (shared.history.mode(), Standing::Proven),
            false => (CallMode::Fiber, Standing::Unproven(&mut *last)),
        };
        let measured = (is_proven && (is_sampled || is_measured)).then(thread_cpu_time);
        let ticker = &guest.engine.ticker;
        let ticks = ticker.ticks();
        let result = match (function, mode) {
            (Ok(function), CallMode::Direct) => {
                store.data_mut().cpu_budget.run_directly();
                function.call(&mut *store, params)
            }
            // Boxed, as few events are called so, and the connection keeps the
            // room for it.
            (Ok(function), CallMode::Fiber) => {
                let call = function.call_async(&mut *store, params);
                Box::pin(shared.fairness.event(ticker, standing, call)).await
            }
            (Err(error), _) => Err(error),
        };
        let data = store.data_mut();
        data.cpu_budget.settle();
        // After an unproven one, and one that has timed out, others may have run before
        // this.
        let used = match is_proven && result.is_ok() {
            true => data.cpu_budget.used(measured),
            false => Some((data.cpu_budget.spent().max(*last), 1)),
        };
        self.last_cpu = used.map(|(time, _)| time);
        if let Some((time, events)) = used
            // One that was measured for another purpose stands for no other.
            && (events == 1 || is_sampled)
        {
            shared.measures.note_cpu_time(time, events);
            let events = u32::try_from(events).unwrap_or(u32::MAX);
            self.cpu = self.cpu.saturating_add(time.saturating_mul(events));
        }
        match used {
            // From its first moment to its last on this thread.
            Some((time, SAMPLED)) => data.cpu_budget.note_measured(time),
            // By chance, or it was in a host function all the time: the next will show.
            _ if ticker.ticks() != ticks => self.is_measured = true,
            _ => {}
        }
        data.cpu_budget.record(*last);
        match result {
            Ok(result) => {
                data.warn_of_rejected_growth();
                Ok(result)
            }
            Err(error) => Err(Fault::new(event, &error, data)),
        }
    }
}
