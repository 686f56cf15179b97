//! What clients notice of a swap.
//!
//! Many connections ask at a leisurely pace; their waiting times while nothing
//! happens are compared with those while the server's code is replaced by code
//! that it has never seen, which is compiled, and every connection migrates.
//! Server and load have all processors: compiling beside serving is the point.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::driver::{Clients, Load, Sample};
use super::{Plan, Row, counted};
use crate::Result;
use crate::component::with_note;
use crate::place::{Place, Scratch};
use crate::table::{Line, Unit};

const CONNECTIONS: usize = 1000;
/// From one request to the next on a connection.
const PACE: Duration = Duration::from_millis(100);
/// Of the time measured, this much is before the swap begins.
const BEFORE: Duration = Duration::from_millis(200);

pub fn rows() -> Vec<Row> {
    vec![Row {
        name: "swap".to_owned(),
        quick: true,
        measure: Box::new(measure),
    }]
}

fn measure(plan: &Plan) -> Result<Vec<Line>> {
    let scratch = Scratch::new()?;
    let control = scratch.path("control");
    let flags = [
        "--control".to_owned(),
        control.display().to_string(),
        "--code-cache".to_owned(),
        "none".to_owned(),
    ];
    let server = plan.hotsocket()?.start(Place::Anywhere, &flags)?;
    let load = Load {
        pace: PACE,
        ..Load::echo(64, CONNECTIONS)
    };
    let mut clients = Clients::connect(&load, Place::Anywhere, &server)?;
    clients.measure(PACE * 3, &server)?;
    let echo = std::fs::read(plan.guest("echo.wasm"))?;
    let (mut quiet, mut swapped, mut took) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        quiet.push(clients.measure(plan.duration, &server)?);
        let next = scratch.path("next.wasm");
        std::fs::write(&next, with_note(&echo, &format!("generation {round}")))?;
        clients.begin(plan.duration)?;
        std::thread::sleep(BEFORE);
        let began = Instant::now();
        let mut swap = Command::new(plan.hotsocket()?.binary()?);
        swap.arg("swap").arg(&next).arg("--control").arg(&control);
        let told = swap.stdin(Stdio::null()).output()?;
        if !told.status.success() {
            let said = String::from_utf8_lossy(&told.stderr).into_owned();
            return Err(format!("the swap failed: {}", said.trim()).into());
        }
        took.push(began.elapsed().as_secs_f64() * 1e3);
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
