//! Guests, clients and bytes that mean harm: what they do costs one connection,
//! and no other. Where a limit stops them, `limits` has it.

mod bad_clients;
mod compile_bombs;
mod compiled_code;
mod component_bytes;
mod control_requests;
mod guest_faults;
mod import_arguments;
mod many_bad_guests;
