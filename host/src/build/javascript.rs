//! A guest that is a script for Node: bundled with a shim for Node's `net`, and
//! with an engine, by packages from npm.
//!
//! This module owns the directory in the user's cache where those packages are
//! installed, once for each list of versions; [`programs`] runs npm and node, and
//! [`tsconfig`] reads which files TypeScript's settings extend.
//! What is done to a script begins in `guest/js/build.mjs`; the shim is in `guest/js/shim`.
//! Both are carried in this binary and unpacked for each build into a directory of its
//! own, so that two versions of hotsocket that build at the same time share nothing but
//! the packages.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::single::{cache_dir, lock, write_if_changed};
use super::sources::{Hashed, of_input};
use super::stage::Stage;
use super::{Compiled, Error, Section};

mod embedded;
mod programs;
mod tsconfig;

use programs::{OWN_SETTINGS, error_line, is_for_others, npm_error, run};

/// The extensions of such sources.
pub(super) const EXTENSIONS: [&str; 5] = ["js", "mjs", "cjs", "ts", "mts"];

/// Time for npm to fetch some 15 packages, 20 MB in all.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(600);
/// Time for node to bundle a script and write the component.
const BUILD_TIMEOUT: Duration = Duration::from_secs(120);
/// This file exists once everything is installed.
const INSTALLED: &str = "installed";
/// Where npm installs packages, and where Node looks for them.
const NODE_MODULES: &str = "node_modules";

pub(super) fn compile(file: &Path) -> Result<Compiled, Error> {
    let source = fs::canonicalize(file).map_err(|error| Error::read(file, error))?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let packages = cache_dir()?.join(format!("javascript-{:.16}", of_packages()));
    fs::create_dir_all(&packages).map_err(|error| Error::write(&packages, error))?;
    install(&packages, file)?;

    let stage = unpack(&packages)?;
    let output = stage.path().join("guest.wasm");
    let mut node = Command::new("node");
    node.arg("build.mjs").arg(&source).arg(&output);
    node.env("TMPDIR", stage.temporary()?)
        .env_remove("NODE_OPTIONS");
    let ran = run(node.current_dir(stage.path()), "node", BUILD_TIMEOUT, file)?;
    if !ran.success {
        let message = ran.stderr.trim_end();
        return Err(match ran.code {
            // The exit code of `build.mjs` for an error in the script.
            Some(1) => Error::Script {
                message: message.replace('\n', " | "),
            },
            _ => {
                // It may be the builder that is damaged.
                if let Err(error) = check(&packages, file) {
                    let _ = fs::remove_file(packages.join(INSTALLED));
                    return Err(error);
                }
                Error::Builder {
                    path: file.to_owned(),
                    message: error_line(message),
                }
            }
        });
    }
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    let inputs: Vec<PathBuf> = report
        .get("inputs")
        .and_then(Value::as_array)
        .map(|paths| paths.iter().filter_map(Value::as_str).map(PathBuf::from))
        .map_or_else(|| vec![source.clone()], Iterator::collect);
    let mut remarks = Vec::new();
    for (list, kind) in [("warnings", "warning"), ("notes", "note")] {
        let lines = report.get(list).and_then(Value::as_array);
        for line in lines.into_iter().flatten().filter_map(Value::as_str) {
            super::remark(&mut remarks, format!("{kind}: {line}"));
        }
    }
    let component = fs::read(&output).map_err(|error| Error::read(&output, error))?;
    let mut sources = Hashed::default();
    sources.add("embedded", of_embedded().as_bytes());
    for input in &inputs {
        let hash = of_input(input).map_err(|error| Error::read(input, error))?;
        sources.add("", hash.as_bytes());
    }
    Ok(Compiled {
        component,
        section: Section {
            name: stem.into_owned(),
            language: "javascript".to_owned(),
            sdk: embedded::version(),
            sources: Some(sources.hex()),
            settings: Vec::new(),
            port: report
                .get("port")
                .and_then(Value::as_u64)
                .and_then(|port| port.try_into().ok()),
        },
        output: file.with_extension("wasm"),
        inputs: inputs.into_iter().chain(settings(&source)).collect(),
        remarks,
        toolchain: "componentize-qjs",
    })
}

