//! A session: one accepted connection from accept to close.
//!
//! Its task alone reads, writes and closes the channel and alone calls the
//! instance; so one event happens at a time, and between two of them the session
//! may put another instance in place. What the guest asked for in an event is
//! applied after the event has succeeded.
//!
//! ```text
//!   accept ─ open ─┬─> wait ──> read ──> data ──> write ─┐
//!                  │    │  (also: drained, end, timer)   │
//!                  │    └──> rollout: migrate ───────────┤
//!                  │                                     │
//!                  └<────────────────────────────────────┘
//!            over: close ─ flush ─ FIN ─ linger ─ closed
//! ```
//!
//! Between two events a session is a value: its channel, its timers and, once
//! [`succession`] has taken it out of the instance, a snapshot. Hibernation,
//! migration, rollback and restart all leave an instance and enter another one
//! by that road.
//!
//! - [`state`]: what a session consists of
//! - [`driver`]: the loop; [`wait`]: what it waits for; [`pace`]: when others run
//! - [`event`]: an event, its effects, and what becomes of one that traps
//! - [`succession`]: out of an instance, and into one
//! - [`migrate`]: new code takes the session over, or gives it back
//! - [`hibernate`]: a quiet session does without an instance
//! - [`restart`]: a session survives its instance
//! - [`start_tls`]: TLS begins in the middle of a session
//! - [`close`]: every way a session ends
//! - [`log`]: what the log says of a session; [`record`]: what taps see of it
//! - [`timers`]: what the guest has set; [`topics`]: what connections say to each other,
//!   with [`subscriptions`], and [`fan_out`]: how much

mod close;
mod driver;
mod event;
mod fan_out;
mod hibernate;
mod log;
mod migrate;
mod pace;
mod record;
mod restart;
mod start_tls;
mod state;
mod subscriptions;
mod succession;
mod timers;
mod topics;
mod wait;

use std::sync::Arc;

use hotsocket_sandbox::{ServedConnection, Stream};

pub use close::{CLOSE_CAUSES, HANDSHAKE, REFUSED};
pub use start_tls::{NotSecured, Secure, Securing};

use crate::service::{Service, SessionPermit};
use state::Session;

/// Serve one connection from accept to close. Returns when the socket is
/// closed; never panics, whatever the guest and the peer do. With `tls` the guest may
/// have TLS begin.
///
/// A quiet connection keeps this future, so whatever an event seldom needs is
/// in a box of its own, made when it is needed.
pub fn serve(
    service: Arc<Service>,
    connection: ServedConnection,
    stream: Stream,
    permit: Box<SessionPermit>,
    tls: Option<Arc<dyn Secure>>,
) -> impl Future<Output = ()> + Send {
    // What an async function is given it keeps to its end.
    let begin = Box::pin(Session::begin(service, connection, stream, permit, tls));
    async move {
        if let Some(mut session) = begin.await {
            let cause = session.run().await;
            Box::pin(session.finish(cause)).await;
        }
    }
}
