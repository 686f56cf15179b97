//! hotsocket: an application server for raw TCP whose connection logic is a
//! WebAssembly component.
//!
//! The host owns the sockets, one sandboxed instance serves one connection,
//! and the code of that instance can be replaced between any two events.
//!
//! # Layout
//! - [`node`]: what there is once in a process, from start to the last byte;
//!   begin reading here
//! - [`service`]: one guest with its sessions, limits and counters
//! - [`listener`]: where connections come from
//! - [`session`]: one connection from accept to close
//! - [`channel`]: one byte stream of a session
//! - [`registry`]: generations of the guest, and swaps
//! - [`rollout`], [`roster`]: what sessions and swaps know of each other
//! - [`tap`]: what people see of a connection while it is served
//! - [`control`]: the socket that the other commands talk to
//! - [`cli`]: the command line
//! - [`build`]: guests from source
//! - [`new`], [`dev`], [`conversation`]: for authors of guests: `hotsocket new`,
//!   `dev` and `test`
//! - [`admin`]: metrics, health and status over HTTP
//! - [`drain`]: how a node takes leave of its connections
//! - [`top`]: watches a running server; [`transcript`]: a connection on a terminal
//! - [`limits`]: every limit with its default and its range
//! - [`output`], [`log`]: what is printed
//! - [`guest_file`]: reads the file of a guest, whatever stands in its place
//! - [`watch`]: notices changes of files
//! - [`duration`], [`size`], [`descriptors`], [`os_error`], [`by_name`]: one small thing each
//!
//! The sandbox that guests run in is a crate of its own, [`hotsocket_sandbox`]:
//! nothing here names wasmtime.

pub mod admin;
pub mod build;
mod by_name;
pub mod channel;
pub mod cli;
pub mod control;
pub mod conversation;
mod descriptors;
pub mod dev;
pub mod drain;
pub mod duration;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod guest_file;
pub mod limits;
pub mod listener;
pub mod log;
pub mod nats;
pub mod new;
pub mod node;
mod os_error;
pub mod output;
pub mod registry;
#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;
pub mod rollout;
pub mod roster;
pub mod service;
pub mod session;
mod size;
mod socket_file;
pub mod store;
pub mod tap;
pub mod top;
pub mod topics;
pub mod transcript;
mod watch;

/// The guests that the README shows are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