/// The nearest manifest and TypeScript's settings, which esbuild reads from the script's
/// directory or one above it, with what those extend.
fn settings(source: &Path) -> Vec<PathBuf> {
    let nearest = |name: &str| {
        let mut places = source.ancestors().skip(1).map(|dir| dir.join(name));
        places.find(|path| path.is_file())
    };
    let tsconfig = nearest("tsconfig.json");
    let bases = tsconfig.iter().flat_map(|file| tsconfig::bases(file));
    let bases: Vec<_> = bases.collect();
    let manifest = nearest("package.json").into_iter();
    manifest.chain(tsconfig).chain(bases).collect()
}

/// The hash of what this binary carries for scripts.
pub(super) fn of_embedded() -> String {
    let mut sources = Hashed::default();
    for (path, content) in embedded::FILES {
        sources.add(path, content.as_bytes());
    }
    sources.hex()
}

/// The list of packages and their versions, for npm.
fn package_lists() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let files = embedded::FILES.iter();
    files.filter(|(path, _)| path.starts_with("package"))
}

fn of_packages() -> String {
    let mut sources = Hashed::default();
    for (path, content) in package_lists() {
        sources.add(path, content.as_bytes());
    }
    sources.hex()
}

/// The directory of one build: what this binary carries for it, and a link to the
/// packages.
fn unpack(packages: &Path) -> Result<Stage, Error> {
    let stage = Stage::new("javascript")?;
    for (path, content) in embedded::FILES {
        stage.put(path, content.as_bytes())?;
    }
    let link = stage.path().join(NODE_MODULES);
    symlink(packages.join(NODE_MODULES), &link).map_err(|error| Error::write(&link, error))?;
    Ok(stage)
}

/// Install the packages, if they are not there yet. One installation at a time.
fn install(dir: &Path, file: &Path) -> Result<(), Error> {
    let _lock = lock(dir, "lock")?;
    for (path, content) in package_lists() {
        write_if_changed(dir, path, content)?;
    }
    if dir.join(INSTALLED).exists() {
        return Ok(());
    }
    super::print_progress(
        "installing componentize-qjs and esbuild with npm, once: 20 MB, up to a minute …",
    );
    let mut npm = Command::new("npm");
    // No script of a package is run. Without a network, fail within a minute.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args([
            "--loglevel=error",
            "--fetch-retries=1",
            "--fetch-timeout=60000",
        ])
        .args(["--fetch-retry-mintimeout=1000", "--update-notifier=false"])
        .args(OWN_SETTINGS);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_for_others) {
            npm.env_remove(name);
        }
    }
    let ran = run(npm.current_dir(dir), "npm", INSTALL_TIMEOUT, file)?;
    if !ran.success {
        return Err(Error::Packages {
            path: file.to_owned(),
            message: npm_error(&ran.stderr),
        });
    }
    check(dir, file)?;
    write_if_changed(dir, INSTALLED, "")
}

/// Whether all packages are there, with the programs for this machine.
fn check(dir: &Path, file: &Path) -> Result<(), Error> {
    let mut node = Command::new("node");
    node.env_remove("NODE_OPTIONS")
        .args(["--input-type=module", "--eval", CHECK]);
    let ran = run(node.current_dir(dir), "node", BUILD_TIMEOUT, file)?;
    match ran.success {
        true => Ok(()),
        false => Err(Error::Incomplete {
            message: error_line(&ran.stderr),
        }),
    }
}

const CHECK: &str = "
import { existsSync, readFileSync } from 'node:fs';
for (const name of Object.keys(JSON.parse(readFileSync('package.json')).dependencies)) {
  if (!existsSync(`node_modules/${name}/package.json`)) throw new Error(`${name} is missing`);
}
await import('componentize-qjs');
await (await import('esbuild')).transform('1');
";
