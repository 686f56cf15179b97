//! Finds what compiles C for WebAssembly: clang with its run-time library, the
//! linkers, and wasi-libc where Debian puts it.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::Error;

/// What `wasi-libc` brings.
const HEADERS: &str = "/usr/include/wasm32-wasi";
const LIBRARIES: &str = "/usr/lib/wasm32-wasi";
/// Older ones are not known to work.
const OLDEST_CLANG: u32 = 14;

/// Why a C guest was not built, where [`Error`] has no words for it.
#[derive(Debug, thiserror::Error)]
pub enum CError {
    #[error(
        "a guest in C needs {what} to be built: install it, on Debian 12 with `apt-get install clang-22 libclang-rt-22-dev-wasm32 lld-22 wasi-libc rustc-web`"
    )]
    Missing { what: &'static str },
}

/// Everything needed, found.
pub(super) struct Tools {
    pub(super) clang: PathBuf,
    pub(super) builtins: PathBuf,
    pub(super) wasm_ld: PathBuf,
    pub(super) component_ld: PathBuf,
    pub(super) headers: PathBuf,
    pub(super) libraries: PathBuf,
}

impl Tools {
    pub(super) fn find() -> Result<Self, CError> {
        let missing = |what| CError::Missing { what };
        let clangs = versions_of("clang");
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
        let wasm_ld = versions_of("wasm-ld").into_iter().next();
        Ok(Tools {
            clang,
            builtins,
            wasm_ld: wasm_ld.ok_or(missing("wasm-ld"))?,
            component_ld: component_ld()
                .ok_or(missing("wasm-component-ld, which comes with Rust"))?,
            headers: PathBuf::from(HEADERS),
            libraries: PathBuf::from(LIBRARIES),
        })
    }
}

/// Run it, with its words to standard error; whether it succeeded.
pub(super) fn run(command: &mut Command) -> Result<bool, Error> {
    let status = command.stdin(Stdio::null()).stdout(io::stderr()).status();
    let status = status.map_err(|error| Error::Run {
        path: PathBuf::from(command.get_program()),
        error,
    })?;
    Ok(status.success())
}

/// A program of this name, or with a version after it, the newest first.
fn versions_of(name: &str) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found = Vec::new();
    for dir in env::split_paths(&path) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let file = entry.file_name();
            let rest = file.to_str().and_then(|file| file.strip_prefix(name));
            let version = match rest {
                Some("") => Some(OLDEST_CLANG),
                Some(rest) => rest.strip_prefix('-').and_then(|v| v.parse().ok()),
                None => None,
            };
            if let Some(version) = version.filter(|version| *version >= OLDEST_CLANG) {
                found.push((version, entry.path()));
            }
        }
    }
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, path)| path).collect()
}

/// The functions that clang's code calls and the processor doesn't have.
fn builtins(clang: &Path) -> Option<PathBuf> {
    let dir = said(Command::new(clang).arg("-print-resource-dir"))?;
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

/// The component linker of the Rust in use, or of Debian's.
fn component_ld() -> Option<PathBuf> {
    let sysroot = said(Command::new("rustc").args(["--print", "sysroot"]));
    let roots = [sysroot.map(PathBuf::from), Some(PathBuf::from("/usr"))];
    roots.into_iter().flatten().find_map(|root| {
        let targets = fs::read_dir(root.join("lib/rustlib")).ok()?.flatten();
        targets
            .map(|target| target.path().join("bin/wasm-component-ld"))
            .find(|program| program.exists())
    })
}

fn said(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}
