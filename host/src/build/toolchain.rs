//! Finds a compiler for `wasm32-wasip2`: rustup's target where the active
//! toolchain has it, else Debian 12's packages, which have no compiled standard
//! library and build it along.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;

pub(super) const TARGET: &str = "wasm32-wasip2";
pub(super) const DEBIAN_PACKAGES: &str = "rustc-web cargo-web rust-web-src lld-22 wasi-libc";

/// Where `wasi-libc` puts the C library, and with it the startup objects.
const DEBIAN_LIBC: &str = "/usr/lib/wasm32-wasi";

/// A compiler, and how to call it.
#[derive(Debug)]
pub(super) struct Toolchain {
    pub(super) name: &'static str,
    pub(super) cargo: PathBuf,
    /// Arguments of `cargo build` and `cargo rustc`.
    pub(super) args: &'static [&'static str],
    /// Variables to set, or to unset.
    pub(super) env: Vec<(&'static str, Option<OsString>)>,
    pub(super) rustflags: Vec<String>,
}

/// The toolchain to use for a build in `dir`: the directory matters to rustup.
pub(super) fn find(dir: &Path) -> Result<Toolchain, Error> {
    rustup(dir)
        .or_else(|| debian(Path::new("/usr")))
        .ok_or(Error::NoToolchain)
}

fn rustup(dir: &Path) -> Option<Toolchain> {
    let program = |name: &str, default: &str| {
        env::var_os(name).map_or_else(|| PathBuf::from(default), PathBuf::from)
    };
    let sysroot = sysroot(&program("RUSTC", "rustc"), dir)?;
    has_target(&sysroot).then(|| Toolchain {
        name: "rustup's wasm32-wasip2",
        // Set, and of the same toolchain, when cargo itself runs us.
        cargo: program("CARGO", "cargo"),
        args: &["--target", TARGET],
        env: Vec::new(),
        rustflags: vec![remap(
            &sysroot.join("lib/rustlib/src/rust/library"),
            "library",
        )],
    })
}

fn debian(usr: &Path) -> Option<Toolchain> {
    let (cargo, rustc) = (usr.join("bin/cargo"), usr.join("bin/rustc"));
    let library = usr.join("lib/rustlib/src/rust/library");
    let complete = cargo.exists()
        && rustc.exists()
        && library.join("std/Cargo.toml").exists()
        && any_file(&usr.join("lib/rustlib"), |dir| {
            dir.join("bin/wasm-component-ld").exists()
        })
        && any_file(&usr.join("bin"), |file| {
            file.file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"wasm-ld"))
        })
        && Path::new(DEBIAN_LIBC).join("libc.a").exists();
    complete.then(|| Toolchain {
        name: "Debian's packages",
        cargo,
        args: &["--target", TARGET, "-Z", "build-std=std,panic_abort"],
        env: vec![
            ("PATH", Some(first_in_path(&usr.join("bin")))),
            ("RUSTC", Some(rustc.into())),
            // `-Z build-std` is no stable option.
            ("RUSTC_BOOTSTRAP", Some("1".into())),
            // Left over where cargo of another toolchain runs us.
            ("RUSTUP_TOOLCHAIN", None),
            ("LD_LIBRARY_PATH", None),
        ],
        rustflags: vec![
            format!("-Lnative={DEBIAN_LIBC}"),
            remap(&library, "library"),
        ],
    })
}

/// The flag that hides a directory of this machine in what is compiled.
pub(super) fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

fn sysroot(rustc: &Path, dir: &Path) -> Option<PathBuf> {
    let output = Command::new(rustc)
        .args(["--print", "sysroot"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output
        .status
        .success()
        .then(|| PathBuf::from(text.trim_end()))
}

fn has_target(sysroot: &Path) -> bool {
    sysroot
        .join("lib/rustlib")
        .join(TARGET)
        .join("lib")
        .is_dir()
}

fn any_file(dir: &Path, test: impl Fn(&Path) -> bool) -> bool {
    fs::read_dir(dir).is_ok_and(|entries| entries.flatten().any(|entry| test(&entry.path())))
}

fn first_in_path(dir: &Path) -> OsString {
    let mut path = dir.as_os_str().to_owned();
    if let Some(rest) = env::var_os("PATH") {
        path.push(OsStr::new(":"));
        path.push(rest);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_debian_is_none() {
        assert!(debian(Path::new("/nowhere")).is_none());
    }

    #[test]
    fn a_sysroot_without_the_target_is_none() {
        assert!(!has_target(Path::new("/nowhere")));
        assert!(sysroot(Path::new("/nowhere/rustc"), Path::new("/")).is_none());
    }

    #[test]
    fn without_a_toolchain_both_commands_are_named() {
        let text = Error::NoToolchain.to_string();
        assert!(text.contains("`rustup target add wasm32-wasip2`"), "{text}");
        assert!(
            text.contains("`apt-get install rustc-web cargo-web rust-web-src lld-22 wasi-libc`"),
            "{text}"
        );
    }
}
