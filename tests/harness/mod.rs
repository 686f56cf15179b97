//! What every test needs: servers, clients, and ways to wait.

mod client;
mod command;
pub mod files;
mod lines;
mod scene;
mod server;
mod wait;

pub use client::Client;
pub use command::{Ran, ask, hotsocket, run, run_within};
pub use lines::Lines;
pub use scene::{Scene, limits_reached, reached};
pub use server::{Serve, Server, serve};
pub use wait::{PATIENCE, stalled, wait_for, wait_within};

use std::fs;
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
    assert!(!is_ci(), "CI must have it: {lacking}");
}

/// The same for what not even every machine of CI has.
pub fn skip_anywhere(test: &str, lacking: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {lacking}");
}

/// Whether what `hotsocket build` fetches once for guests in a language is here
/// already. Where CI must have everything, it is fetched now; a newcomer's
/// first run of the tests would take minutes longer for it.
pub fn fetched(language: &str) -> bool {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let kept = cache
        .or_else(home)
        .and_then(|cache| fs::read_dir(cache.join("hotsocket/build")).ok());
    let mut kept = kept.into_iter().flatten().flatten();
    is_ci() || kept.any(|kept| kept.file_name().to_string_lossy().starts_with(language))
}

/// What a test lacks where [`fetched`] is not so.
pub const NOT_FETCHED: &str =
    "its compiler, which `hotsocket build` fetches once; with CI=true it is fetched now";

/// Whether this machine must have everything, and each test does all it can.
pub fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| ci == "true")
}

/// Whether a program can be run here.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}
