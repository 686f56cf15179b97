//! Topics over several nodes, by way of NATS (`--topics`).
//!
//! What is published here is handed to NATS under `PREFIX.TOPIC`, after the connections
//! of this node have got it. What other nodes, or any other client of NATS, publish there
//! comes to those who have subscribed here. Payloads are the plain bytes of the message.
//!
//! Nothing of this delays a session: a publisher puts its message into the [`outbox`] and
//! a subscriber notes its [`interest`]; the tasks in [`link`] do the rest. A server
//! without `--topics` has none of it.
//!
//! - [`outbox`]: messages that wait to be handed to NATS
//! - [`interest`]: the patterns that this node subscribes to there
//! - [`link`]: the tasks between those two, the client and [`Topics`](super::Topics)
//!
//! Where NATS is, and whether it answers, is up to [`crate::nats`].

mod interest;
mod link;
mod outbox;

pub use link::{Link, Nats};
