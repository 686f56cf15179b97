//! Gives back the memory of instances that are over.
//!
//! To unmap tens of megabytes takes the kernel longer than a tick. So an instance
//! that has much memory is dropped on a thread of its own, and whoever drops one
//! waits while too many are there: guests that take much memory and die slow
//! down their own connections, not those of others.

use std::io;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::timeout;
use wasmtime::Store;

use crate::engine_pool::Place;
use crate::store_data::StoreData;

/// An instance with less is dropped at once, by whoever has it. The smallest guests in
/// Rust have 1.1 MiB, of which few pages are touched.
const MUCH_MEMORY: usize = 4 << 20;
/// Instances that wait for the thread.
const MAX_WAITING: usize = 16;
/// How long an instance waits to become one of them, before it is dropped where it
/// is: its peer waits for the end of the connection. Reached only on a machine that gives
/// the thread hardly any time.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// What is left of an instance. It must not be called again; dropping it ends its
/// work.
pub(crate) struct FinishedInstance {
    pub store: Store<StoreData>,
    /// After the store: the place is free when that is gone.
    pub _place: Place,
}

/// Drops what is left of instances. One for a process.
pub(crate) struct Reclaimer(Sender<FinishedInstance>);

impl Reclaimer {
    /// Start its thread, which ends when this and all that it was given is gone.
    ///
    /// # Errors
    /// When the system refuses the thread.
    pub fn start() -> io::Result<Self> {
        let (waiting, mut finished) = channel::<FinishedInstance>(MAX_WAITING);
        std::thread::Builder::new()
            .name("reclaim".to_owned())
            .spawn(move || {
                crate::priority::lower_priority_to_idle();
                while let Some(instance) = finished.blocking_recv() {
                    drop(instance);
                }
            })?;
        Ok(Reclaimer(waiting))
    }

    /// Drop what is left of an instance, here or on the thread. Waits while too
    /// many wait for that.
    pub async fn reclaim(&self, finished: FinishedInstance) {
        if finished.store.data().memory.used() < MUCH_MEMORY {
            return;
        }
        if let Err(TrySendError::Full(finished)) = self.0.try_send(finished) {
            // Dropped here in case of a timeout. Boxed, as it is rare, and every
            // session would keep the room for it.
            let _ = Box::pin(timeout(MAX_WAIT, self.0.send(finished))).await;
        }
    }
}
