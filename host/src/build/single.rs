//! A guest that is a single file: generates a package for it in the user's cache.
//!
//! All files share one such package, one build at a time under a lock: so the
//! standard library and the SDK are compiled once, and paths that end up in a
//! component are the same for everyone.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::cargo::Cargo;
use super::replaced::Record;
use super::toolchain::{self, remap};
use super::{Compiled, Error, Section, embedded, settings, sources};

pub(super) fn compile(file: &Path) -> Result<Compiled, Error> {
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    let stem = stem.ok_or_else(|| Error::NotUtf8 {
        path: file.to_owned(),
    })?;
    let path = std::path::absolute(file).map_err(|error| Error::read(file, error))?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    let hash = sources::of_file(file).map_err(|error| Error::read(file, error))?;

    let cache = cache_dir()?;
    fs::create_dir_all(&cache).map_err(|error| Error::write(&cache, error))?;
    let _lock = lock(&cache, "lock")?;
    let package = cache.join("package");
    let source = fs::read(file).map_err(|error| Error::read(file, error))?;
    let features = settings::features(&source, file)?;
    unpack(&package, &manifest(stem, &path, &features)?)?;

    let toolchain = toolchain::find(&package)?;
    let target = cache.join("target");
    let cargo = Cargo {
        toolchain: &toolchain,
        dir: &package,
        source: file,
        outside: Vec::new(),
        inherit_env: false,
    };
    let args = [
        OsString::from("--locked"),
        "--target-dir".into(),
        target.clone().into(),
    ];
    let record = Record::of(&target, &path);
    if !record.replaced().is_empty() {
        cargo.forget(&args, &[PACKAGE])?;
    }
    let begun = record.begin()?;
    // Only the guest's own crate gets the flag with the file's directory: as a flag
    // for all crates it would compile all of them again for each directory.
    let made = cargo.compile(&args, &[], &[remap(dir, "")], Some(&target))?;
    let inputs = authors(made.inputs, &[&cache], path.clone());
    begun.finish(&inputs)?;
    Ok(Compiled {
        component: made.component,
        section: Section {
            name: stem.to_owned(),
            language: "rust".to_owned(),
            sdk: Some(embedded::sdk_version().to_owned()),
            sources: Some(hash),
            settings: Vec::new(),
            port: None,
        },
        output: file.with_extension("wasm"),
        inputs,
        remarks: Vec::new(),
        toolchain: toolchain.name,
    })
}

/// The author's files among those that were compiled: without those in these
/// directories and without the standard library, with the source.
pub(super) fn authors(files: Vec<PathBuf>, except: &[&Path], source: PathBuf) -> Vec<PathBuf> {
    let is_library = |file: &PathBuf| file.components().any(|part| part.as_os_str() == "rustlib");
    let is_ours = |file: &PathBuf| except.iter().any(|dir| file.starts_with(dir));
    let mut files: Vec<_> = files
        .into_iter()
        .filter(|file| !is_library(file) && !is_ours(file))
        .chain([source])
        .collect();
    files.sort();
    files.dedup();
    files
}

/// The package is called the same for every file, so that one lock file fits;
/// the library, whose name appears in back traces, is called like the file.
pub(super) fn manifest(stem: &str, path: &Path, features: &[String]) -> Result<String, Error> {
    let path = path.to_str().ok_or_else(|| Error::NotUtf8 {
        path: path.to_owned(),
    })?;
    let name: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let name = match name.chars().next() {
        Some(first) if !first.is_ascii_digit() => name,
        _ => format!("_{name}"),
    };
    // A JSON string is a TOML string.
    let path = serde_json::Value::from(path);
    let features = match features {
        [] => String::new(),
        some => format!(", features = {}", serde_json::Value::from(some)),
    };
    Ok(MANIFEST
        .replace("{name}", &name)
        .replace("{features}", &features)
        .replace("{path}", &path.to_string()))
}

/// The name in [`MANIFEST`].
const PACKAGE: &str = "guest";

const MANIFEST: &str = r#"# Written by `hotsocket build`.
[workspace]
resolver = "3"

[workspace.lints]

[package]
name = "guest"
version = "0.0.0"
edition = "2024"

[lib]
name = "{name}"
path = {path}
crate-type = ["cdylib"]
doctest = false

[dependencies]
hotsocket-guest = { path = "guest/sdk"{features} }

[profile.release]
opt-level = "s"
lto = true
codegen-units = 1
panic = "abort"
strip = "debuginfo" # the names stay: messages about traps quote them
"#;

