//! The format of a script: one step per line, as `docs/testing.md` describes it.
//!
//! - [`mod@line`]: the lexer: words, strings and numbers of one line
//! - [`action`]: the parser of what a step does
//! - [`peer`]: the same of the step `peer`
//! - [`order`]: which steps may follow each other
//!
//! Whatever can be known to be wrong with a script without running it is found
//! here; nothing is read from disk and nothing is run.

mod action;
mod line;
mod order;
mod peer;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::facts::Fact;
use line::Line;
use order::Order;

/// One line of a script that does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub line: usize,
    /// The name of the connection that it is about; empty for the one without
    /// a name.
    pub connection: String,
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Open,
    /// What is known of the peer, which has not connected yet.
    Peer(Fact),
    /// In pieces of at most so many bytes, each of which is one event.
    Send {
        bytes: Vec<u8>,
        piece: usize,
    },
    Expect(Vec<u8>),
    ExpectEnd,
    ExpectReset,
    ExpectNothing,
    End,
    Abort,
    /// The peer does the handshake that the guest has asked for.
    StartTls,
    /// The peer stops reading…
    Stall,
    /// …until it reads again.
    Resume,
    /// To the code of this file, or to the same code once more.
    Swap(Option<String>),
    Rollback,
    Wait(Duration),
    /// A setting of the guest.
    Set(String, String),
    /// Bytes under a topic, from outside.
    Publish(String, Vec<u8>),
    /// A guest publishes these.
    Published(String, Vec<u8>),
    Print(String),
    Error(String),
    Fault(Option<String>),
    Stop,
}

impl Action {
    /// Bytes that it sends or expects.
    fn payload(&self) -> usize {
        match self {
            Action::Send { bytes, .. } | Action::Expect(bytes) => bytes.len(),
            Action::Peer(Fact::Certificate(bytes) | Fact::Extension(_, bytes)) => bytes.len(),
            Action::Publish(_, bytes) | Action::Published(_, bytes) => bytes.len(),
            _ => 0,
        }
    }

    /// It is over when what it expects has come or an event has ended, and until then time
    /// passes.
    pub(super) fn waits_for_guest(&self) -> bool {
        use Action::*;
        matches!(
            self,
            Expect(_)
                | ExpectEnd
                | ExpectReset
                | Published(..)
                | Print(_)
                | Error(_)
                | Fault(_)
                | Swap(_)
                | Rollback
                | Stop
        )
    }

    /// It is about the server, not about one connection.
    fn is_of_server(&self) -> bool {
        use Action::*;
        matches!(
            self,
            Swap(_)
                | Rollback
                | Wait(_)
                | Set(..)
                | Publish(..)
                | Published(..)
                | Print(_)
                | Error(_)
                | Fault(_)
                | Stop
        )
    }
}

/// The most that all steps together send and expect, in bytes: they are all in
/// memory, and `*` makes many of a short line.
const MAX_PAYLOADS: usize = 128 << 20;

/// A line that is not a step, or a step that is not allowed there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    pub line: usize,
    pub message: String,
}

/// Parse a script.
///
/// # Errors
/// Names the first line that is wrong.
pub fn parse(text: &str) -> Result<Vec<Step>, ParseError> {
    let mut steps = Vec::new();
    let mut payloads = 0;
    let mut order = Order::default();
    for (index, text) in text.lines().enumerate() {
        let line = index + 1;
        let error = |message| ParseError { line, message };
        let mut rest = Line::new(text);
        if rest.is_empty() {
            continue;
        }
        let (connection, word) = rest.step().map_err(error)?;
        let action = action::parse(word, &mut rest).map_err(error)?;
        if !rest.is_empty() {
            return Err(error(format!(
                "unexpected text after `{word}`: {}",
                rest.as_str()
            )));
        }
        order.check(connection, word, &action).map_err(error)?;
        payloads += action.payload();
        if payloads > MAX_PAYLOADS {
            return Err(error(format!(
                "too many bytes: the steps of a script may have {MAX_PAYLOADS} together"
            )));
        }
        let connection = connection.to_owned();
        steps.push(Step {
            line,
            connection,
            action,
        });
    }
    match steps.is_empty() {
        true => Err(ParseError {
            line: 1,
            message: "the script has no steps".to_owned(),
        }),
        false => Ok(steps),
    }
}
