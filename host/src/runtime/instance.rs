//! One instance of a guest: its store, its exports, and the events it is given.
//!
//! An instance serves one connection, or none (for `listening` and trials).
//! After a [`Fault`] it must be dropped; dropping it is the only way its work
//! ends. It never touches a socket: what an event asked for is fetched with
//! [`Instance::take_effects`].

use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};

use hotsocket_slab::Slot;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;
use wasmtime::component::{self, ComponentNamedList, Lift, Lower, TypedFunc};

use super::Code;
use super::bindings::hotsocket::socket::types::{self, Address};
use super::clock::Want;
use super::fault::{Cause, Event, Fault};
use super::sink::Sink;
use super::state::{Effects, State, Window};
use crate::reached::Limit;

/// Why an instance begins to serve a connection.
#[derive(Clone, Debug)]
pub enum Origin {
    Accepted,
    Migrated(Succession),
    Woken(Succession),
    Restarted(Succession),
}

/// What an instance inherits from the one before it.
#[derive(Clone, Debug)]
pub struct Succession {
    pub snapshot: Option<Vec<u8>>,
    pub peer_ended: bool,
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    Ended,
    AbortedByPeer,
    AbortedByGuest,
    IdleTimeout,
    WriteTimeout,
    Shutdown,
    Swapped,
}

impl CloseReason {
    /// Whether the guest may write a farewell in `close`.
    pub fn allows_farewell(self) -> bool {
        matches!(self, Self::IdleTimeout | Self::Shutdown | Self::Swapped)
    }
}

/// See the module's documentation.
pub struct Instance {
    store: Store<State>,
    instance: component::Instance,
    code: Arc<Code>,
    /// The right to a fiber's stack. The store keeps the stack it was given at
    /// its first event on a fiber, so the right lasts as long.
    stack: Option<OwnedSemaphorePermit>,
    /// Looked up at the first of the events that there are most of.
    data: Option<TypedFunc<(&'static [u8],), ()>>,
}

/// How an event is run.
enum Way {
    Fiber,
    Direct,
    /// Directly, with this thread's other work handed to another thread.
    Aside,
}

/// Giving back more memory than this takes the kernel longer than a tick.
const MUCH_MEMORY: usize = 4 << 20;
/// Instances that wait for that.
const MAX_DEAD: usize = 16;

impl Instance {
    /// Make an instance; a start function runs as an event does.
    /// What it allocates goes into the slot.
    pub(super) async fn new(
        mut store: Store<State>,
        code: Arc<Code>,
        mut slot: Slot,
    ) -> Result<Self, Fault> {
        let mut stack = None;
        store.data_mut().meter.begin();
        let made = match way(&code, &mut stack) {
            Ok(Way::Fiber) => {
                let making = code.exports.pre.instantiate_async(&mut store);
                let making = slot.fill_async(making);
                Box::pin(code.pacing.event(&code.bed.clock, making)).await
            }
            Ok(Way::Direct) => direct(Want::Coarse, &mut store, |store| {
                slot.fill(|| code.exports.pre.instantiate(store))
            }),
            Ok(Way::Aside) => {
                let _thread = code.pacing.aside().await;
                aside(&mut store, |store| {
                    slot.fill(|| code.exports.pre.instantiate(store))
                })
            }
            Err(cause) => Err(cause.into_error()),
        };
        match made {
            Ok(instance) => {
                store.data().meter.tell(&code.calls);
                code.footprint
                    .fetch_max(slot.size_needed(), Ordering::Relaxed);
                Ok(Instance {
                    store,
                    instance,
                    code,
                    stack,
                    data: None,
                })
            }
            Err(error) => Err(Fault::new(Event::Start, &error, store.data_mut())),
        }
    }

    /// The function of the handler that has a type other than the contract's.
    pub(super) fn wrong_export(&mut self) -> Option<(&'static str, String)> {
        super::world::wrong_export(&self.instance, &mut self.store)
    }

    /// Drop the instance, on a thread that gives way to those that serve if it
    /// has much memory to give back.
    pub fn retire(self) {
        static GRAVE: OnceLock<Option<SyncSender<Instance>>> = OnceLock::new();
        if self.store.data().allowance.memory_used() <= MUCH_MEMORY {
            return;
        }
        let grave = GRAVE.get_or_init(|| {
            let (grave, dead) = sync_channel::<Instance>(MAX_DEAD);
            let bury = move || {
                super::engine::give_way();
                dead.into_iter().for_each(drop);
            };
            let thread = std::thread::Builder::new().name("retire".to_owned());
            thread.spawn(bury).ok().map(|_| grave)
        });
        if let Some(grave) = grave
            && let Err(TrySendError::Full(this) | TrySendError::Disconnected(this)) =
                grave.try_send(self)
        {
            tokio::task::spawn_blocking(move || drop(this));
        }
    }

