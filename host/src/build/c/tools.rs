//! Finds what compiles C for WebAssembly: clang with its run-time library, the
//! linker, and wasi-libc where Debian puts it.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::Error;
use super::super::toolchain::{list, versions_of};
use crate::descriptors;

/// Where `wasi-libc` installs its files, below `/usr`.
const HEADERS: &str = "include/wasm32-wasi";
const LIBRARIES: &str = "lib/wasm32-wasi";
/// Older versions are untested.
const OLDEST_CLANG: u32 = 14;
/// Debian's newest, for messages.
const DEBIAN_CLANG: u32 = 22;

/// Errors of C guests only; the others are in [`Error`].
#[derive(Debug, thiserror::Error)]
pub enum CError {
    #[error(
        "a guest in C needs {missing} to be built, and finds {found}: install it, on Debian 12 with `apt-get install {packages}`"
    )]
    Missing {
        missing: String,
        found: String,
        packages: String,
    },
}

/// The paths of everything that a build needs.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) clang: PathBuf,
    pub(super) builtins: PathBuf,
    pub(super) wasm_ld: PathBuf,
    pub(super) headers: PathBuf,
    pub(super) libraries: PathBuf,
}

impl Tools {
    pub(super) fn find() -> Result<Self, CError> {
        let path = env::var_os("PATH").unwrap_or_default();
        Self::find_in(
            &env::split_paths(&path).collect::<Vec<_>>(),
            Path::new("/usr"),
        )
    }

    /// Programs in these directories, and files below `usr`.
    fn find_in(path: &[PathBuf], usr: &Path) -> Result<Self, CError> {
        let on_path = |name| versions_of(name, path.iter().cloned(), OLDEST_CLANG);
        let clangs = on_path("clang");
        let with_builtins = clangs
            .iter()
            .find_map(|clang| builtins(clang).map(|builtins| (clang.clone(), builtins)));
        let (headers, libraries) = (usr.join(HEADERS), usr.join(LIBRARIES));
        let has_libc = libraries.join("libc.a").exists() && headers.is_dir();
        let wasm_ld = on_path("wasm-ld").into_iter().next();
        match (with_builtins, wasm_ld) {
            (Some((clang, builtins)), Some(wasm_ld)) if has_libc => Ok(Tools {
                clang,
                builtins,
                wasm_ld,
                headers,
                libraries,
            }),
            (with_builtins, wasm_ld) => {
                // The library must be of the compiler's version.
                let version = clangs.iter().find_map(|clang| version(clang));
                let version = version.unwrap_or(DEBIAN_CLANG);
                Err(CError::missing([
                    (
                        !clangs.is_empty(),
                        "clang 14 or newer",
                        format!("clang-{version}"),
                    ),
                    (
                        with_builtins.is_some(),
                        "clang's library for WebAssembly",
                        format!("libclang-rt-{version}-dev-wasm32"),
                    ),
                    (wasm_ld.is_some(), "wasm-ld", format!("lld-{version}")),
                    (has_libc, "wasi-libc", "wasi-libc".to_owned()),
                ]))
            }
        }
    }
}

impl CError {
    /// From whether each part is there, what it is, and Debian's package with it.
    fn missing(parts: [(bool, &str, String); 4]) -> Self {
        let (found, missing): (Vec<_>, Vec<_>) = parts.iter().partition(|(there, ..)| *there);
        let names = |parts: &[&(bool, &str, String)]| {
            list(&parts.iter().map(|(_, name, _)| *name).collect::<Vec<_>>())
        };
        let packages: Vec<_> = missing
            .iter()
            .map(|(.., package)| package.as_str())
            .collect();
        CError::Missing {
            missing: names(&missing),
            found: names(&found),
            packages: packages.join(" "),
        }
    }
}

/// Run a program with its output on standard error. Returns whether it succeeded.
pub(super) fn run(command: &mut Command) -> Result<bool, Error> {
    let command = descriptors::inherit_limit(command);
    let status = command.stdin(Stdio::null()).stdout(io::stderr()).status();
    let status = status.map_err(|error| Error::Run {
        path: PathBuf::from(command.get_program()),
        error,
    })?;
    Ok(status.success())
}

/// The major version of a clang, by its directory of resources.
fn version(clang: &Path) -> Option<u32> {
    let dir = stdout_of(Command::new(clang).arg("-print-resource-dir"))?;
    let name = Path::new(&dir).file_name()?.to_str()?;
    name.split('.').next()?.parse().ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_one_part_that_is_missing_is_named_and_what_is_there() {
        let kept = tempfile::tempdir().expect("a directory");
        let usr = kept.path();
        let resources = usr.join("lib/clang/16");
        let clang = kept.path().join("clang");
        fs::write(&clang, format!("#!/bin/sh\necho {}\n", resources.display())).expect("ours");
        let builtins = "lib/clang/16/lib/wasi/libclang_rt.builtins-wasm32.a";
        let files = [
            ("bin/clang-16", "clang-16"),
            (builtins, "libclang-rt-16-dev-wasm32"),
            ("bin/wasm-ld-16", "lld-16"),
            ("lib/wasm32-wasi/libc.a", "wasi-libc"),
        ];
        // Another process writes it, as nothing can be executed while a process that another
        // test starts may have it open for writing: ETXTBSY (execve(2)).
        let put = |path: &str| {
            let mut install = Command::new("install");
            install.args(["-D", "-m", "755"]).arg(&clang);
            let done = install.arg(usr.join(path)).status().expect("coreutils");
            assert!(done.success());
        };
        fs::create_dir_all(usr.join(HEADERS)).expect("ours");
        files.iter().for_each(|(path, _)| put(path));
        let find = || Tools::find_in(&[usr.join("bin")], usr);
        let tools = find().expect("complete");
        assert_eq!(tools.builtins, usr.join(builtins));
        for (path, package) in files.into_iter().skip(1) {
            fs::remove_file(usr.join(path)).expect("ours");
            let told = find().expect_err("incomplete").to_string();
            let end = format!("`apt-get install {package}`");
            assert!(
                told.ends_with(&end) && told.contains("finds clang 14 or newer"),
                "{told}"
            );
            put(path);
        }
        // Nothing tells the library's version.
        fs::remove_file(usr.join("bin/clang-16")).expect("ours");
        let told = find().expect_err("incomplete").to_string();
        let end = "`apt-get install clang-22 libclang-rt-22-dev-wasm32`";
        assert!(
            told.contains("finds wasm-ld and wasi-libc") && told.ends_with(end),
            "{told}"
        );
    }
}
