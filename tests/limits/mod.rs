//! Each limit has a guest or a client that reaches it, which costs that one
//! connection, is logged and is counted in `status`.
//!
//! `docs/limits.md` names for each limit the test that holds it.

mod connection_count;
mod cpu_budget;
mod defaults;
mod guest_output;
mod handshake;
mod machine_headroom;
mod machine_resources;
mod memory_mappings;
mod output_failures;
mod sizes;
mod text;
mod timeouts;
mod wasi_grants;
