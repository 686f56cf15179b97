//! Servers at work: requests, connections made and closed, bulk.
//!
//! In each round every server is started anew, warmed up, measured and ended,
//! one after the other, so that what the machine does meanwhile hits all alike.

use std::time::Duration;

use super::driver::{Clients, Load, Sample};
use super::{Plan, Row, counted};
use crate::Result;
use crate::subject::Subject;
use crate::table::{Line, Unit};

/// Not measured: caches fill, and a server may learn what its guest is like.
const WARM_UP: Duration = Duration::from_millis(300);
/// Connections made at the same time in a storm.
const STORM: usize = 64;

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (size, name, many) in [(64, "64 B", 64), (4096, "4 KiB", 64), (65536, "64 KiB", 16)] {
        for connections in [1, many, 1000] {
            let work = format!("echo {name}, {}", counted(connections));
            rows.push(Row {
                name: format!("echo-{}-c{connections}", name.replace(' ', "")),
                quick: connections == many,
                measure: Box::new(move |plan| {
                    let samples = interleaved(plan, &Load::echo(size, connections), &[])?;
                    Ok(vec![
                        line(
                            &work,
                            "CPU per request",
                            Unit::Micros,
                            &samples,
                            cpu_per_request,
                        ),
                        line(
                            &work,
                            "of it in user mode, sampled",
                            Unit::Micros,
                            &samples,
                            user_per_request,
                        ),
                        line(&work, "requests", Unit::PerSecond, &samples, rate),
                    ])
                }),
            });
        }
    }
    rows.push(Row {
        name: "storm".to_owned(),
        quick: true,
        measure: Box::new(|plan| {
            let load = Load {
                kind: "storm",
                ..Load::echo(32, STORM)
            };
            let work = format!("connect, 32 B, reply, close; {STORM} at once");
            let samples = interleaved(plan, &load, &[])?;
            Ok(vec![
                line(
                    &work,
                    "CPU per connection",
                    Unit::Micros,
                    &samples,
                    cpu_per_request,
                ),
                line(&work, "connections", Unit::PerSecond, &samples, rate),
            ])
        }),
    });
    for connections in [1, 4] {
        rows.push(Row {
            name: format!("bulk-c{connections}"),
            quick: connections == 1,
            measure: Box::new(move |plan| {
                let load = Load {
                    kind: "bulk",
                    ..Load::echo(65536, connections)
                };
                let work = format!("bulk, both ways at once, {}", counted(connections));
                let samples = interleaved(plan, &load, &[])?;
                let megabytes = |sample: &Sample| sample.bytes / sample.seconds / 1e6;
                let cpu = |sample: &Sample| sample.cpu * 1e12 / sample.bytes;
                Ok(vec![
                    line(
                        &work,
                        "echoed",
                        Unit::MegabytesPerSecond,
                        &samples,
                        megabytes,
                    ),
                    line(&work, "CPU per MB", Unit::Micros, &samples, cpu),
                ])
            }),
        });
    }
    rows
}

/// A sample of each subject in each round.
pub fn interleaved(plan: &Plan, load: &Load, flags: &[String]) -> Result<Vec<Vec<Sample>>> {
    let mut samples = vec![Vec::new(); plan.subjects.len()];
    for _ in 0..plan.rounds {
        for (subject, samples) in plan.subjects.iter().zip(&mut samples) {
            samples.push(once(plan, subject, load, flags)?);
        }
    }
    Ok(samples)
}

fn once(plan: &Plan, subject: &Subject, load: &Load, flags: &[String]) -> Result<Sample> {
    let measured = || {
        let server = subject.start(plan.place, flags)?;
        let mut clients = Clients::connect(load, plan.place, &server)?;
        clients.measure(WARM_UP, &server)?;
        clients.measure(plan.duration, &server)
    };
    measured().map_err(|error| format!("{}: {error}", subject.name).into())
}

pub fn line(
    work: &str,
    measured: &'static str,
    unit: Unit,
    samples: &[Vec<Sample>],
    value: impl Fn(&Sample) -> f64,
) -> Line {
    Line {
        work: work.to_owned(),
        measured,
        unit,
        values: samples
            .iter()
            .map(|samples| samples.iter().map(&value).collect())
            .collect(),
    }
}

/// In microseconds.
pub fn cpu_per_request(sample: &Sample) -> f64 {
    sample.cpu * 1e6 / sample.requests
}

fn user_per_request(sample: &Sample) -> f64 {
    sample.user * 1e6 / sample.requests
}

fn rate(sample: &Sample) -> f64 {
    sample.requests / sample.seconds
}
