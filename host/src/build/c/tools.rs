//! Finds what compiles C for WebAssembly: clang with its run-time library, the
//! linker, and wasi-libc where Debian puts it.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::Error;
use super::super::toolchain::versions_of;

/// Where `wasi-libc` installs its files.
const HEADERS: &str = "/usr/include/wasm32-wasi";
const LIBRARIES: &str = "/usr/lib/wasm32-wasi";
/// Older versions are untested.
const OLDEST_CLANG: u32 = 14;

/// Errors of C guests only; the others are in [`Error`].
#[derive(Debug, thiserror::Error)]
pub enum CError {
    #[error(
        "a guest in C needs {what} to be built: install it, on Debian 12 with `apt-get install clang-22 libclang-rt-22-dev-wasm32 lld-22 wasi-libc`"
    )]
    Missing { what: &'static str },
}

/// The paths of everything that a build needs.
pub(super) struct Tools {
    pub(super) clang: PathBuf,
    pub(super) builtins: PathBuf,
    pub(super) wasm_ld: PathBuf,
    pub(super) headers: PathBuf,
    pub(super) libraries: PathBuf,
}

impl Tools {
    pub(super) fn find() -> Result<Self, CError> {
        let missing = |what| CError::Missing { what };
        let clangs = on_path("clang");
        if clangs.is_empty() {
            return Err(missing("clang"));
        }
        let with_builtins = clangs
            .into_iter()
            .find_map(|clang| builtins(&clang).map(|builtins| (clang, builtins)));
        let (clang, builtins) = with_builtins.ok_or(missing("clang's library for WebAssembly"))?;
        if !Path::new(LIBRARIES).join("libc.a").exists() || !Path::new(HEADERS).is_dir() {
            return Err(missing("wasi-libc"));
        }
        let wasm_ld = on_path("wasm-ld").into_iter().next();
        Ok(Tools {
            clang,
            builtins,
            wasm_ld: wasm_ld.ok_or(missing("wasm-ld"))?,
            headers: PathBuf::from(HEADERS),
            libraries: PathBuf::from(LIBRARIES),
        })
    }
}

/// Run a program with its output on standard error. Returns whether it succeeded.
pub(super) fn run(command: &mut Command) -> Result<bool, Error> {
    let status = command.stdin(Stdio::null()).stdout(io::stderr()).status();
    let status = status.map_err(|error| Error::Run {
        path: PathBuf::from(command.get_program()),
        error,
    })?;
    Ok(status.success())
}

fn on_path(name: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    versions_of(name, env::split_paths(&path), OLDEST_CLANG)
}

/// clang's runtime library: functions for operations that WebAssembly lacks.
fn builtins(clang: &Path) -> Option<PathBuf> {
    let dir = stdout_of(Command::new(clang).arg("-print-resource-dir"))?;
    let dir = Path::new(&dir).join("lib");
    let places = [
        "wasi/libclang_rt.builtins-wasm32.a",
        "wasm32-unknown-wasi/libclang_rt.builtins.a",
        "wasm32-wasi/libclang_rt.builtins.a",
        "wasm32-unknown-wasip1/libclang_rt.builtins.a",
    ];
    let mut places = places.iter().map(|place| dir.join(place));
    places.find(|place| place.exists())
}

fn stdout_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}
