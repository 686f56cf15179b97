//! Why a build failed: one line each, what failed and what to do next.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("cannot write {}: {error}", path.display())]
    Write { path: PathBuf, error: io::Error },
    #[error("{} is neither a directory nor a source file: name a cargo package's directory, or a single file in Rust (.rs), JavaScript or TypeScript (.js, .mjs, .cjs, .ts, .mts), Python (.py) or C (.c)", path.display())]
    NotSource { path: PathBuf },
    #[error("{} is already a component: `hotsocket serve` serves it and swaps when it changes", .0.display())]
    Component(PathBuf),
    #[error(
        "no guest source in {}: no Cargo.toml, server.js, handler.py… and no other source file; name the file, or create a project with `hotsocket new`",
        .0.display()
    )]
    NoSource(PathBuf),
    #[error(
        "several sources in {}, among them {} and {}: name the file, or call the guest's server.js, handler.py, handler.rs or handler.c",
        .dir.display(), .first.display(), .second.display()
    )]
    SeveralSources {
        dir: PathBuf,
        first: PathBuf,
        second: PathBuf,
    },
    #[error("the package in {} is not a cdylib: write `crate-type = [\"cdylib\"]` under `[lib]` in its Cargo.toml", path.display())]
    NoCdylib { path: PathBuf },
    #[error("the path {} is not UTF-8, which cargo cannot handle: rename it", path.display())]
    NotUtf8 { path: PathBuf },
    #[error("line {line} of {}: {problem}; write `// hotsocket: features = [\"wasi\"]`, with any of: {}", path.display(), super::settings::FEATURES.join(", "))]
    Settings {
        path: PathBuf,
        line: usize,
        problem: String,
    },
    #[error("no directory to build in: set HOME or XDG_CACHE_HOME")]
    NoCache,
    /// With what was found, and what is to be installed.
    #[error("no compiler for wasm32-wasip2: {what}")]
    NoToolchain { what: String },
    #[error("cannot run {}: {error}; is it installed?", path.display())]
    Run { path: PathBuf, error: io::Error },
    #[error("`cargo metadata` failed in {}: see its message above", path.display())]
    Metadata { path: PathBuf },
    #[error("{} does not compile: see the messages above", path.display())]
    Compile { path: PathBuf },
    #[error("{} compiled, but cargo reported no WebAssembly module", path.display())]
    NoArtifact { path: PathBuf },
    #[error("{} compiled, but cannot be encoded as a component: {reason}", path.display())]
    Encode { path: PathBuf, reason: String },
    #[error("building {} needs {program}: install Node 18 or newer with npm (on Debian with `apt-get install nodejs npm`)", path.display())]
    NoNode {
        path: PathBuf,
        program: &'static str,
    },
    #[error("cannot install what {} is built with: npm reports: {message}; the first build needs the network, later ones do not", path.display())]
    Packages { path: PathBuf, message: String },
    #[error(
        "what npm has installed in the user's cache is not complete: {message}; the next build installs it again"
    )]
    Incomplete { message: String },
    #[error("{program} timed out after {} and was killed", crate::duration::show(*limit))]
    Timeout {
        program: &'static str,
        limit: Duration,
    },
    /// An error in a script, as the builder reports it, with its place.
    #[error("{message}")]
    Script { message: String },
    #[error("cannot build {}: {message}", path.display())]
    Builder { path: PathBuf, message: String },
    #[error("{} compiled, but exports no handler; in Rust, call `hotsocket_guest::export!(…)` with it", path.display())]
    NotAGuest { path: PathBuf },
    #[error(transparent)]
    Python(#[from] super::python::PythonError),
    #[error(transparent)]
    C(#[from] super::c::CError),
}

impl Error {
    pub(super) fn read(path: &Path, error: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            error,
        }
    }

    pub(super) fn write(path: &Path, error: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            error,
        }
    }
}
