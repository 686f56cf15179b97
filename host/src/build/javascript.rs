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
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::single::{cache_dir, put, take_turn};
use super::sources::{Hashed, of_input};
use super::{Compiled, Error, Section};

mod embedded;

/// What such a source ends with.
pub(super) const EXTENSIONS: [&str; 5] = ["js", "mjs", "cjs", "ts", "mts"];

/// How long npm may take to fetch some 15 packages, 20 MB in all.
const INSTALL_TIME: Duration = Duration::from_secs(600);
/// How long node may take to bundle a script and make the component.
const BUILD_TIME: Duration = Duration::from_secs(120);
/// Written when everything is installed.
const INSTALLED: &str = "installed";

pub(super) fn compile(file: &Path) -> Result<Compiled, Error> {
    let source = fs::canonicalize(file).map_err(|error| Error::read(file, error))?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let dir = cache_dir()?.join(format!("javascript-{:.16}", of_packages()));
    fs::create_dir_all(&dir).map_err(|error| Error::write(&dir, error))?;
    prepare(&dir, file)?;

    let output = Scratch::new(&dir);
    let mut node = Command::new("node");
    node.arg("build.mjs").arg(&source).arg(&output.0);
    let ran = run(node.current_dir(&dir), "node", BUILD_TIME, file)?;
    if !ran.success {
        let told = ran.stderr.trim_end();
        return Err(match ran.code {
            Some(1) => Error::Script {
                told: told.replace('\n', " | "),
            },
            _ => Error::Builder {
                path: file.to_owned(),
                told: telling_line(told),
            },
        });
    }
    let told: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    let inputs: Vec<PathBuf> = told
        .get("inputs")
        .and_then(Value::as_array)
        .map(|paths| paths.iter().filter_map(Value::as_str).map(PathBuf::from))
        .map_or_else(|| vec![source.clone()], Iterator::collect);
    let component = fs::read(&output.0).map_err(|error| Error::read(&output.0, error))?;
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
            port: told
                .get("port")
                .and_then(Value::as_u64)
                .and_then(|port| port.try_into().ok()),
        },
        output: file.with_extension("wasm"),
        inputs,
        toolchain: "componentize-qjs",
    })
}

/// The script that a directory with a `package.json` is about.
pub(super) fn entry_of(dir: &Path) -> Option<PathBuf> {
    let manifest = fs::read(dir.join("package.json")).ok()?;
    let manifest: Value = serde_json::from_slice(&manifest).ok()?;
    let main = manifest.get("main").and_then(Value::as_str);
    let main = main.unwrap_or("index.js");
    Some(dir.join(main))
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
    let _turn = take_turn(dir, "lock")?;
    for (path, content) in embedded::FILES {
        put(dir, path, content)?;
    }
    if dir.join(INSTALLED).exists() {
        return Ok(());
    }
    super::say("installing componentize-qjs and esbuild with npm, once …");
    let mut npm = Command::new("npm");
    // No script of a package is run. A network that isn't there shall be
    // noticed in a minute.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args([
            "--loglevel=error",
            "--fetch-retries=1",
            "--fetch-timeout=60000",
        ])
        .args(["--fetch-retry-mintimeout=1000", "--update-notifier=false"]);
    let ran = run(npm.current_dir(dir), "npm", INSTALL_TIME, file)?;
    if !ran.success {
        return Err(Error::Packages {
            path: file.to_owned(),
            told: npm_line(&ran.stderr),
        });
    }
    put(dir, INSTALLED, "")
}

/// A file for one build, gone when it is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(dir: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Scratch(dir.join(format!("{}-{number}.wasm", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

struct Ran {
    success: bool,
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Run a program to its end, which it must reach in this time.
fn run(
    command: &mut Command,
    program: &'static str,
    limit: Duration,
    file: &Path,
) -> Result<Ran, Error> {
    let mut child = command
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
            return Err(Error::TooLong { program, limit });
        }
    };
    Ok(Ran {
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

/// The most that is kept of what a program prints.
const MAX_TOLD: u64 = 1 << 20;

fn collect(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.by_ref().take(MAX_TOLD).read_to_end(&mut bytes);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Of a trace, the line that names the error.
fn telling_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.clone().next().unwrap_or("node ended without a word");
    lines
        .find(|line| line.contains("Error"))
        .unwrap_or(first)
        .to_owned()
}

/// Of npm's report, what it is about: the code, then the reason.
fn npm_line(text: &str) -> String {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("npm error "))
        .filter(|line| !line.trim().is_empty() && !line.contains("complete log"));
    let told: Vec<_> = lines.take(2).collect();
    match told.is_empty() {
        true => telling_line(text),
        false => told.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn npm_is_quoted_in_one_line() {
        let text = "npm warn x\nnpm error code EAI_AGAIN\nnpm error syscall getaddrinfo\nnpm error errno\n";
        assert_eq!(npm_line(text), "code EAI_AGAIN, syscall getaddrinfo");
        assert_eq!(npm_line(""), "node ended without a word");
    }

    #[test]
    fn the_error_in_a_trace_is_found() {
        let text = "file.mjs:3\n  throw x\n  ^\n\nTypeError: no\n    at y\n";
        assert_eq!(telling_line(text), "TypeError: no");
    }

    #[test]
    fn what_takes_too_long_is_stopped() {
        let mut sleep = Command::new("sleep");
        let file = Path::new("x.js");
        let ran = run(sleep.arg("60"), "node", Duration::from_millis(20), file);
        assert!(matches!(ran, Err(Error::TooLong { .. })));
        let none = run(&mut Command::new("/nowhere/node"), "node", BUILD_TIME, file);
        let told = none.err().expect("no node").to_string();
        assert!(told.contains("needs node: install Node 18"), "{told}");
    }
}
