//! The commands of the binary: what they print, which errors they name, and how
//! they exit. A module for each command; `serve_errors` has what `serve` rejects.

mod build;
mod control_clients;
mod dev;
mod inspect;
mod new;
mod serve;
mod serve_errors;
mod sources;
mod status_and_swap;
mod supervisor;
mod test;
