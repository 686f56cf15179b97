//! A connection: the task, its *driver*, that owns one socket from accept to
//! close and gives the guest its events.
//!
//! The driver alone reads, writes and closes the socket, and alone calls the
//! instance; so one event happens at a time, and between two of them it may
//! change the instance under the connection. What the guest asked for in an
//! event is done after the event has succeeded.
//!
//! ```text
//!   accept ─ open ─┬─> wait ──> read ──> data ──> write ─┐
//!                  │    │  (also: drained, end, timer)   │
//!                  │    └──> order: migrate ─────────────┤
//!                  │                                     │
//!                  └<────────────────────────────────────┘
//!            over: close ─ flush ─ FIN ─ linger ─ closed
//! ```
//!
//! - [`driver`]: the loop
//! - [`wait`]: what it waits for
//! - [`migrate`]: new code takes the connection over, or gives it back
//! - [`restart`]: a connection survives its instance
//! - [`hibernate`]: a quiet connection does without one
//! - [`ending`]: every way a connection ends
//! - [`loan`]: the socket, for the time of an event
//! - [`outbox`], [`timers`], [`buffer`]: what a connection has beside a socket
//! - [`table`]: the open connections, as others see them

mod buffer;
mod driver;
mod ending;
mod hibernate;
mod loan;
mod migrate;
mod outbox;
mod restart;
mod table;
mod timers;
mod transport;
mod wait;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use driver::serve;
pub use table::{Entered, Handle, PeerPlace, Table};
pub use transport::{Stream, Transport};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::Limits;
use crate::reached::Complaint;
use crate::registry::Orders;
use crate::runtime::Runtime;

/// What all connections of a server share.
pub struct Context {
    pub runtime: Arc<Runtime>,
    pub orders: Arc<Orders>,
    pub table: Arc<Table>,
    pub limits: Arc<Limits>,
    pub counters: Counters,
    /// Places for connections; each open one holds one.
    pub places: Arc<Semaphore>,
    /// Connections refused for lack of room.
    pub no_room: Complaint,
    /// Connections refused because their peer has enough of them.
    pub crowded: Complaint,
}

impl Context {
    /// For as many connections as the limits say, on the generations of a
    /// registry's board.
    pub fn new(
        runtime: Arc<Runtime>,
        orders: Arc<Orders>,
        table: Arc<Table>,
        limits: Arc<Limits>,
    ) -> Self {
        Context {
            runtime,
            orders,
            table,
            places: Arc::new(Semaphore::new(limits.max_connections)),
            limits,
            counters: Counters::default(),
            no_room: Complaint::default(),
            crowded: Complaint::default(),
        }
    }
}

/// A connection's right to be.
pub struct Place {
    pub _among_all: OwnedSemaphorePermit,
    pub _of_peer: Option<PeerPlace>,
}

/// Totals since the server started.
#[derive(Debug, Default)]
pub struct Counters {
    pub accepted: AtomicU64,
    /// Instances that trapped or met a limit.
    pub faults: AtomicU64,
    /// Instances replaced after a fault.
    pub restarts: AtomicU64,
    /// Connections that the guest, or lack of room, refused.
    pub refused: AtomicU64,
    /// Connections whose instance sleeps now.
    pub asleep: AtomicU64,
    /// Instances saved and dropped because their connection was quiet…
    pub hibernated: AtomicU64,
    /// …and made again for its next event.
    pub woken: AtomicU64,
}

impl Counters {
    pub fn count(which: &AtomicU64) {
        which.fetch_add(1, Ordering::Relaxed);
    }

    pub fn read(which: &AtomicU64) -> u64 {
        which.load(Ordering::Relaxed)
    }
}
