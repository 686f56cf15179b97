//! `hotsocket build`: guests from source.
//!
//! The first build on a machine may have to compile Rust's standard library,
//! which takes minutes; so both files and the package are built in the user's
//! own cache, where the next run finds it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::files::write_script;
use crate::harness::{
    FIRST_BUILD, Ran, hotsocket, kept, lacks_program, lacks_tools, repo, run, run_within, serve,
    temp_dir,
};

/// Build, unless there is no toolchain; the component and what was said.
fn build(name: &str, source: &Path) -> Option<(Vec<u8>, String)> {
    let output = kept(&format!("{name}.wasm"));
    let _ = fs::remove_file(&output);
    let ran = run_within(FIRST_BUILD, &mut command(source, &output));
    if lacks_tools(&ran) {
        return None;
    }
    assert_eq!(ran.code, 0, "{ran:?}");
    let told = format!("built {} (", output.display());
    assert!(
        ran.stdout.starts_with(&told) && ran.stdout.lines().count() == 1,
        "{}",
        ran.stdout
    );
    Some((fs::read(output).expect("it was built"), ran.stdout))
}

/// Where the package is compiled: a directory of its author's choice, which is that of single
/// files, so that the standard library is compiled once.
fn target() -> PathBuf {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(home);
    cache.map_or_else(
        || kept("package-target"),
        |cache| cache.join("hotsocket/build/target"),
    )
}

fn command(source: &Path, output: &Path) -> std::process::Command {
    let mut command = hotsocket();
    command.arg("build").arg(source).arg("--output").arg(output);
    command.env("CARGO_TARGET_DIR", target());
    command
}

const GUEST: &str = r#"//! Says what it is told to.

use hotsocket_guest::{Connection, Handler, export};

#[derive(Default)]
pub struct Built;

impl Handler for Built {
    fn data(&mut self, conn: &Connection, _: &[u8]) {
        conn.write("WORD");
    }
}

export!(Built);
"#;

fn says(component: Vec<u8>, word: &str) {
    let told = hotsocket::build::section(&component).expect("a section");
    assert_eq!(told.language, "rust");
    let server = serve(component).start();
    server.connect().ask("x", word);
}

#[test]
fn a_single_file_builds_and_serves_or_shows_the_compilers_errors() {
    let source = kept("single.rs");
    fs::write(&source, GUEST.replace("WORD", "single")).expect("written");
    let Some((component, _)) = build("single", &source) else {
        return;
    };
    assert!(
        !String::from_utf8_lossy(&component).contains("wasi:"),
        "it needs no WASI"
    );
    says(component, "single");

    // Mistakes are the compiler's to tell; ours is one line.
    fs::write(&source, GUEST.replace("fn data", "fn date")).expect("written");
    let ran = run_within(FIRST_BUILD, &mut command(&source, &kept("mistake.wasm")));
    assert_eq!(ran.code, 1);
    let last = ran.last_line();
    assert!(
        last.starts_with("error: ") && last.ends_with("does not compile: see the messages above"),
        "{last}"
    );
    assert!(
        ran.stderr.contains("`date` is not a member of trait"),
        "{}",
        ran.stderr
    );
    assert!(!kept("mistake.wasm").exists());
}

/// A package of this name that has no source yet.
fn package(name: &str) -> PathBuf {
    let dir = kept(name);
    fs::create_dir_all(dir.join("src")).expect("a directory");
    let sdk = fs::canonicalize(repo("guest/sdk")).expect("the SDK");
    let manifest = format!(
        "[workspace]\n\n[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [lib]\ncrate-type = [\"cdylib\"]\n\n[dependencies]\nhotsocket-guest = {{ path = {sdk:?} }}\n"
    );
    fs::write(dir.join("Cargo.toml"), manifest).expect("written");
    let lock = fs::read_to_string(repo("host/src/build/guest.lock")).expect("a lock file");
    let lock = lock.replace("name = \"guest\"\n", &format!("name = \"{name}\"\n"));
    fs::write(dir.join("Cargo.lock"), lock).expect("written");
    dir
}

#[test]
fn a_package_builds_and_serves() {
    let dir = package("package");
    fs::write(dir.join("src/lib.rs"), GUEST.replace("WORD", "package")).expect("written");
    let Some((component, _)) = build("package", &dir) else {
        return;
    };
    says(component, "package");
}

