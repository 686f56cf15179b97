//! What every test needs.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `server`, `control`, `proc` | a running server; its other commands; what the kernel says of it |
//! | `scene` | a server that is treated badly, and a neighbour that must not notice |
//! | `client` | a TCP client with a deadline on everything |
//! | `command`, `process`, `lines` | programs that run to their end, or next to the test; what they print |
//! | `wait` | waiting for conditions, never for time |
//! | `nats` | a NATS server, and a client of it |
//! | `files` | ways to replace a file |
//! | `build`, `node`, `skip` | compilers and programs that a machine may lack |

mod build;
mod client;
mod command;
mod control;
pub mod files;
mod lines;
mod nats;
mod node;
mod proc;
mod process;
mod scene;
mod server;
mod skip;
mod wait;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

pub use build::{FIRST_BUILD, Fetched, build, build_cache, kept, lacks_tools, lacks_tools_for};
pub use client::Client;
pub use command::{Ran, ask, hotsocket, run, run_within};
pub use lines::{Lines, assert_logged_once, count_lines};
pub use nats::NatsServer;
pub use node::Node;
pub use proc::{TcpRow, Usage, kill, wait_read};
pub use process::{Process, Reader};
pub use scene::Scene;
pub use server::{Serve, Server, listening_on, serve};
pub use skip::{is_ci, lacks_program, skip, skip_even_in_ci};
pub use wait::{PATIENCE, stalled, wait_for, wait_for_within, wait_within};

/// A file of the repository.
pub fn repo(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path)
}

/// The component of a guest that comes with the project.
pub fn prebuilt(name: &str) -> Vec<u8> {
    fs::read(prebuilt_path(name)).expect("a prebuilt guest")
}

pub fn prebuilt_path(name: &str) -> PathBuf {
    repo(&format!("guest/prebuilt/{name}.wasm"))
}

/// A directory that is removed when the test is over.
pub fn temp_dir() -> TempDir {
    tempfile::tempdir().expect("a directory")
}
