//! `hotsocket top`: what a running server does, again and again, on a terminal.
//!
//! - [`look`]: what is asked of the server, and the rates between two looks
//! - [`table`]: connections, topics and generations as rows of text
//! - [`text`]: one look as plain text, where there is no terminal
//! - [`screen`]: one look on a terminal; [`keys`]: what its keys do
//! - [`terminal`]: the loop, the thread that asks, and the terminal as it was before

mod keys;
mod look;
mod screen;
mod table;
mod terminal;
mod text;

use std::time::Duration;

pub use look::{Look, Question, Rates, Server};
pub use terminal::{TopError, run};
pub use text::show;

/// The shortest time between two looks.
pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
