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

/// Where `wasi-libc` puts the C library, and with it the startup objects, below `/usr`.
const DEBIAN_LIBC: &str = "lib/wasm32-wasi";
/// Older compilers lack flags that builds are made with.
const OLDEST_RUSTC: u32 = 95;

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
    /// Whether the standard library is compiled with the guest.
    pub(super) fn compiles_library(&self) -> bool {
        self.args.contains(&"-Z")
    }

    /// The compiler's flag that names the linker.
    pub(super) fn linker(&self) -> OsString {
        let mut flag = OsString::from("-Clinker=");
        flag.push(&self.linker);
        flag
    }
}

/// The toolchain to use for a build in `dir`: the directory matters to rustup.
pub(super) fn find(dir: &Path) -> Result<Toolchain, Error> {
    let program = |name: &str, default: &str| {
        env::var_os(name).map_or_else(|| PathBuf::from(default), PathBuf::from)
    };
    let sysroot = sysroot(&program("RUSTC", "rustc"), dir);
    if let Some(sysroot) = sysroot.as_deref().filter(|sysroot| has_target(sysroot)) {
        return Ok(rustup(program("CARGO", "cargo"), sysroot));
    }
    debian(Path::new("/usr")).map_err(|debian| Error::NoToolchain {
        what: missing(sysroot.as_deref(), &debian),
    })
}

/// `cargo` is set, and of the same toolchain, when cargo itself runs us.
fn rustup(cargo: PathBuf, sysroot: &Path) -> Toolchain {
    Toolchain {
        name: "rustup's wasm32-wasip2",
        cargo,
        // rustc looks among the programs that come with it.
        linker: PathBuf::from("rust-lld"),
        args: &["--target", TARGET],
        env: Vec::new(),
        rustflags: vec![remap(
            &sysroot.join("lib/rustlib/src/rust/library"),
            "library",
        )],
    }
}

/// Which of Debian's packages are there, by what they install.
#[derive(Debug)]
struct Debian {
    found: Vec<&'static str>,
    missing: Vec<&'static str>,
    /// The version of the compiler, if it is too old: Debian's own `rustc` is.
    too_old: Option<String>,
}

/// Only what is needed is asked for: a linker of core modules, as components are
/// encoded here, and none of what these packages recommend.
fn debian(usr: &Path) -> Result<Toolchain, Debian> {
    let (cargo, rustc) = (usr.join("bin/cargo"), usr.join("bin/rustc"));
    let library = usr.join("lib/rustlib/src/rust/library");
    let libc = usr.join(DEBIAN_LIBC);
    let linker = versions_of("wasm-ld", [usr.join("bin")], 0)
        .into_iter()
        .next();
    let too_old = version(&rustc).filter(|version| minor(version) < OLDEST_RUSTC);
    let packages = [
        ("rustc-web", rustc.exists() && too_old.is_none()),
        ("cargo-web", cargo.exists() && too_old.is_none()),
        ("rust-web-src", library.join("std/Cargo.toml").exists()),
        ("lld-22", linker.is_some()),
        ("wasi-libc", libc.join("libc.a").exists()),
    ];
    let with = |there: bool| {
        let packages = packages.iter().filter(move |(_, found)| *found == there);
        packages.map(|(name, _)| *name).collect()
    };
    let report = Debian {
        found: with(true),
        missing: with(false),
        too_old,
    };
    let linker = match linker {
        Some(linker) if report.missing.is_empty() => linker,
        _ => return Err(report),
    };
    Ok(Toolchain {
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
            format!("-Lnative={}", libc.display()),
            remap(&library, "library"),
        ],
    })
}

