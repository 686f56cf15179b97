//! The whole of hotsocket from outside: every test starts the real binary and
//! talks to it over real sockets.
//!
//! `harness` starts servers and talks to them, `guests` makes guests that
//! misbehave; every other module holds one topic. Tests need neither Node nor
//! a wasm toolchain nor nc: those that use one say that they were skipped, and
//! fail instead when `CI=true`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test that finds something else than it expects ends there, and tells"
)]

mod guests;
mod harness;

mod authoring;
mod clients;
mod closing;
mod compat;
mod control;
mod conversation;
mod examples;
mod faults;
mod files;
mod flow;
mod hibernate;
mod input;
mod inspect;
mod javascript;
mod languages;
mod limits;
mod migration;
mod node;
mod prebuilt;
mod sdk;
mod signals;
mod soak;
mod source;
mod start;
mod swap;
mod vanished;
mod watch;
