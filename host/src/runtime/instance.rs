//! One instance of a guest: its store, its exports, and the events it is given.
//!
//! An instance serves one connection, or none (for `listening` and trials).
//! After a [`Fault`] it must be dropped; dropping it is the only way its work
//! ends. It never touches a socket: what an event asked for is fetched with
//! [`Instance::take_effects`].

use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};

use wasmtime::Store;

use super::bindings::Guest;
use super::bindings::hotsocket::socket::types::{self, Address};
use super::fault::{Cause, Event, Fault};
use super::pacing::Pacing;
use super::state::{Effects, State, Window};
use crate::reached::Limit;

/// Why an instance begins to serve a connection.
#[derive(Clone, Debug)]
pub enum Origin {
    Accepted,
    Migrated(Succession),
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
    guest: Guest,
    pacing: Arc<Pacing>,
    max_snapshot: usize,
}

/// Giving back more memory than this takes the kernel longer than a tick.
const MUCH_MEMORY: usize = 4 << 20;
/// Instances that wait for that.
const MAX_DEAD: usize = 16;

impl Instance {
    pub(super) fn new(
        store: Store<State>,
        guest: Guest,
        pacing: Arc<Pacing>,
        max_snapshot: usize,
    ) -> Self {
        Instance {
            store,
            guest,
            pacing,
            max_snapshot,
        }
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

    /// What the last events asked for since it was last taken. The buffer of
    /// written bytes goes with it; [`Self::effects`] takes one back.
    pub fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.store.data_mut().effects)
    }

    /// What was asked for so far, to be changed in place.
    pub fn effects(&mut self) -> &mut Effects {
        &mut self.store.data_mut().effects
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
        self.begin();
        let call = self
            .guest
            .hotsocket_socket_handler()
            .call_listening(&mut self.store, &listeners);
        let result = self.pacing.event(call).await;
        self.done(Event::Listening, result)
    }

    pub async fn open(&mut self, origin: Origin) -> Result<(), Fault> {
        let origin = match origin {
            Origin::Accepted => types::Origin::Accepted,
            Origin::Migrated(succession) => types::Origin::Migrated(succession.into()),
            Origin::Restarted(succession) => types::Origin::Restarted(succession.into()),
        };
        self.begin();
        let call = self
            .guest
            .hotsocket_socket_handler()
            .call_open(&mut self.store, &origin);
        let result = self.pacing.event(call).await;
        self.done(Event::Open, result)?.map_err(|reason| Fault {
            event: Event::Open,
            cause: Cause::Refused(super::fault::one_line(&reason)),
        })
    }

    pub async fn data(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.begin();
        let call = self
            .guest
            .hotsocket_socket_handler()
            .call_data(&mut self.store, bytes);
        let result = self.pacing.event(call).await;
        self.done(Event::Data, result)
    }

    pub async fn drained(&mut self) -> Result<(), Fault> {
        self.begin();
        let call = self
            .guest
            .hotsocket_socket_handler()
            .call_drained(&mut self.store);
        let result = self.pacing.event(call).await;
        self.done(Event::Drained, result)
    }

    pub async fn end(&mut self) -> Result<(), Fault> {
        self.begin();
        let call = self
            .guest
            .hotsocket_socket_handler()
            .call_end(&mut self.store);
        let result = self.pacing.event(call).await;
        self.done(Event::End, result)
    }

    pub async fn timer(&mut self, id: u32) -> Result<(), Fault> {
        self.begin();
        let call = self
            .guest
            .hotsocket_socket_handler()
            .call_timer(&mut self.store, id);
        let result = self.pacing.event(call).await;
        self.done(Event::Timer, result)
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
        self.begin();
        let call = self
            .guest
            .hotsocket_socket_handler()
            .call_close(&mut self.store, &reason);
        let result = self.pacing.event(call).await;
        self.done(Event::Close, result)
    }

    /// The guest's state of this connection. What it wrote or printed on the
    /// way is dropped.
    pub async fn save(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        self.begin();
        let silence = Arc::clone(&self.store.data().voice.muted);
        let muted = silence.swap(true, Ordering::Relaxed);
        let call = self
            .guest
            .hotsocket_socket_handler()
            .call_save(&mut self.store);
        let result = self.pacing.event(call).await;
        self.take_effects();
        silence.store(muted, Ordering::Relaxed);
        let snapshot = self.done(Event::Save, result)?;
        match &snapshot {
            Some(bytes) if bytes.len() > self.max_snapshot => {
                self.store.data().notes.count(Limit::Snapshot);
                Err(Fault {
                    event: Event::Save,
                    cause: Cause::SnapshotTooLarge {
                        size: bytes.len(),
                        max: self.max_snapshot,
                    },
                })
            }
            _ => Ok(snapshot),
        }
    }

    fn begin(&mut self) {
        self.store.data_mut().begin();
        self.store.set_epoch_deadline(1);
    }

    fn done<R>(&mut self, event: Event, result: wasmtime::Result<R>) -> Result<R, Fault> {
        let state = self.store.data_mut();
        result
            .inspect(|_| {
                state.tell_refusal();
            })
            .map_err(|error| Fault::new(event, &error, self.store.data_mut()))
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