/// As `mv x.rs.orig x.rs` and `rsync -t` do it. Cargo compares times and no contents:
/// <https://github.com/rust-lang/cargo/issues/2880>.
#[test]
fn a_source_that_an_older_file_has_replaced_is_compiled() {
    let dir = package("replaced");
    for (source, file) in [
        (dir.clone(), dir.join("src/lib.rs")),
        (kept("replaced_file.rs"), kept("replaced_file.rs")),
    ] {
        let put = |word: &str| fs::write(&file, GUEST.replace("WORD", word)).expect("written");
        put("new");
        let Some((new, _)) = build("replaced", &source) else {
            return;
        };
        let saved = fs::metadata(&file).and_then(|file| file.modified());
        let older = saved.expect("a time") - Duration::from_secs(3600);
        put("old");
        let opened = fs::File::options().append(true).open(&file);
        let set = opened.and_then(|opened| opened.set_modified(older));
        set.expect("ours");
        let (old, _) = build("replaced", &source).expect("it was built before");
        assert!(old != new, "{} is as before", source.display());
        says(old, "old");
        // Once.
        let output = kept("replaced_again.wasm");
        let ran = run_within(FIRST_BUILD, &mut command(&source, &output));
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!ran.stderr.contains("Compiling "), "{}", ran.stderr);
    }
}

/// Cargo compiles a crate again if flags for all crates have changed, which takes minutes with
/// the standard library: a crate outside the package needs such a flag for its path.
#[test]
fn a_package_and_a_single_file_share_the_standard_library() {
    let single = kept("before_a_package.rs");
    fs::write(&single, GUEST.replace("WORD", "single")).expect("written");
    if build("before_a_package", &single).is_none() {
        return;
    }
    let ran = run_within(
        FIRST_BUILD,
        &mut command(&repo("guest/examples/kv"), &kept("after_a_file.wasm")),
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stderr.contains("Compiling std "), "{}", ran.stderr);
    let component = fs::read(kept("after_a_file.wasm")).expect("it was built");
    let sdk = repo("guest/sdk");
    let path = sdk.to_str().expect("UTF-8").as_bytes();
    assert!(
        !component.windows(path.len()).any(|bytes| bytes == path),
        "the SDK's path is in the component"
    );
}

/// A guest that has other versions than a single file's compiles the macros again.
#[test]
fn the_examples_are_locked_to_the_versions_of_single_files() {
    let versions = |path: &Path| {
        let lock: toml::Table = fs::read_to_string(path)
            .expect("a lock file")
            .parse()
            .expect("TOML");
        let packages = lock["package"].as_array().expect("packages").clone();
        packages.into_iter().map(|package| {
            let text = |key: &str| package[key].as_str().expect("a text").to_owned();
            (text("name"), text("version"))
        })
    };
    let of_files: Vec<_> = versions(&repo("host/src/build/guest.lock")).collect();
    for example in ["http", "kv", "mqtt", "postgres"] {
        for (name, version) in versions(&repo(&format!("guest/examples/{example}/Cargo.lock"))) {
            let of_file = of_files.iter().filter(|(other, _)| *other == name);
            let of_file: Vec<_> = of_file.map(|(_, version)| version).collect();
            let is_same = of_file.is_empty() || of_file.contains(&&version);
            assert!(
                is_same,
                "{example}: {name} {version} instead of {of_file:?}"
            );
        }
    }
}

#[test]
fn what_is_no_source_is_an_error_of_one_line() {
    let dir = temp_dir();
    let build = |source: &Path| {
        run(hotsocket()
            .arg("build")
            .arg(source)
            .env("XDG_CACHE_HOME", dir.path()))
        .failure(1)
    };
    assert!(build(&dir.path().join("none.rs")).starts_with("cannot read "));
    assert!(build(dir.path()).contains("no guest source in "));
    fs::write(dir.path().join("guest.txt"), "int x;").expect("written");
    assert!(build(&dir.path().join("guest.txt")).contains("neither a directory nor a source file"));
}

#[test]
fn without_a_toolchain_both_install_commands_are_named() {
    let dir = temp_dir();
    fs::write(dir.path().join("guest.rs"), GUEST).expect("written");
    let mut command = hotsocket();
    command.arg("build").arg(dir.path().join("guest.rs"));
    // Neither rustup's cargo nor its compiler can be found; Debian's can, if
    // they are here.
    command
        .env("PATH", dir.path())
        .env_remove("CARGO")
        .env("RUSTC", "/nowhere/rustc");
    let ran: Ran = run_within(FIRST_BUILD, &mut command);
    if ran.code == 0 {
        return assert!(ran.stdout.contains("Debian"), "{ran:?}");
    }
    let told = ran.failure(1);
    for install in [
        "rustup target add wasm32-wasip2",
        "apt-get install rustc-web",
    ] {
        assert!(told.contains(install), "{told}");
    }
}

