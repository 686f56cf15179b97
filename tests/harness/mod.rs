//! What every test needs: servers, clients, and ways to wait.

mod build;
mod client;
mod command;
pub mod files;
mod lines;
mod scene;
mod server;
mod skip;
mod wait;

pub use build::{FIRST_BUILD, Fetched, build, kept, lacks_tools, lacks_tools_for};
pub use client::Client;
pub use command::{Ran, ask, hotsocket, run, run_within};
pub use lines::Lines;
pub use scene::{Scene, limits_reached, reached};
pub use server::{Serve, Server, serve};
pub use skip::{is_ci, lacks_program, skip, skip_even_in_ci};
pub use wait::{PATIENCE, stalled, wait_for, wait_within};

use std::path::PathBuf;

/// A file of the repository.
pub fn repo(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path)
}

/// One of the guests that come with the project.
pub fn prebuilt(name: &str) -> PathBuf {
    repo(&format!("guest/prebuilt/{name}.wasm"))
}
