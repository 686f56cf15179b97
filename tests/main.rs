//! hotsocket tested from outside: a test starts the real binary and talks to it
//! over real sockets.
//!
//! These do otherwise: `swap::random_sequences`, `limits::handshake` and `soak` have a
//! whole server in this process, which they drive faster or change;
//! `hostile::component_bytes` calls the loader alone; `limits::defaults`,
//! `example_guests::up_to_date` and `documents` compare files;
//! `languages::rust_sdk` runs `cargo test`; commands that need no server, as `build`
//! and `inspect`, are run without one.
//!
//! | module | what it tests |
//! | --- | --- |
//! | `cli` | the commands of the binary, a module for each |
//! | `configuration` | the configuration file, several services, and reading it again |
//! | `connections` | what happens to a connection that works, from accept to close |
//! | `swap` | new code under open connections, rollback, the watched file |
//! | `limits` | each limit, reached |
//! | `tls` | TLS in the listener |
//! | `listeners` | what comes before a session: PROXY headers, limits of listeners, who the peer is |
//! | `topics` | what connections say to each other |
//! | `store` | what outlives connections |
//! | `inspector` | what people see of connections: taps, `watch` |
//! | `inspector_page` | the inspector's page in a real browser |
//! | `operating` | the admin address, metrics, `top` and `drain` |
//! | `logs` | the log's two formats, and the access log |
//! | `hostile` | guests, clients and bytes that mean harm, and what they cost others |
//! | `languages` | guests built from Rust, JavaScript, Python and C |
//! | `example_guests` | the guests that come with the project |
//! | `soak` | everything at once, and every byte checked |
//! | `documents` | the tests that `docs/` names exist |
//!
//! `harness` starts servers and talks to them, `guests` makes guests that do one
//! thing. Tests need neither Node nor a wasm toolchain nor nc: those that use one
//! are skipped where it is missing, and fail instead when `CI=true`.

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

mod cli;
mod configuration;
mod connections;
mod documents;
mod example_guests;
mod hostile;
mod inspector;
mod inspector_page;
mod languages;
mod limits;
mod listeners;
mod logs;
mod operating;
mod soak;
mod store;
mod swap;
mod tls;
mod topics;
