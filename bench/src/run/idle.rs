//! Memory and mappings of an idle connection.
//!
//! Each connection has had one request. The server's own, from before the first
//! connection, are subtracted.

use std::time::{Duration, Instant};

use super::driver::{Clients, Load};
use super::{Plan, Row, counted, open_connections};
use crate::Result;
use crate::subject::Subject;
use crate::table::{Line, Unit};
use crate::usage::{mappings, pss, wait_until_idle};

/// Memory hardly differs from run to run.
const ROUNDS: u32 = 3;
/// `--hibernate-after` of the rows with hibernation.
const QUIET: Duration = Duration::from_secs(1);
/// For all connections to hibernate.
const HIBERNATE_TIMEOUT: Duration = Duration::from_secs(60);

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for connections in [1000, open_connections::MOST] {
        rows.push(Row {
            name: format!("idle-c{connections}"),
            quick: connections == 1000,
            measure: Box::new(move |plan| awake(plan, connections)),
        });
        rows.push(Row {
            name: format!("hibernated-c{connections}"),
            quick: false,
            measure: Box::new(move |plan| hibernated(plan, connections)),
        });
    }
    rows
}

/// What a server uses before the first connection, and for each connection.
#[derive(Clone, Copy)]
struct Usage {
    before: (u64, u64),
    bytes: f64,
    mappings: f64,
}

fn awake(plan: &Plan, connections: usize) -> Result<Vec<Line>> {
    let _limits = match open_connections::raise_limits(connections)? {
        Some(limits) => limits,
        None => return Ok(Vec::new()),
    };
    let mut all = vec![Vec::new(); plan.subjects.len()];
    for _ in 0..plan.rounds.min(ROUNDS) {
        for (subject, samples) in plan.subjects.iter().zip(&mut all) {
            let flags = open_connections::flags(connections);
            samples.push(measure(
                plan,
                subject,
                connections,
                &flags,
                wait_until_idle,
            )?);
        }
    }
    Ok(lines("idle", connections, &all))
}

/// The guest is `counter`, because `echo` saves no state to hibernate with.
fn hibernated(plan: &Plan, connections: usize) -> Result<Vec<Line>> {
    let counter = plan.hotsocket()?.serving(plan.guest("counter.wasm"));
    if !counter.has_flag("--hibernate-after")? {
        eprintln!("hibernated-c{connections}: skipped, this hotsocket does not hibernate");
        return Ok(Vec::new());
    }
    let _limits = match open_connections::raise_limits(connections)? {
        Some(limits) => limits,
        None => return Ok(Vec::new()),
    };
    let mut samples = Vec::new();
    for _ in 0..plan.rounds.min(ROUNDS) {
        let mut flags = open_connections::flags(connections);
        flags.extend([
            "--hibernate-after".to_owned(),
            hotsocket::duration::show(QUIET),
        ]);
        samples.push(measure(
            plan,
            &counter,
            connections,
            &flags,
            wait_until_hibernated,
        )?);
    }
    Ok(lines(
        "idle, hibernated",
        connections,
        &[Vec::new(), samples],
    ))
}

fn measure(
    plan: &Plan,
    subject: &Subject,
    connections: usize,
    flags: &[String],
    wait: fn(u32) -> Result<()>,
) -> Result<Usage> {
    let measured = || {
        let server = subject.start(plan.cpus, flags)?;
        let pid = server.pid();
        wait_until_idle(pid)?;
        let before = (pss(pid)?, mappings(pid)?);
        let load = Load {
            kind: "idle",
            ..Load::echo(64, connections)
        };
        let _clients = Clients::connect(&load, plan.cpus, &server)?;
        wait(pid)?;
        let each = |now: u64, before: u64| now.saturating_sub(before) as f64 / connections as f64;
        Result::Ok(Usage {
            before,
            bytes: each(pss(pid)?, before.0),
            mappings: each(mappings(pid)?, before.1),
        })
    };
    measured().map_err(|error| format!("{}: {error}", subject.name).into())
}

/// Wait until the server's memory shrinks no more.
fn wait_until_hibernated(pid: u32) -> Result<()> {
    let started = Instant::now();
    let mut least = pss(pid)?;
    let mut since = Instant::now();
    while since.elapsed() < QUIET * 3 && started.elapsed() < HIBERNATE_TIMEOUT {
        std::thread::sleep(QUIET / 4);
        let now = pss(pid)?;
        if now < least - least / 100 {
            (least, since) = (now, Instant::now());
        }
    }
    Ok(())
}

fn lines(what: &str, connections: usize, samples: &[Vec<Usage>]) -> Vec<Line> {
    let work = format!("{what}, {}", counted(connections));
    let values = |value: fn(&Usage) -> f64| -> Vec<Vec<f64>> {
        samples
            .iter()
            .map(|samples| samples.iter().map(value).collect())
            .collect()
    };
    let line = |measured, unit, value| Line {
        work: work.clone(),
        measured,
        unit,
        values: values(value),
    };
    vec![
        line("memory (PSS) per connection", Unit::Bytes, |usage| {
            usage.bytes
        }),
        line("mappings per connection", Unit::Count, |usage| {
            usage.mappings
        }),
        line("memory (PSS) of the server before", Unit::Bytes, |usage| {
            usage.before.0 as f64
        }),
        line("mappings of the server before", Unit::Count, |usage| {
            usage.before.1 as f64
        }),
    ]
}
