//! TLS, beside nginx and HAProxy that end it in front of a native echo. Their time and
//! memory are those of both processes. Clients speak TLS 1.3; the key is ECDSA with P-256.

use std::process::Command;

use super::driver::{Clients, Load};
use super::traffic::{self, Measure};
use super::{Plan, Row, counted};
use crate::Result;
use crate::machine::TempDir;
use crate::subject::{Subject, Terminator};
use crate::table::{Line, Unit};
use crate::usage::{pss, wait_until_idle};

/// Connections opened at the same time in a storm.
const STORM: usize = 64;
/// Idle ones.
const IDLE: usize = 1000;

const ECHO: &[Measure] = &[("CPU per request", Unit::Micros, traffic::cpu_per_request)];
const CONNECTED: &[Measure] = &[("CPU per connection", Unit::Micros, traffic::cpu_per_request)];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for terminator in [Terminator::Nginx, Terminator::Haproxy] {
        let echo = |size, connections| Load {
            kind: "tls-echo",
            ..Load::echo(size, connections)
        };
        let storm = |kind| Load {
            kind,
            ..Load::echo(32, STORM)
        };
        let at_once = format!("connect by TLS, 32 B, reply, close; {STORM} at once");
        for (name, load, work, measures) in [
            (
                "echo-64B",
                echo(64, 64),
                format!("TLS echo 64 B, {}", counted(64)),
                ECHO,
            ),
            (
                "echo-64KiB",
                echo(65536, 16),
                format!("TLS echo 64 KiB, {}", counted(16)),
                ECHO,
            ),
            ("storm", storm("tls-storm"), at_once.clone(), CONNECTED),
            (
                "storm-resumed",
                storm("tls-storm-resumed"),
                format!("{at_once}, with sessions from before"),
                CONNECTED,
            ),
        ] {
            let work = work_beside(&work, terminator);
            rows.push(Row {
                name: format!("tls-{name}-{}", terminator.name()),
                quick: false,
                measure: Box::new(move |plan| {
                    beside(plan, terminator, |plan, flags| {
                        let samples = traffic::interleaved(plan, &load, flags)?;
                        Ok(traffic::lines(&work, &samples, measures))
                    })
                }),
            });
        }
        rows.push(Row {
            name: format!("tls-idle-{}", terminator.name()),
            quick: false,
            measure: Box::new(move |plan| {
                beside(plan, terminator, |plan, flags| {
                    idle(plan, terminator, flags)
                })
            }),
        });
    }
    rows
}

fn work_beside(work: &str, terminator: Terminator) -> String {
    format!("{work}; native is {} in front of it", terminator.name())
}

/// Measure with a certificate, which is given to all, and that program in front of native.
fn beside(
    plan: &Plan,
    terminator: Terminator,
    measure: impl FnOnce(&Plan, &[String]) -> Result<Vec<Line>>,
) -> Result<Vec<Line>> {
    let dir = TempDir::new()?;
    let (cert, key) = (dir.path("cert.pem"), dir.path("key.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "30", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        eprintln!("openssl has made no certificate: skipped");
        return Ok(Vec::new());
    }
    let both = [std::fs::read(&cert)?, std::fs::read(&key)?].concat();
    std::fs::write(dir.path("both.pem"), both)?;
    let base = Subject::terminator(terminator, dir.path(""));
    let Some(plan) = plan.compared_with(base, &plan.guest("echo.wasm"))? else {
        return Ok(Vec::new());
    };
    let flags = ["--tls-cert", "--tls-key"].into_iter().zip([cert, key]);
    let flags = flags.flat_map(|(flag, file)| [flag.to_owned(), file.display().to_string()]);
    measure(&plan, &flags.collect::<Vec<_>>())
}

/// Memory of a connection that has had one request.
fn idle(plan: &Plan, terminator: Terminator, flags: &[String]) -> Result<Vec<Line>> {
    let load = Load {
        kind: "tls-idle",
        ..Load::echo(64, IDLE)
    };
    let mut values = vec![Vec::new(); plan.subjects.len()];
    for (subject, values) in plan.subjects.iter().zip(&mut values) {
        let server = subject.start(plan.cpus, flags)?;
        let memory = || -> Result<u64> {
            let pids = server.pids();
            pids.iter().try_for_each(|pid| wait_until_idle(*pid))?;
            pids.iter().map(|pid| pss(*pid)).sum()
        };
        let before = memory()?;
        let _clients = Clients::connect(&load, plan.cpus, &server)?;
        values.push(memory()?.saturating_sub(before) as f64 / IDLE as f64);
    }
    Ok(vec![Line {
        work: work_beside(&format!("TLS, idle, {}", counted(IDLE)), terminator),
        measured: "memory (PSS) per connection",
        unit: Unit::Bytes,
        values,
    }])
}
