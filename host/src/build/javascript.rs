//! A guest that is a script for Node: bundled with a shim for Node's `net`, and
//! with an engine, by packages from npm.
//!
//! This module owns the directory in the user's cache where those packages are
//! installed, once for each list of versions, and the calls of npm and node.
//! What is done to a script is in `guest/js/build.mjs`, which runs there; the
//! shim is in `guest/js/shim`. Both are carried in this binary.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::single::{cache_dir, lock, write_if_changed};
use super::sources::{Hashed, of_input};
use super::stage::Stage;
use super::{Compiled, Error, Section};
use crate::descriptors;

mod embedded;

/// The extensions of such sources.
pub(super) const EXTENSIONS: [&str; 5] = ["js", "mjs", "cjs", "ts", "mts"];

/// Time for npm to fetch some 15 packages, 20 MB in all.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(600);
/// Time for node to bundle a script and write the component.
const BUILD_TIMEOUT: Duration = Duration::from_secs(120);
/// This file exists once everything is installed.
const INSTALLED: &str = "installed";

pub(super) fn compile(file: &Path) -> Result<Compiled, Error> {
    let source = fs::canonicalize(file).map_err(|error| Error::read(file, error))?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let dir = cache_dir()?.join(format!("javascript-{:.16}", of_packages()));
    fs::create_dir_all(&dir).map_err(|error| Error::write(&dir, error))?;
    prepare(&dir, file)?;

    let stage = Stage::new("javascript")?;
    let output = stage.path().join("guest.wasm");
    let mut node = Command::new("node");
    node.arg("build.mjs").arg(&source).arg(&output);
    node.env("TMPDIR", stage.temporary()?)
        .env_remove("NODE_OPTIONS");
    let ran = run(node.current_dir(&dir), "node", BUILD_TIMEOUT, file)?;
    if !ran.success {
        let message = ran.stderr.trim_end();
        return Err(match ran.code {
            // The exit code of `build.mjs` for an error in the script.
            Some(1) => Error::Script {
                message: message.replace('\n', " | "),
            },
            _ => {
                // It may be the builder that is damaged.
                if let Err(error) = check(&dir, file) {
                    let _ = fs::remove_file(dir.join(INSTALLED));
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
    let warnings = report.get("warnings").and_then(Value::as_array);
    for warning in warnings.into_iter().flatten().filter_map(Value::as_str) {
        super::print_progress(&format!("warning: {warning}"));
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
            port: report
                .get("port")
                .and_then(Value::as_u64)
                .and_then(|port| port.try_into().ok()),
        },
        output: file.with_extension("wasm"),
        inputs: inputs.into_iter().chain(settings(&source)).collect(),
        toolchain: "componentize-qjs",
    })
}

/// The nearest manifest and TypeScript's settings, which esbuild reads from the script's
/// directory or one above it.
fn settings(source: &Path) -> Vec<PathBuf> {
    let nearest = |name: &str| {
        let mut places = source.ancestors().skip(1).map(|dir| dir.join(name));
        places.find(|path| path.is_file())
    };
    ["package.json", "tsconfig.json"]
        .iter()
        .filter_map(|name| nearest(name))
        .collect()
}

/// The hash of what this binary carries for scripts.
pub(super) fn of_embedded() -> String {
    let mut sources = Hashed::default();
    for (path, content) in embedded::FILES {
        sources.add(path, content.as_bytes());
    }
    sources.hex()
}

/// The hash of the list of packages and their versions.
fn of_packages() -> String {
    let mut sources = Hashed::default();
    for (path, content) in embedded::FILES {
        if path.starts_with("package") {
            sources.add(path, content.as_bytes());
        }
    }
    sources.hex()
}

/// Bring the directory up to date, and the packages into it. One at a time.
fn prepare(dir: &Path, file: &Path) -> Result<(), Error> {
    let _lock = lock(dir, "lock")?;
    for (path, content) in embedded::FILES {
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

/// Stronger than what the user's `.npmrc` says for other installations. Of packages for
/// many machines, those that fit are optional.
const OWN_SETTINGS: [&str; 9] = [
    "--include=prod",
    "--include=optional",
    "--global=false",
    "--location=project",
    "--dry-run=false",
    "--package-lock=true",
    "--package-lock-only=false",
    "--install-strategy=hoisted",
    "--workspaces=false",
];

/// Variables of npm's that are passed on: where packages come from and how they are
/// reached. Those of a registry's own begin with `//` or `@`.
const KEPT_ENV: [&str; 17] = [
    "registry",
    "proxy",
    "https_proxy",
    "http_proxy",
    "noproxy",
    "ca",
    "cafile",
    "cert",
    "key",
    "strict_ssl",
    "userconfig",
    "globalconfig",
    "cache",
    "offline",
    "prefer_offline",
    "maxsockets",
    "local_address",
];

/// Whether a variable is meant for other installations.
fn is_for_others(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    match lower.strip_prefix("npm_config_") {
        Some(setting) => {
            let setting = setting.replace('-', "_");
            !KEPT_ENV.contains(&setting.as_str()) && !setting.starts_with(['/', '@', '_'])
        }
        None => ["NODE_ENV", "NODE_OPTIONS", "NODE_PATH"].contains(&name),
    }
}

/// A program that has exited.
struct Exited {
    success: bool,
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Run a program, and kill it after this time.
fn run(
    command: &mut Command,
    program: &'static str,
    limit: Duration,
    file: &Path,
) -> Result<Exited, Error> {
    let mut child = descriptors::inherit_limit(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::NoNode {
                path: file.to_owned(),
                program,
            },
            _ => Error::Run {
                path: program.into(),
                error,
            },
        })?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let failed = |error| Error::Run {
        path: program.into(),
        error,
    };
    let status = match wait(&mut child, limit).map_err(failed)? {
        Some(status) => status,
        None => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::Timeout { program, limit });
        }
    };
    Ok(Exited {
        success: status.success(),
        code: status.code(),
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
    })
}

fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait()? {
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
            status => return Ok(status),
        }
    }
}

/// Bytes that are kept of each output of a program.
const MAX_OUTPUT: u64 = 1 << 20;

fn collect(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The line of a stack trace that names the error.
fn error_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.clone().next().unwrap_or("node printed no error");
    // Node shows the line of code that threw before the error itself.
    let named = lines.clone().find(|line| {
        let word = line.split(':').next().unwrap_or_default();
        word.ends_with("Error") && !word.contains(' ') && word != *line
    });
    named
        .or_else(|| lines.find(|line| line.contains("Error")))
        .unwrap_or(first)
        .to_owned()
}

/// The code and the reason of npm's error report.
fn npm_error(text: &str) -> String {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("npm error "))
        .filter(|line| !line.trim().is_empty() && !line.contains("complete log"));
    let lines: Vec<_> = lines.take(2).collect();
    match lines.is_empty() {
        true => error_line(text),
        false => lines.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_npm_is_one_line() {
        let text = "npm warn x\nnpm error code EAI_AGAIN\nnpm error syscall getaddrinfo\nnpm error errno\n";
        assert_eq!(npm_error(text), "code EAI_AGAIN, syscall getaddrinfo");
        assert_eq!(npm_error(""), "node printed no error");
    }

    #[test]
    fn where_packages_come_from_is_kept_and_what_is_left_out_is_not() {
        for theirs in [
            "npm_config_omit",
            "NPM_CONFIG_GLOBAL",
            "npm_config_dry-run",
            "NODE_ENV",
        ] {
            assert!(is_for_others(theirs), "{theirs}");
        }
        for kept in [
            "npm_config_registry",
            "npm_config_//host/:_authToken",
            "NPM_CONFIG_HTTPS-PROXY",
            "PATH",
        ] {
            assert!(!is_for_others(kept), "{kept}");
        }
    }

    #[test]
    fn the_error_in_a_trace_is_found() {
        let text = "file.mjs:3\n  throw new Error(x)\n  ^\n\nTypeError: no\n    at y\n";
        assert_eq!(error_line(text), "TypeError: no");
    }

    #[test]
    fn a_program_that_takes_too_long_is_stopped() {
        let mut sleep = Command::new("sleep");
        let file = Path::new("x.js");
        let ran = run(sleep.arg("60"), "node", Duration::from_millis(20), file);
        assert!(matches!(ran, Err(Error::Timeout { .. })));
        let none = run(
            &mut Command::new("/nowhere/node"),
            "node",
            BUILD_TIMEOUT,
            file,
        );
        let error = none.err().expect("no node").to_string();
        assert!(error.contains("needs node: install Node 18"), "{error}");
    }
}
