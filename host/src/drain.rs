//! Draining: a node that is to go accepts no more connections, and waits for those that
//! are open to end by themselves.
//!
//! Whoever wants it calls [`Drain::begin`]; [`Drain::run`] carries it out. At the end of
//! the time that it may take, the connections that are left are closed: here, or where the
//! process is to end, by whoever waits for [`Drain::has_ended`].

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::duration;
use crate::service::Service;

/// Connections are counted again so often; a handshake that fails is not notified.
const LOOK: Duration = Duration::from_millis(100);

/// See the module's documentation. One for each node; all commands share it.
#[derive(Debug)]
pub struct Drain(watch::Sender<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    order: Option<Order>,
    /// Nothing is left to wait for.
    is_over: bool,
    /// Connections that were open when the time was over.
    closed: usize,
}

/// How far a drain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainStatus {
    /// Connections that are left.
    pub left: usize,
    /// None is waited for any more.
    pub over: bool,
    /// Those that were closed because the time was over.
    pub closed: usize,
    /// The server ends when it is over.
    pub ends: bool,
    /// What is left of the time, in milliseconds.
    pub remaining_ms: u64,
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// When those that are left are closed.
    until: Instant,
    /// The server ends when it is over.
    ends: bool,
    /// A second one closes those that are left at once.
    by_signal: bool,
}

impl Order {
    /// Drain at most for this time, and end the server then if `ends`.
    pub fn new(max: Duration, ends: bool) -> Self {
        Order {
            until: Instant::now() + max,
            ends,
            by_signal: false,
        }
    }

    /// The same as a signal says it.
    pub fn by_signal(max: Duration) -> Self {
        Order {
            by_signal: true,
            ..Order::new(max, true)
        }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Drain(watch::channel(State::default()).0)
    }
}

impl Drain {
    /// Drain from now on. Of several orders the shortest time counts, and one that ends
    /// the server is enough.
    pub fn begin(&self, order: Order) {
        self.0.send_modify(|state| {
            let all = state.order.get_or_insert(order);
            all.until = all.until.min(order.until);
            all.ends |= order.ends;
            all.by_signal |= order.by_signal;
        });
    }

    /// Whether no more connections are accepted.
    pub fn has_begun(&self) -> bool {
        self.0.borrow().order.is_some()
    }

    /// What is known of it, when so many connections are open. `None` before it begins.
    pub fn status(&self, left: usize) -> Option<DrainStatus> {
        let State {
            order,
            is_over,
            closed,
        } = *self.0.borrow();
        order.map(|order| DrainStatus {
            left,
            over: is_over,
            closed,
            ends: order.ends,
            remaining_ms: remaining(order.until),
        })
    }

    /// Wait until it has begun.
    pub async fn begun(&self) {
        let mut state = self.0.subscribe();
        // The sender is this value's own.
        let _ = state.wait_for(|state| state.order.is_some()).await;
    }

    /// Wait until it is over and the server is to end.
    pub async fn has_ended(&self) {
        let mut state = self.0.subscribe();
        let ends = |state: &State| state.is_over && state.order.is_some_and(|order| order.ends);
        let _ = state.wait_for(ends).await;
    }

    /// Wait for an order, and carry it out: stop accepting, then wait for the connections
    /// of the services.
    pub async fn run(
        &self,
        services: impl Fn() -> Vec<Arc<Service>>,
        stop_accepting: impl FnOnce(),
    ) {
        let left = || {
            services()
                .iter()
                .map(|service| service.taken())
                .sum::<usize>()
        };
        self.begun().await;
        stop_accepting();
        let mut state = self.0.subscribe();
        let mut announced = None;
        let (closed, ends) = loop {
            let order = *state.borrow_and_update();
            let Some(order) = order.order else { return };
            let open = left();
            if open == 0 && order.by_signal && announced.is_none() {
                // Nothing to wait for: the server just stops.
                self.0.send_modify(|state| state.is_over = true);
                return;
            }
            if announced.replace(order.until) != Some(order.until) {
                order.announce(open);
            }
            if open == 0 || order.until <= Instant::now() {
                break (open, order.ends);
            }
            let next = order.until.min(Instant::now() + LOOK);
            // Another order may be shorter.
            let _ = timeout_at(next, state.changed()).await;
        };
        tracing::info!(
            kind = "drained",
            closed,
            "drained{}",
            match closed {
                0 => String::new(),
                1 => ": the time is over for 1 connection, which is closed".to_owned(),
                _ => format!(": the time is over for {closed} connections, which are closed"),
            }
        );
        self.0.send_modify(|state| state.closed = closed);
        // A server that ends closes them as it does so.
        if closed > 0 && !ends {
            let services = services();
            for service in &services {
                service.rollouts.stop();
                service.roster.wake_all();
            }
            for service in &services {
                service.shut_down(Duration::MAX).await;
            }
        }
        self.0.send_modify(|state| state.is_over = true);
    }
}

impl Order {
    /// Log that it is carried out, with so many connections open.
    fn announce(&self, open: usize) {
        let mut text = "draining: no more connections are accepted".to_owned();
        if open > 0 {
            let time = Duration::from_millis(remaining(self.until));
            let tenths = (time.as_secs_f64() * 10.0).round();
            let time = duration::show(Duration::from_secs_f64(tenths / 10.0));
            text.push_str(&format!("; open connections: {open}, for {time} at most"));
            if self.by_signal {
                text.push_str("; Ctrl-C again closes them now");
            }
        }
        tracing::info!(kind = "draining", connections = open, "{text}");
    }
}

fn remaining(until: Instant) -> u64 {
    let remaining = until.saturating_duration_since(Instant::now());
    u64::try_from(remaining.min(duration::MAX).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_several_orders_the_shortest_counts_and_one_that_ends_is_enough() {
        let drain = Drain::default();
        assert!(!drain.has_begun() && drain.status(1).is_none());
        drain.begin(Order::by_signal(Duration::from_secs(60)));
        drain.begin(Order::new(Duration::from_secs(600), false));
        let status = drain.status(3).expect("it has begun");
        assert!(status.ends && !status.over);
        assert_eq!((status.left, status.remaining_ms), (3, 60_000));
        drain.begin(Order::new(Duration::from_secs(1), false));
        assert_eq!(
            drain.status(0).map(|status| status.remaining_ms),
            Some(1000)
        );
    }
}
