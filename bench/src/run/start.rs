//! How long the server takes to start, and to compile a guest.
//!
//! Measured from outside: from the call that starts the process until its line
//! `ready in` has been read. On all processors, as compilation uses them all.

use std::path::{Path, PathBuf};

use super::{Plan, Row};
use crate::Result;
use crate::component::{core_module, with_modules};
use crate::machine::{Cpus, TempDir};
use crate::subject::Subject;
use crate::table::{Line, Unit, median};

/// Starts for the median.
const STARTS: u32 = 10;
/// Compilations of each component: the large ones take seconds.
const COMPILATIONS: u32 = 3;
/// Copies of echo's core module that the larger components have besides.
const COPIES: [usize; 2] = [10, 50];

pub fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "start".to_owned(),
            quick: true,
            measure: Box::new(start),
        },
        Row {
            name: "compile".to_owned(),
            quick: false,
            measure: Box::new(compile),
        },
    ]
}

fn start(plan: &Plan) -> Result<Vec<Line>> {
    let dir = TempDir::new()?;
    let hotsocket = plan.hotsocket()?;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for number in 0..STARTS {
        let cache = dir.path(&format!("cache-{number}"));
        cold.push(start_time(hotsocket, &cache)?);
        warm.push(start_time(hotsocket, &cache)?);
    }
    let line = |measured, values| {
        let work = "start, to the line that says ready".to_owned();
        Line::alone(work, measured, Unit::Millis, values)
    };
    Ok(vec![
        line("guest never seen before", cold),
        line("guest in the code cache", warm),
    ])
}

/// The prebuilt guests, and larger ones made from the first of them.
fn compile(plan: &Plan) -> Result<Vec<Line>> {
    let dir = TempDir::new()?;
    let mut guests: Vec<(String, PathBuf)> = Vec::new();
    for name in ["echo", "hello"] {
        guests.push((name.to_owned(), plan.guest(&format!("{name}.wasm"))));
    }
    let echo = std::fs::read(plan.guest("echo.wasm"))?;
    let module = core_module(&echo)?;
    for copies in COPIES {
        let large = dir.path(&format!("{copies}.wasm"));
        std::fs::write(&large, with_modules(&echo, module, copies))?;
        guests.push((format!("echo with its code {} times", copies + 1), large));
    }
    let mut lines = Vec::new();
    for (number, (name, guest)) in guests.into_iter().enumerate() {
        let kilobytes = std::fs::metadata(&guest)?.len() as f64 / 1e3;
        let hotsocket = plan.hotsocket()?.serving(guest);
        let mut values = Vec::new();
        for round in 0..plan.rounds.min(COMPILATIONS) {
            let cache = dir.path(&format!("cache-{number}-{round}"));
            let cold = start_time(&hotsocket, &cache)?;
            let warm = [
                start_time(&hotsocket, &cache)?,
                start_time(&hotsocket, &cache)?,
            ];
            values.push(cold - median(&warm).unwrap_or(0.0));
        }
        lines.push(Line::alone(
            format!("compile {name}, {kilobytes:.0} KB"),
            "start without code cache, less one with it",
            Unit::Millis,
            values,
        ));
    }
    Ok(lines)
}

/// The time of one start, in milliseconds.
fn start_time(hotsocket: &Subject, cache: &Path) -> Result<f64> {
    let flags = ["--code-cache".to_owned(), cache.display().to_string()];
    let server = hotsocket.start(Cpus::All, &flags)?;
    Ok(server.start_time.as_secs_f64() * 1e3)
}
