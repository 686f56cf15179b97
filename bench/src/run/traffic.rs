//! Servers with traffic: requests, short connections, bulk.
//!
//! In each round every server is started, warmed up, measured and stopped, one
//! after the other, so that other load on the machine affects all alike.

use std::time::Duration;

use super::driver::{Clients, Load, Sample};
use super::{Plan, Row, counted};
use crate::Result;
use crate::machine::Cpus;
use crate::subject::Subject;
use crate::table::{Line, Unit};

/// Before the measurement: caches fill, and hotsocket finds out that the guest's
/// events are short.
const WARM_UP: Duration = Duration::from_millis(300);
/// Connections opened at the same time in a storm.
const STORM: usize = 64;

/// A figure computed from a sample: its name, its unit, and the computation.
pub type Measure = (&'static str, Unit, fn(&Sample) -> f64);

/// A part of the line before it.
pub const IN_USER_MODE: &str = "of it in user mode, sampled";

const ECHO: &[Measure] = &[
    ("CPU per request", Unit::Micros, cpu_per_request),
    (IN_USER_MODE, Unit::Micros, |sample| {
        sample.user * 1e6 / sample.requests
    }),
    ("requests", Unit::PerSecond, rate),
];
const CONNECTED: &[Measure] = &[
    ("CPU per connection", Unit::Micros, cpu_per_request),
    ("connections", Unit::PerSecond, rate),
];
const ECHOED: &[Measure] = &[
    ("echoed", Unit::MegabytesPerSecond, |sample| {
        sample.bytes / sample.seconds / 1e6
    }),
    ("CPU per MB", Unit::Micros, |sample| {
        sample.cpu * 1e12 / sample.bytes
    }),
];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (size, name, many) in [(64, "64 B", 64), (4096, "4 KiB", 64), (65536, "64 KiB", 16)] {
        for connections in [1, many, 1000] {
            rows.push(row(
                format!("echo-{}-c{connections}", name.replace(' ', "")),
                connections == many,
                Load::echo(size, connections),
                format!("echo {name}, {}", counted(connections)),
                ECHO,
            ));
        }
    }
    let storm = Load {
        kind: "storm",
        ..Load::echo(32, STORM)
    };
    let storm_work = format!("connect, 32 B, reply, close; {STORM} at once");
    rows.push(row(
        "storm".to_owned(),
        true,
        storm,
        storm_work.clone(),
        CONNECTED,
    ));
    let echo_work = format!("echo 64 B, {}", counted(64));
    for (name, load, work, measures) in [
        ("echo-64B-c64", Load::echo(64, 64), echo_work, ECHO),
        ("storm", storm, storm_work, CONNECTED),
    ] {
        let all = row(
            format!("{name}-all-processors"),
            true,
            load,
            format!("{work}; all processors"),
            measures,
        );
        rows.push(all.on_all_processors());
    }
    for connections in [1, 4] {
        let bulk = Load {
            kind: "bulk",
            ..Load::echo(65536, connections)
        };
        let name = format!("bulk-c{connections}");
        let work = format!("bulk, both ways at once, {}", counted(connections));
        rows.push(row(name, connections == 1, bulk, work, ECHOED));
    }
    rows
}

fn row(name: String, quick: bool, load: Load, work: String, measures: &'static [Measure]) -> Row {
    let measure = move |plan: &Plan| Ok(lines(&work, &interleaved(plan, &load, &[])?, measures));
    Row {
        name,
        quick,
        measure: Box::new(measure),
    }
}

impl Row {
    /// Measured where the kernel puts servers and load, whatever the plan says.
    fn on_all_processors(self) -> Self {
        let measure = self.measure;
        Row {
            measure: Box::new(move |plan| {
                measure(&Plan {
                    cpus: Cpus::All,
                    ..plan.clone()
                })
            }),
            ..self
        }
    }
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
        let server = subject.start(plan.cpus, flags)?;
        let load = &Load {
            protocol: subject.protocol(),
            ..*load
        };
        let mut clients = Clients::connect(load, plan.cpus, &server)?;
        clients.measure(WARM_UP, &server)?;
        clients.measure(plan.duration, &server)
    };
    measured().map_err(|error| format!("{}: {error}", subject.name).into())
}

/// One line for each of these.
pub fn lines(work: &str, samples: &[Vec<Sample>], measures: &[Measure]) -> Vec<Line> {
    measures
        .iter()
        .map(|(measured, unit, value)| Line {
            work: work.to_owned(),
            measured,
            unit: *unit,
            values: samples
                .iter()
                .map(|samples| samples.iter().map(value).collect())
                .collect(),
        })
        .collect()
}

/// In microseconds.
pub fn cpu_per_request(sample: &Sample) -> f64 {
    sample.cpu * 1e6 / sample.requests
}

fn rate(sample: &Sample) -> f64 {
    sample.requests / sample.seconds
}
