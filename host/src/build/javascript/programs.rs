//! Runs npm and node for [`super`]: with which settings, for how long, and what their
//! errors say.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::build::Error;
use crate::descriptors;

/// Stronger than what the user's `.npmrc` says for other installations. Of packages for
/// many machines, those that fit are optional.
pub(super) const OWN_SETTINGS: [&str; 9] = [
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
pub(super) fn is_for_others(name: &str) -> bool {
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
pub(super) struct Exited {
    pub(super) success: bool,
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Run a program, and kill it after this time.
pub(super) fn run(
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
pub(super) fn error_line(text: &str) -> String {
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
pub(super) fn npm_error(text: &str) -> String {
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
            Duration::from_secs(60),
            file,
        );
        let error = none.err().expect("no node").to_string();
        assert!(error.contains("needs node: install Node 18"), "{error}");
    }
}
