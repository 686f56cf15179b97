//! hotsocket: an application server for raw TCP whose connection logic is a
//! WebAssembly component.
//!
//! The host owns the sockets, one sandboxed instance serves one connection,
//! and the code of that instance can be replaced between any two events.
//!
//! # Layout
//! - [`server`]: a server from start to the last byte; begin reading here
//! - [`listener`]: bind and accept
//! - [`connection`]: the driver of one connection
//! - [`runtime`]: the sandbox; with the crates [`hotsocket_store`] and
//!   [`hotsocket_wasi`] below it, the only place that knows wasmtime
//! - [`registry`]: generations of the guest, and swaps
//! - [`control`]: the socket that the other commands talk to
//! - [`cli`]: the command line
//! - [`build`]: guests from source
//! - [`new`], [`dev`], [`conversation`]: for authors of guests: `hotsocket new`,
//!   `dev` and `test`
//! - [`limits`]: every limit with its default and its range
//! - [`reached`]: counts how often each was reached
//! - [`output`], [`log`]: what is printed
//! - [`watch`]: notices changes of files
//! - [`thread`], [`write_whole`], [`duration`], [`size`], [`descriptors`],
//!   [`os_error`]: one small thing each

pub mod build;
pub mod cli;
pub mod connection;
pub mod control;
pub mod conversation;
mod descriptors;
pub mod dev;
pub mod duration;
pub mod limits;
pub mod listener;
pub mod log;
pub mod new;
mod os_error;
pub mod registry;
pub mod runtime;
pub mod server;
mod size;
mod thread;
mod watch;
mod write_whole;

// Of the whole server, but a store's guest prints and reaches limits, too.
pub use hotsocket_store::{output, reached};

/// The guests that the README shows are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