/// The directory that builds share, made if it is not there. What is in it gets
/// into components, so it must be this user's.
pub(super) fn cache_dir() -> Result<PathBuf, Error> {
    let xdg = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute());
    let home =
        || Some(PathBuf::from(env::var_os("HOME").filter(|home| !home.is_empty())?).join(".cache"));
    let cache = xdg.or_else(home).ok_or(Error::NoCache)?;
    let dir = cache.join("hotsocket/build");
    private(&dir).map_err(|error| Error::write(&dir, error))?;
    Ok(dir)
}

/// Make a directory and the one it is in, if need be, and check that they are
/// this user's and that nobody else can write to them.
fn private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let us = rustix::process::geteuid().as_raw();
    for level in dir.ancestors().take(2) {
        let found = fs::metadata(level)?;
        if found.uid() != us {
            let text = format!("{} belongs to another user", level.display());
            return Err(io::Error::other(text));
        }
        // Made by an earlier version, with the umask's permissions.
        if found.mode() & OTHERS_WRITE != 0 {
            let mode = found.mode() & 0o7777 & !OTHERS_WRITE;
            fs::set_permissions(level, fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

/// The permission of group and others to write.
const OTHERS_WRITE: u32 = 0o022;

/// Wait for the lock of this name in a directory that builds share. It is
/// released when the file is dropped.
pub(super) fn lock(cache: &Path, name: &str) -> Result<File, Error> {
    let path = cache.join(name);
    let file = File::create(&path).map_err(|error| Error::write(&path, error))?;
    file.lock().map_err(|error| Error::write(&path, error))?;
    Ok(file)
}

/// Bring the package up to date. Files that are up to date keep their modification
/// time, by which cargo decides what to compile again.
fn unpack(package: &Path, manifest: &str) -> Result<(), Error> {
    let stamp = package.join("embedded");
    let embedded = sources::of_embedded();
    if fs::read_to_string(&stamp).is_ok_and(|found| found == embedded) {
        return write_if_changed(package, "Cargo.toml", manifest);
    }
    // Written by another version: remove files that this one doesn't have.
    match fs::remove_dir_all(package) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::write(package, error));
        }
        _ => {}
    }
    write_if_changed(package, "Cargo.toml", manifest)?;
    for (path, content) in embedded::FILES {
        write_if_changed(package, path, content)?;
    }
    write_if_changed(package, "embedded", &embedded)
}

pub(super) fn write_if_changed(package: &Path, path: &str, content: &str) -> Result<(), Error> {
    let path = package.join(path);
    if fs::read_to_string(&path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(&path, content))
        .map_err(|error| Error::write(&path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_file_name_makes_a_manifest() {
        let manifest = |stem| manifest(stem, Path::new("/a \"b\"/x.rs"), &[]).expect("UTF-8");
        assert!(manifest("echo").contains("[lib]\nname = \"echo\"\n"));
        assert!(manifest("my-guest.v2").contains("name = \"my_guest_v2\"\n"));
        assert!(manifest("2nd").contains("name = \"_2nd\"\n"));
        assert!(manifest("echo").contains("{ path = \"guest/sdk\" }"));
        assert!(manifest("echo").contains(r#"path = "/a \"b\"/x.rs""#));
    }

    #[test]
    fn unpacking_again_changes_nothing_and_removes_unknown_files() {
        let kept = tempfile::tempdir().expect("a directory");
        let dir = kept.path().join("package");
        unpack(&dir, "one").expect("writable");
        let world = dir.join("wit/world.wit");
        let time = |path: &Path| {
            fs::metadata(path)
                .and_then(|m| m.modified())
                .expect("a file")
        };
        let before = time(&world);
        unpack(&dir, "two").expect("writable");
        assert_eq!(time(&world), before);
        assert_eq!(
            fs::read_to_string(dir.join("Cargo.toml")).expect("written"),
            "two"
        );

        fs::write(dir.join("wit/old.wit"), "").expect("writable");
        fs::write(dir.join("embedded"), "another version").expect("writable");
        unpack(&dir, "two").expect("writable");
        assert!(!dir.join("wit/old.wit").exists());
    }

    #[test]
    fn nobody_else_can_write_to_the_cache() {
        let kept = tempfile::tempdir().expect("a directory");
        let dir = kept.path().join("hotsocket/build");
        let mode = |dir: &Path| fs::metadata(dir).expect("a directory").mode() & 0o777;
        private(&dir).expect("ours");
        assert_eq!(mode(&dir), 0o700);
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(&dir, open).expect("ours");
        private(&dir).expect("ours");
        assert_eq!(mode(&dir), 0o755);
        if rustix::process::geteuid().is_root() {
            let parent = kept.path().join("hotsocket");
            std::os::unix::fs::chown(&parent, Some(12345), None).expect("root");
            let error = private(&dir).expect_err("another user's").to_string();
            assert!(error.contains("belongs to another user"), "{error}");
        }
    }
}
