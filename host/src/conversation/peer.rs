//! The peer of one connection: what a step sends to the guest, and what it
//! expects of it.
//!
//! Owns the received bytes that no step has expected yet. It knows nothing of
//! the service behind the connection; [`super::runner`] does.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::wire::{PeerEnd, Side};
use super::{Failure, difference};

/// The clock's smallest step. After it everything that could be done before has
/// been done, as the clock moves only when no task has work to do.
pub const INSTANT: Duration = Duration::from_millis(1);

pub struct Peer {
    wire: PeerEnd,
    /// Bytes that no step has expected yet.
    pub received: Vec<u8>,
    /// How the host's side of the connection is.
    pub side: Side,
}

/// Why a step failed; [`Failure`] adds the step's line.
pub struct StepError {
    message: String,
    details: Vec<String>,
}

impl StepError {
    pub fn new(message: impl Into<String>) -> Self {
        StepError::with_details(message, Vec::new())
    }

    pub fn with_details(message: impl Into<String>, details: Vec<String>) -> Self {
        StepError {
            message: message.into(),
            details,
        }
    }

    pub fn at(self, line: usize) -> Failure {
        Failure {
            line,
            message: self.message,
            details: self.details,
        }
    }
}

impl Peer {
    pub fn new(wire: PeerEnd) -> Self {
        Peer {
            wire,
            received: Vec::new(),
            side: Side::Open,
        }
    }

    /// Wait until the guest has handled everything that was sent to it, unless
    /// it waits for something else.
    pub async fn wait_until_idle(&mut self) {
        let idle = async {
            while !self.wire.is_idle() {
                self.wire.changed().await;
            }
        };
        let _ = timeout(INSTANT, idle).await;
        self.receive();
    }

    /// Take what has arrived, without waiting.
    pub fn receive(&mut self) {
        self.side = self.wire.take(&mut self.received);
    }

    pub async fn send(&mut self, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece) {
            self.wire.send(piece);
        }
        self.wait_until_idle().await;
    }

    pub async fn end(&mut self) {
        self.wire.end();
        self.wait_until_idle().await;
    }

    /// Do the handshake that the guest has asked for.
    pub async fn start_tls(&mut self) -> Result<(), StepError> {
        if !self.wire.start_tls() {
            return Err(StepError::new(
                "the guest has not asked for TLS; it may, after `peer start-tls`",
            ));
        }
        self.wait_until_idle().await;
        Ok(())
    }

    pub async fn abort(&mut self) {
        self.wire.abort();
        self.wait_until_idle().await;
    }

    pub async fn stall(&mut self, stalled: bool) {
        self.wire.stall(stalled);
        self.wait_until_idle().await;
    }

    /// The next bytes are these; fails after `time`.
    pub async fn expect(&mut self, expected: &[u8], time: Duration) -> Result<(), StepError> {
        let deadline = Instant::now() + time;
        loop {
            self.receive();
            let same = difference::first_difference(expected, &self.received);
            if same == expected.len() {
                self.received.drain(..same);
                return Ok(());
            }
            let message = if same < self.received.len() {
                "received other bytes than expected".to_owned()
            } else if self.side == Side::Ended {
                format!(
                    "the host ended the connection after {same} of {} bytes",
                    expected.len()
                )
            } else if self.side == Side::Reset {
                format!(
                    "the host reset the connection after {same} of {} bytes",
                    expected.len()
                )
            } else if timeout_at(deadline, self.wire.changed()).await.is_err() {
                format!(
                    "timed out after {}: received {same} of {} bytes",
                    crate::duration::show(time),
                    expected.len()
                )
            } else {
                continue;
            };
            let details = difference::lines(expected, &self.received);
            return Err(StepError::with_details(message, details));
        }
    }

    /// The host's side ends in this way, and sends nothing more before.
    pub async fn expect_side(&mut self, side: Side, time: Duration) -> Result<(), StepError> {
        let deadline = Instant::now() + time;
        let word = |side| match side {
            Side::Open => "nothing",
            Side::Ended => "an end",
            Side::Reset => "a reset",
        };
        let expected = word(side);
        loop {
            self.receive();
            if !self.received.is_empty() {
                let received = difference::quote(&self.received);
                return Err(StepError::new(format!(
                    "expected {expected}, received bytes: {received}"
                )));
            }
            match self.side {
                Side::Open => {}
                actual if actual == side => return Ok(()),
                actual => {
                    return Err(StepError::new(format!(
                        "expected {expected}, received {}",
                        word(actual)
                    )));
                }
            }
            if timeout_at(deadline, self.wire.changed()).await.is_err() {
                let time = crate::duration::show(time);
                return Err(StepError::new(format!(
                    "timed out after {time}: expected {expected}, the connection is still open"
                )));
            }
        }
    }

    /// Nothing has arrived that no step has expected.
    pub async fn expect_nothing(&mut self) -> Result<(), StepError> {
        tokio::time::sleep(INSTANT).await;
        self.receive();
        match self.side {
            _ if !self.received.is_empty() => Err(StepError::new(format!(
                "expected nothing, received bytes: {}",
                difference::quote(&self.received)
            ))),
            Side::Open => Ok(()),
            Side::Ended => Err(StepError::new(
                "expected nothing, but the host ended the connection",
            )),
            Side::Reset => Err(StepError::new(
                "expected nothing, but the host reset the connection",
            )),
        }
    }
}