/// A program of this name in a directory of its own, which stands first in the path.
fn fake(dir: &Path, name: &str, script: &str) -> std::ffi::OsString {
    fs::create_dir_all(dir.join("bin")).expect("ours");
    write_script(&dir.join("bin").join(name), script);
    let mut dirs = vec![dir.join("bin")];
    dirs.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    std::env::join_paths(dirs).expect("a path")
}

#[test]
fn npm_gets_no_settings_meant_for_others_and_is_not_believed() {
    if lacks_program("node") {
        return;
    }
    let dir = temp_dir();
    let record = dir.path().join("record");
    let script = format!("env > {0}; echo \"$@\" >> {0}", record.display());
    let path = fake(dir.path(), "npm", &script);
    let source = dir.path().join("mine.js");
    fs::write(&source, "").expect("ours");
    let ran = run(hotsocket()
        .arg("build")
        .arg(&source)
        .env("PATH", path)
        .env("XDG_CACHE_HOME", dir.path())
        .env("npm_config_omit", "optional")
        .env("NPM_CONFIG_REGISTRY", "https://mirror.example/")
        .env("NODE_ENV", "production"));
    assert_eq!(ran.code, 1, "{ran:?}");
    let told = ran.last_line();
    assert!(
        told.contains("is not complete: ") && !told.contains("mine.js"),
        "{told}"
    );
    let record = fs::read_to_string(record).expect("it ran");
    for kept in [
        "NPM_CONFIG_REGISTRY=https://mirror.example/",
        "--include=optional",
    ] {
        assert!(record.contains(kept), "{kept}: {record}");
    }
    for gone in ["npm_config_omit", "NODE_ENV"] {
        assert!(!record.contains(gone), "{gone}: {record}");
    }
    // Nothing was called installed.
    let left = dir.path().join("hotsocket/build");
    for entry in fs::read_dir(left).expect("made").flatten() {
        assert!(!entry.path().join("installed").exists());
    }
}

#[test]
fn pip_gets_no_settings_meant_for_others_and_is_not_believed() {
    let dir = temp_dir();
    let record = dir.path().join("record");
    let calls = dir.path().join("calls");
    let script = format!(
        "echo \"$*\" >> {}\n\
         case \"$*\" in\n\
         *'-m venv'*) for last; do :; done; mkdir -p \"$last/bin\"; cp \"$0\" \"$last/bin/python3\";;\n\
         *'config list'*) echo \"install.target='/elsewhere'\"; echo \"global.index-url='https://m/simple'\";;\n\
         *'pip install'*) env > {};;\n\
         *version_info*) echo 3.11;;\n\
         *) echo \"ModuleNotFoundError: No module named 'componentize_py'\" >&2; exit 1;;\n\
         esac",
        calls.display(),
        record.display()
    );
    let path = fake(dir.path(), "python3", &script);
    let source = dir.path().join("mine.py");
    fs::write(&source, "").expect("ours");
    let ran = run(hotsocket()
        .arg("build")
        .arg(&source)
        .env("PATH", path)
        .env("XDG_CACHE_HOME", dir.path())
        .env("PIP_PREFIX", "/elsewhere")
        .env("PYTHONWARNINGS", "error"));
    assert_eq!(ran.code, 1, "{ran:?}");
    let told = ran.last_line();
    assert!(
        told.contains("it does not run: ModuleNotFoundError") && !told.contains("mine.py"),
        "{told}"
    );
    let record = fs::read_to_string(record).expect("it ran");
    assert!(
        record.contains("PIP_INDEX_URL=https://m/simple"),
        "{record}"
    );
    assert!(
        !record.contains("elsewhere") && !record.contains("PYTHONWARNINGS"),
        "{record}"
    );
    // Nor are modules of the current directory imported.
    let calls = fs::read_to_string(calls).expect("it was called");
    let is_isolated = |call: &str| call.starts_with("-I -X utf8 ");
    assert!(calls.lines().all(is_isolated), "{calls}");
    assert!(calls.lines().count() >= 5, "{calls}");
}
