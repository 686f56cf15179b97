//! A compiled and linked guest, and what its instances share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hotsocket_slab::Slot;
use tokio::sync::OnceCell;

use crate::call_mode::CallHistory;
use crate::component::LoadError;
use crate::contract::Exports;
use crate::engine_pool::{EnginePool, GuestEngine};
use crate::fairness::Fairness;
use crate::fault::Event;
use crate::hash::Hash;
use crate::limits::LiveLimits;
use crate::measures::Measures;
use crate::thread::run_on_thread;

/// What the first instance of a guest has room for in its slot, in bytes.
const FIRST_SLOT: usize = 16 * 1024;

/// A guest that has been compiled and linked. Made by
/// [`Sandbox::compile`](crate::Sandbox::compile).
pub struct CompiledGuest {
    pub hash: Hash,
    /// It imports `hotsocket:tls`.
    pub begins_tls: bool,
    /// For the small engine; `None` if the guest may wait in what it imports.
    small: Option<Arc<LoadedGuest>>,
    /// For the large engine, loaded when it is first needed.
    large: OnceCell<Arc<LoadedGuest>>,
    /// Loading into the large engine has been started ahead of need.
    prefetched: AtomicBool,
}

/// A guest's code in one engine.
pub(crate) struct LoadedGuest {
    pub engine: Arc<GuestEngine>,
    pub exports: Exports,
    pub shared: Arc<Shared>,
}

/// What all instances of a guest share, in whichever engine.
pub(crate) struct Shared {
    pub history: Arc<CallHistory>,
    pub fairness: Arc<Fairness>,
    /// Of the sandbox, as they are now.
    pub limits: Arc<LiveLimits>,
    /// Such a guest may pass less to the host in one call.
    pub imports_wasi: bool,
    pub measures: Arc<Measures>,
    /// Places of an engine that each instance takes.
    pub places: usize,
    /// Bytes that the host needs for each instance; 0 until there was one.
    pub slot_size: AtomicUsize,
}

impl LoadedGuest {
    /// Where the host's data of one more instance will lie.
    pub fn slot(&self) -> Slot {
        Slot::new(match self.shared.slot_size.load(Ordering::Relaxed) {
            0 => FIRST_SLOT,
            known => known,
        })
    }
}

impl CompiledGuest {
    pub(crate) fn new(hash: Hash, begins_tls: bool, loaded: LoadedGuest, may_wait: bool) -> Self {
        let loaded = Arc::new(loaded);
        let (small, large) = match may_wait {
            false => (Some(loaded), OnceCell::new()),
            true => (None, OnceCell::new_with(Some(loaded))),
        };
        CompiledGuest {
            hash,
            begins_tls,
            small,
            large,
            prefetched: AtomicBool::new(false),
        }
    }

    /// Connections that the engines have room for, if this guest serves them all.
    /// `None` if an instance takes one place, as the pool is made for.
    pub(crate) fn room(&self, engines: &EnginePool) -> Option<usize> {
        let loaded = self.small.as_ref().or_else(|| self.large.get())?;
        let places = loaded.shared.places;
        (places > 1).then(|| engines.room(places, self.small.is_none()))
    }

    /// Whether it can be called with messages.
    pub fn is_subscriber(&self) -> bool {
        let loaded = self.small.as_ref().or_else(|| self.large.get());
        loaded.is_some_and(|loaded| loaded.exports.has(Event::Message))
    }

    pub(crate) fn small(&self) -> Option<&Arc<LoadedGuest>> {
        self.small.as_ref()
    }

    /// The guest in the large engine, loaded on a thread of its own if it is not
    /// there yet.
    pub(crate) async fn large(
        &self,
        engines: &Arc<EnginePool>,
    ) -> Result<&Arc<LoadedGuest>, LoadError> {
        let load = || async {
            let (engines, small) = (Arc::clone(engines), self.small.clone());

            let loaded = run_on_thread("engine", None, move || {
                let small = small.ok_or_else(|| no_engine("no code to load"))?;
                let engine = engines.large()?;
                Ok(Arc::new(LoadedGuest {
                    exports: engine.load(&small.exports)?,
                    shared: Arc::clone(&small.shared),
                    engine,
                }))
            });
            loaded
                .await
                .map_err(|error| no_engine(&error.to_string()))?
        };
        self.large.get_or_try_init(load).await
    }

    /// Load the guest into the large engine before it is needed, so that no
    /// connection waits for that.
    pub(crate) fn prefetch_large(self: &Arc<Self>, engines: &Arc<EnginePool>) {
        if !self.prefetched.swap(true, Ordering::Relaxed) {
            let (guest, engines) = (Arc::clone(self), Arc::clone(engines));
            tokio::spawn(async move {
                // Whoever needs it tries again, and reports the error.
                let _ = guest.large(&engines).await;
            });
        }
    }
}

fn no_engine(reason: &str) -> LoadError {
    LoadError::NoEngine(reason.to_owned())
}
