//! The peer of one connection, as a script plays it: what a step sends to the
//! guest, and what it awaits.
//!
//! Owns the bytes that came and no step has taken yet. It never looks at the
//! server; [`super::runner`] does.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::wire::{PeerEnd, Side};
use super::{Failure, difference};

/// The clock's smallest step. After so long everything that could be done
/// before has been done, as the clock moves only when there is nothing to do.
pub const INSTANT: Duration = Duration::from_millis(1);

pub struct Peer {
    wire: PeerEnd,
    /// Come, and not taken by a step.
    pub received: Vec<u8>,
    pub side: Side,
}

/// A failure without its line.
pub type Wrong = (String, Vec<String>);

pub fn wrong(told: impl Into<String>) -> Wrong {
    (told.into(), Vec::new())
}

impl From<Wrong> for Failure {
    fn from((told, details): Wrong) -> Self {
        Failure {
            line: 0,
            told,
            details,
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

    /// Wait until the guest has dealt with everything that was sent to it, if
    /// it does so without waiting for something else.
    pub async fn settle(&mut self) {
        let rests = async {
            while !self.wire.rests() {
                self.wire.changed().await;
            }
        };
        let _ = timeout(INSTANT, rests).await;
        self.look();
    }

    /// Take what has come.
    pub fn look(&mut self) {
        self.side = self.wire.take(&mut self.received);
    }

    pub async fn send(&mut self, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece) {
            self.wire.send(piece);
        }
        self.settle().await;
    }

    pub async fn end(&mut self) {
        self.wire.end();
        self.settle().await;
    }

    pub async fn abort(&mut self) {
        self.wire.abort();
        self.settle().await;
    }

    pub async fn stall(&mut self, stalled: bool) {
        self.wire.stall(stalled);
        self.settle().await;
    }

    /// The next bytes are these.
    pub async fn expect(&mut self, expected: &[u8], time: Duration) -> Result<(), Wrong> {
        let deadline = Instant::now() + time;
        loop {
            self.look();
            let same = difference::place(expected, &self.received);
            if same == expected.len() {
                self.received.drain(..same);
                return Ok(());
            }
            let why = if same < self.received.len() {
                "other bytes came than were expected".to_owned()
            } else if self.side == Side::Ended {
                format!(
                    "the connection ended after {same} of {} bytes",
                    expected.len()
                )
            } else if self.side == Side::Reset {
                format!(
                    "the connection was reset after {same} of {} bytes",
                    expected.len()
                )
            } else if timeout_at(deadline, self.wire.changed()).await.is_err() {
                format!(
                    "{same} of {} bytes came within {}",
                    expected.len(),
                    crate::duration::show(time)
                )
            } else {
                continue;
            };
            return Err((why, difference::lines(expected, &self.received)));
        }
    }

    /// The host ends its side in this way, and sends nothing more before.
    pub async fn expect_side(&mut self, side: Side, time: Duration) -> Result<(), Wrong> {
        let deadline = Instant::now() + time;
        let word = |side| match side {
            Side::Open => "nothing",
            Side::Ended => "an end",
            Side::Reset => "a reset",
        };
        let expected = word(side);
        loop {
            self.look();
            if !self.received.is_empty() {
                let came = difference::told(&self.received);
                return Err(wrong(format!(
                    "expected {expected}, but bytes came: {came}"
                )));
            }
            match self.side {
                Side::Open => {}
                came if came == side => return Ok(()),
                came => {
                    return Err(wrong(format!(
                        "expected {expected}, but {} came",
                        word(came)
                    )));
                }
            }
            if timeout_at(deadline, self.wire.changed()).await.is_err() {
                let time = crate::duration::show(time);
                return Err(wrong(format!(
                    "expected {expected}, but the connection is still open after {time}"
                )));
            }
        }
    }

    /// Nothing has come that no step has taken.
    pub async fn expect_nothing(&mut self) -> Result<(), Wrong> {
        tokio::time::sleep(INSTANT).await;
        self.look();
        match self.side {
            _ if !self.received.is_empty() => Err(wrong(format!(
                "expected nothing, but bytes came: {}",
                difference::told(&self.received)
            ))),
            Side::Open => Ok(()),
            Side::Ended => Err(wrong("expected nothing, but the connection has ended")),
            Side::Reset => Err(wrong("expected nothing, but the connection was reset")),
        }
    }
}
