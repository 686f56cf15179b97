//! Finds a compiler for `wasm32-wasip2`: rustup's target if the active toolchain
//! has it, else Debian 12's packages, which have no compiled standard library and
//! compile it with each guest.

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
    /// Links core modules. The target's own linker makes components instead, and
    /// that is for [`encode`](super::encode) to do.
    linker: PathBuf,
    /// Arguments of `cargo build` and `cargo rustc`.
    pub(super) args: &'static [&'static str],
    /// Variables to set, or to unset.
    pub(super) env: Vec<(&'static str, Option<OsString>)>,
    pub(super) rustflags: Vec<String>,
}

impl Toolchain {
    /// The compiler's flag that names the linker.
    pub(super) fn linker(&self) -> OsString {
        let mut flag = OsString::from("-Clinker=");
        flag.push(&self.linker);
        flag
    }
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
        // rustc looks among the programs that come with it.
        linker: PathBuf::from("rust-lld"),
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
        && Path::new(DEBIAN_LIBC).join("libc.a").exists();
    let linkers = versions_of("wasm-ld", [usr.join("bin")], 0);
    let linker = linkers.into_iter().next().filter(|_| complete)?;
    Some(Toolchain {
        name: "Debian's packages",
        cargo,
        linker,
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

/// Programs of this name, or with a version after it, in these directories, the
/// newest first. One without a version counts as the oldest that will do.
pub(super) fn versions_of(
    name: &str,
    dirs: impl IntoIterator<Item = PathBuf>,
    oldest: u32,
) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for dir in dirs {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let file = entry.file_name();
            let rest = file.to_str().and_then(|file| file.strip_prefix(name));
            let version = match rest {
                Some("") => Some(oldest),
                Some(rest) => rest.strip_prefix('-').and_then(|v| v.parse().ok()),
                None => None,
            };
            if let Some(version) = version.filter(|version| *version >= oldest) {
                found.push((version, entry.path()));
            }
        }
    }
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, path)| path).collect()
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
    fn the_newest_version_of_a_program_comes_first() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["ld", "ld-9", "ld-22", "ld-14", "ld-x", "lld-30"] {
            fs::write(dir.path().join(name), "").expect("ours");
        }
        let found = versions_of("ld", [dir.path().to_owned()], 14);
        let expected = ["ld-22", "ld-14", "ld"].map(|name| dir.path().join(name));
        assert_eq!(found.first(), expected.first());
        assert_eq!(found.len(), expected.len());
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