/// What was found, and what is to be installed, in one sentence.
fn missing(sysroot: Option<&Path>, debian: &Debian) -> String {
    let rustup = sysroot.map(|sysroot| {
        format!(
            "the Rust in {} lacks this target, which `rustup target add {TARGET}` adds",
            sysroot.display()
        )
    });
    let Debian {
        found,
        missing,
        too_old,
    } = debian;
    let old = too_old
        .as_ref()
        .map(|version| format!("the {version} in /usr/bin is older than 1.{OLDEST_RUSTC}; "));
    let old = old.unwrap_or_default();
    match (rustup, found.as_slice()) {
        (None, []) => format!(
            "{old}install one with `rustup target add {TARGET}`, or on Debian 12 with `apt-get \
             install {DEBIAN_PACKAGES}`"
        ),
        (Some(rustup), []) => {
            format!("{old}{rustup}; on Debian 12 `apt-get install {DEBIAN_PACKAGES}` will do, too")
        }
        (rustup, found) => format!(
            "{old}of Debian's packages {} {} here, and only {} {} missing: `apt-get install {}`{}",
            list(found),
            are(found),
            list(missing),
            are(missing),
            missing.join(" "),
            rustup.map_or_else(String::new, |rustup| format!("; or else {rustup}"))
        ),
    }
}

/// `a`, `a and b`, or `a, b and c`.
pub(super) fn list(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

fn are(words: &[&str]) -> &'static str {
    match words {
        [_] => "is",
        _ => "are",
    }
}

/// `rustc 1.63.0`, if the program runs.
fn version(rustc: &Path) -> Option<String> {
    let output = Command::new(rustc)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let words: Vec<_> = text.split_whitespace().take(2).collect();
    (words.len() == 2).then(|| words.join(" "))
}

/// The second number of such a version; one that can't be read counts as new.
fn minor(version: &str) -> u32 {
    let minor = version.split('.').nth(1);
    minor
        .and_then(|minor| minor.parse().ok())
        .unwrap_or(u32::MAX)
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

    /// As after `apt-get install --no-install-recommends` of the whole list: nothing
    /// encodes components there. Then without each package.
    #[test]
    fn the_one_package_that_is_missing_is_named_and_what_is_there() {
        let kept = tempfile::tempdir().expect("a directory");
        let usr = kept.path();
        let files = [
            ("rustc-web", "bin/rustc"),
            ("cargo-web", "bin/cargo"),
            (
                "rust-web-src",
                "lib/rustlib/src/rust/library/std/Cargo.toml",
            ),
            ("lld-22", "bin/wasm-ld-22"),
            ("wasi-libc", "lib/wasm32-wasi/libc.a"),
        ];
        let put = |path: &str| {
            let path = usr.join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("ours");
            fs::write(path, "").expect("ours");
        };
        files.iter().for_each(|(_, path)| put(path));
        let all = debian(usr).map_err(|debian| missing(None, &debian));
        assert_eq!(all.expect("complete").linker, usr.join("bin/wasm-ld-22"));
        for (package, path) in files {
            fs::remove_file(usr.join(path)).expect("ours");
            let told = missing(None, &debian(usr).expect_err("incomplete"));
            let end = format!("and only {package} is missing: `apt-get install {package}`");
            assert!(told.ends_with(&end), "{told}");
            for (other, _) in files.iter().filter(|(other, _)| *other != package) {
                assert!(told.contains(other), "{other}: {told}");
            }
            put(path);
        }
    }

    #[test]
    fn a_compiler_that_is_too_old_is_not_used() {
        assert_eq!(minor("rustc 1.63.0"), 63);
        assert_eq!(minor("rustc ?"), u32::MAX);
        let debian = Debian {
            found: vec!["lld-22"],
            missing: vec!["rustc-web", "cargo-web"],
            too_old: Some("rustc 1.63.0".to_owned()),
        };
        let told = missing(Some(Path::new("/r")), &debian);
        assert!(told.starts_with("the rustc 1.63.0 in /usr/bin is older than 1.95; of Debian's"));
        assert!(
            told.contains("only rustc-web and cargo-web are missing: "),
            "{told}"
        );
        assert!(
            told.ends_with("`rustup target add wasm32-wasip2` adds"),
            "{told}"
        );
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
        let what = missing(None, &debian(Path::new("/nowhere")).expect_err("none"));
        let text = Error::NoToolchain { what }.to_string();
        assert!(text.contains("`rustup target add wasm32-wasip2`"), "{text}");
        assert!(
            text.contains("`apt-get install rustc-web cargo-web rust-web-src lld-22 wasi-libc`"),
            "{text}"
        );
    }
}