    /// What the last events asked for since it was last taken.
    pub fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.store.data_mut().effects)
    }

    /// Let the next event write to the socket while it runs.
    pub fn lend(&mut self, sink: Option<Box<dyn Sink>>) {
        self.store.data_mut().sink = sink;
    }

    /// Have the socket back.
    pub fn take_back(&mut self) -> Option<Box<dyn Sink>> {
        self.store.data_mut().sink.take()
    }

    /// Say what `write` may take during the next event.
    pub fn set_window(&mut self, window: Window) {
        self.store.data_mut().window = window;
    }

    pub async fn listening(&mut self, listeners: &[std::net::SocketAddr]) -> Result<(), Fault> {
        let listeners: Vec<Address> = listeners
            .iter()
            .copied()
            .map(super::imports::address)
            .collect();
        self.call(Event::Listening, (&listeners[..],)).await
    }

    pub async fn open(&mut self, origin: Origin) -> Result<(), Fault> {
        let origin = match origin {
            Origin::Accepted => types::Origin::Accepted,
            Origin::Migrated(succession) => types::Origin::Migrated(succession.into()),
            Origin::Woken(succession) => types::Origin::Woken(succession.into()),
            Origin::Restarted(succession) => types::Origin::Restarted(succession.into()),
        };
        let (opened,): (Result<(), String>,) = self.call(Event::Open, (&origin,)).await?;
        opened.map_err(|reason| Fault {
            event: Event::Open,
            cause: Cause::Refused(super::fault::one_line(&reason)),
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

    pub async fn close(&mut self, reason: CloseReason) -> Result<(), Fault> {
        let reason = match reason {
            CloseReason::Ended => types::CloseReason::Ended,
            CloseReason::AbortedByPeer => types::CloseReason::AbortedByPeer,
            CloseReason::AbortedByGuest => types::CloseReason::AbortedByGuest,
            CloseReason::IdleTimeout => types::CloseReason::IdleTimeout,
            CloseReason::WriteTimeout => types::CloseReason::WriteTimeout,
            CloseReason::Shutdown => types::CloseReason::Shutdown,
            CloseReason::Swapped => types::CloseReason::Swapped,
        };
        self.call(Event::Close, (&reason,)).await
    }

    /// The guest's state of this connection. What it wrote or printed on the
    /// way is dropped.
    pub async fn save(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let silence = Arc::clone(&self.store.data().voice.muted);
        let muted = silence.swap(true, Ordering::Relaxed);
        let saved = self.call(Event::Save, ()).await;
        self.take_effects();
        silence.store(muted, Ordering::Relaxed);
        let (snapshot,): (Option<Vec<u8>>,) = saved?;
        let max = self.code.max_snapshot;
        match &snapshot {
            Some(bytes) if bytes.len() > max => {
                self.store.data().notes.count(Limit::Snapshot);
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

    fn function<P, R>(&mut self, event: Event) -> wasmtime::Result<TypedFunc<P, R>>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let exports = &self.code.exports;
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
            store, code, stack, ..
        } = self;
        store.data_mut().begin();
        store.set_epoch_deadline(1);
        let result = match function {
            Ok(function) if code.calls.are_direct() => {
                direct(Want::Coarse, store, |store| function.call(store, params))
            }
            // Boxed, as few events take this way, and the connection keeps the
            // room for it.
            Ok(function) => Box::pin(seldom(store, code, stack, function, params)).await,
            Err(error) => Err(error),
        };
        let state = store.data_mut();
        state.meter.tell(&code.calls);
        match result {
            Ok(result) => {
                state.tell_refusal();
                Ok(result)
            }
            Err(error) => Err(Fault::new(event, &error, state)),
        }
    }
}

/// Run an event of a generation that is not known to be short, or not to be.
async fn seldom<P, R>(
    store: &mut Store<State>,
    code: &Code,
    stack: &mut Option<OwnedSemaphorePermit>,
    function: TypedFunc<P, R>,
    params: P,
) -> wasmtime::Result<R>
where
    P: ComponentNamedList + Lower + Send + Sync,
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    match way(code, stack) {
        // Since this was asked before.
        Ok(Way::Direct) => direct(Want::Coarse, store, |store| function.call(store, params)),
        Ok(Way::Fiber) => {
            let call = function.call_async(&mut *store, params);
            code.pacing.event(&code.bed.clock, call).await
        }
        Ok(Way::Aside) => {
            let _thread = code.pacing.aside().await;
            aside(store, |store| function.call(store, params))
        }
        Err(cause) => Err(cause.into_error()),
    }
}

/// How the next event of an instance is run, with the right to a stack if it
/// takes one.
fn way(code: &Code, stack: &mut Option<OwnedSemaphorePermit>) -> Result<Way, Cause> {
    if code.calls.are_direct() {
        return Ok(Way::Direct);
    }
    if stack.is_none() {
        *stack = Arc::clone(&code.stacks).try_acquire_owned().ok();
    }
    match stack {
        Some(_) => Ok(Way::Fiber),
        None if !code.waits => Ok(Way::Aside),
        None => Err(Cause::NoRoom("all fiber stacks are in use".to_owned())),
    }
}

/// Run an event on this thread to its end.
fn direct<R>(
    want: Want,
    store: &mut Store<State>,
    call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<R>,
) -> wasmtime::Result<R> {
    store.data_mut().meter.hold_thread(want);
    call(store)
}

/// The same without holding up the other connections of this thread. Slow, and
/// rare: more instances are alive than there are stacks, and a long event has
/// cost their generation its direct calls.
fn aside<R>(
    store: &mut Store<State>,
    call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<R>,
) -> wasmtime::Result<R> {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(|| direct(Want::Fine, store, call))
        }
        _ => direct(Want::Fine, store, call),
    }
}

impl From<Succession> for types::Succession {
    fn from(succession: Succession) -> Self {
        types::Succession {
            snapshot: succession.snapshot,
            peer_ended: succession.peer_ended,
        }
    }
}
