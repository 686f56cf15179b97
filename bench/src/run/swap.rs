//! What clients notice of a swap.
//!
//! Many connections send requests at a low rate. Their waiting times without a swap
//! are compared with those during one, to code that the server must compile, with
//! every connection migrating. Server and load run on all processors, because the
//! row is about compiling while serving.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::driver::{Clients, Load, Sample};
use super::{Plan, Row, counted};
use crate::Result;
use crate::component::with_note;
use crate::machine::{Cpus, TempDir};
use crate::table::{Line, Unit};

const CONNECTIONS: usize = 1000;
/// From one request to the next on a connection.
const PACE: Duration = Duration::from_millis(100);
/// Time from the start of the measurement to the swap.
const BEFORE: Duration = Duration::from_millis(200);

pub fn rows() -> Vec<Row> {
    vec![Row {
        name: "swap".to_owned(),
        quick: true,
        measure: Box::new(measure),
    }]
}

fn measure(plan: &Plan) -> Result<Vec<Line>> {
    let dir = TempDir::new()?;
    let control = dir.path("control");
    let flags = [
        "--control".to_owned(),
        control.display().to_string(),
        "--code-cache".to_owned(),
        "none".to_owned(),
    ];
    let server = plan.hotsocket()?.start(Cpus::All, &flags)?;
    let load = Load {
        pace: PACE,
        ..Load::echo(64, CONNECTIONS)
    };
    let mut clients = Clients::connect(&load, Cpus::All, &server)?;
    clients.measure(PACE * 3, &server)?;
    let echo = std::fs::read(plan.guest("echo.wasm"))?;
    let (mut quiet, mut swapped, mut took) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        quiet.push(clients.measure(plan.duration, &server)?);
        let next = dir.path("next.wasm");
        std::fs::write(&next, with_note(&echo, &format!("generation {round}")))?;
        clients.start(plan.duration)?;
        std::thread::sleep(BEFORE);
        let started = Instant::now();
        let mut swap = Command::new(plan.hotsocket()?.binary()?);
        swap.arg("swap").arg(&next).arg("--control").arg(&control);
        let output = swap.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("the swap failed: {}", error.trim()).into());
        }
        took.push(started.elapsed().as_secs_f64() * 1e3);
        swapped.push(clients.result(plan.duration, &server)?);
    }
    let work = format!("{}, 10 requests a second on each", counted(CONNECTIONS));
    let millis = |samples: &[Sample], value: fn(&Sample) -> f64| -> Vec<f64> {
        samples.iter().map(|sample| value(sample) / 1e3).collect()
    };
    let line = |measured, values| Line::alone(work.clone(), measured, Unit::Millis, values);
    Ok(vec![
        line(
            "99.9% of replies within, quiet",
            millis(&quiet, |sample| sample.p999),
        ),
        line(
            "99.9% of replies within, code swapped",
            millis(&swapped, |sample| sample.p999),
        ),
        line("longest wait, quiet", millis(&quiet, |sample| sample.max)),
        line(
            "longest wait, code swapped",
            millis(&swapped, |sample| sample.max),
        ),
        line("`hotsocket swap`, compiling included", took),
    ])
}
