//! What every test needs: servers, clients, and ways to wait.

mod client;
mod command;
mod lines;
mod server;
mod wait;

pub use client::Client;
pub use command::{Ran, ask, hotsocket, run, run_within};
pub use lines::Lines;
pub use server::{Serve, Server, serve};
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

/// A test that lacks something of this machine says so, past the harness'
/// capture, and fails where everything must be there.
pub fn skip(test: &str, lacking: &str) {
    skip_anywhere(test, lacking);
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "CI must have it: {lacking}"
    );
}

/// The same for what not even every machine of CI has.
pub fn skip_anywhere(test: &str, lacking: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {lacking}");
}

/// Whether a program can be run here.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}
