//! What a silent connection holds: memory and mappings.
//!
//! Each connection has had one request. What the server had before the first
//! of them is subtracted.

use std::time::{Duration, Instant};

use super::driver::{Clients, Load};
use super::{Plan, Row, counted, crowd};
use crate::Result;
use crate::gauge::{mappings, pss, wait_for_rest};
use crate::subject::Subject;
use crate::table::{Line, Unit};

/// Memory hardly differs from run to run.
const ROUNDS: u32 = 3;
/// A connection that is quiet this long shall sleep.
const QUIET: Duration = Duration::from_secs(1);
/// All sleep by then.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for connections in [1000, crowd::MOST] {
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

/// What a server had before the first connection, and for each one of them.
#[derive(Clone, Copy)]
struct Held {
    before: (u64, u64),
    bytes: f64,
    mappings: f64,
}

fn awake(plan: &Plan, connections: usize) -> Result<Vec<Line>> {
    let _room = match crowd::room(connections)? {
        Some(room) => room,
        None => return Ok(Vec::new()),
    };
    let mut held = vec![Vec::new(); plan.subjects.len()];
    for _ in 0..plan.rounds.min(ROUNDS) {
        for (subject, held) in plan.subjects.iter().zip(&mut held) {
            let flags = crowd::flags(connections);
            held.push(hold(plan, subject, connections, &flags, wait_for_rest)?);
        }
    }
    Ok(lines("idle", connections, &held))
}

/// The guest is `counter`: `echo` has no state, so there is nothing to wake it
/// from.
fn hibernated(plan: &Plan, connections: usize) -> Result<Vec<Line>> {
    let counter = plan.hotsocket()?.serving(plan.guest("counter.wasm"));
    if !counter.knows("--hibernate-after")? {
        eprintln!("hibernated-c{connections}: left out, this hotsocket does not hibernate");
        return Ok(Vec::new());
    }
    let _room = match crowd::room(connections)? {
        Some(room) => room,
        None => return Ok(Vec::new()),
    };
    let mut held = Vec::new();
    for _ in 0..plan.rounds.min(ROUNDS) {
        let mut flags = crowd::flags(connections);
        flags.extend([
            "--hibernate-after".to_owned(),
            hotsocket::duration::show(QUIET),
        ]);
        held.push(hold(plan, &counter, connections, &flags, wait_for_sleep)?);
    }
    Ok(lines("idle, hibernated", connections, &[Vec::new(), held]))
}

fn hold(
    plan: &Plan,
    subject: &Subject,
    connections: usize,
    flags: &[String],
    settle: fn(u32) -> Result<()>,
) -> Result<Held> {
    let measured = || {
        let server = subject.start(plan.place, flags)?;
        let pid = server.pid();
        wait_for_rest(pid)?;
        let before = (pss(pid)?, mappings(pid)?);
        let load = Load {
            kind: "hold",
            ..Load::echo(64, connections)
        };
        let _clients = Clients::connect(&load, plan.place, &server)?;
        settle(pid)?;
        let each = |now: u64, before: u64| now.saturating_sub(before) as f64 / connections as f64;
        Result::Ok(Held {
            before,
            bytes: each(pss(pid)?, before.0),
            mappings: each(mappings(pid)?, before.1),
        })
    };
    measured().map_err(|error| format!("{}: {error}", subject.name).into())
}

/// Wait until the memory does not shrink any more.
fn wait_for_sleep(pid: u32) -> Result<()> {
    let began = Instant::now();
    let mut least = pss(pid)?;
    let mut since = Instant::now();
    while since.elapsed() < QUIET * 3 && began.elapsed() < PATIENCE {
        std::thread::sleep(QUIET / 4);
        let now = pss(pid)?;
        if now < least - least / 100 {
            (least, since) = (now, Instant::now());
        }
    }
    Ok(())
}

fn lines(what: &str, connections: usize, held: &[Vec<Held>]) -> Vec<Line> {
    let work = format!("{what}, {}", counted(connections));
    let values = |value: fn(&Held) -> f64| -> Vec<Vec<f64>> {
        held.iter()
            .map(|held| held.iter().map(value).collect())
            .collect()
    };
    let line = |measured, unit, value| Line {
        work: work.clone(),
        measured,
        unit,
        values: values(value),
    };
    vec![
        line("memory (PSS) per connection", Unit::Bytes, |held| {
            held.bytes
        }),
        line("mappings per connection", Unit::Count, |held| held.mappings),
        line("memory (PSS) of the server before", Unit::Bytes, |held| {
            held.before.0 as f64
        }),
        line("mappings of the server before", Unit::Count, |held| {
            held.before.1 as f64
        }),
    ]
}
