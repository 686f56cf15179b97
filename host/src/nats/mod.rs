//! NATS, for topics over several nodes and for a store that several share: where it is,
//! who we are there, and whether it answers.
//!
//! - [`options`]: what the flags say
//! - [`health`]: whether it is there, said once; what is counted
//!
//! What is sent and received is up to [`crate::topics::nats`] and [`crate::store`].

mod health;
mod options;

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions};

pub use health::{Health, NatsStatus, State, Use};
pub use options::{NatsOptions, OptionsError};

/// Messages and subscriptions in the client, on their way to its socket.
pub const IN_CLIENT: usize = 128;
/// Messages of one subscription that were received and not taken yet. Beyond that they
/// are lost, and counted as `slow_consumer`.
const IN_SUBSCRIPTION: usize = 1024;
/// A NATS server that says nothing for two of these is away.
const PING: Duration = Duration::from_secs(10);
/// The longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long the server may take to answer a request.
pub const ANSWER: Duration = Duration::from_secs(2);

/// A client, which need not be connected yet, and connects again whenever it is not.
///
/// # Errors
/// When the options are wrong.
pub async fn connect(options: &NatsOptions, health: &Arc<Health>) -> Result<Client, OptionsError> {
    let (events, failures) = (Arc::clone(health), Arc::clone(health));
    let client = ConnectOptions::new()
        .name("hotsocket")
        .no_echo()
        .retry_on_initial_connect()
        .max_reconnects(None)
        .ping_interval(PING)
        .request_timeout(Some(ANSWER))
        .reconnect_delay_callback(pause)
        .client_capacity(IN_CLIENT)
        .subscription_capacity(IN_SUBSCRIPTION)
        .event_callback(move |event| {
            events.note(event);
            std::future::ready(())
        })
        // Chooses no server; it is called where the client knows why it has failed.
        .reconnect_to_server_callback(move |servers, _| {
            failures.failed(&servers);
            std::future::ready(None)
        });
    let client = options.apply(client)?.connect(options.servers()).await;
    client.map_err(|_| OptionsError::Server(options.show()))
}

/// The pause before an attempt to connect. The first follows at once, so that a server
/// that is restarted is not missed for long.
fn pause(attempts: usize) -> Duration {
    match u32::try_from(attempts).unwrap_or(u32::MAX) {
        0 | 1 => Duration::ZERO,
        attempts => LONGEST_PAUSE.min(Duration::from_millis(10 << attempts.min(10))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let pauses = [0, 1, 2, 5, 8, 100].map(pause).map(|it| it.as_millis());
        assert_eq!(pauses, [0, 0, 40, 320, 2000, 2000]);
    }
}
