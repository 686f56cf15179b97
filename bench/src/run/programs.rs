//! Rows whose clients are programs that people measure with: wrk.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Plan, Row};
use crate::Result;
use crate::cleanup::Running;
use crate::server::Server;
use crate::subject::{Program, Subject};
use crate::table::{Line, Unit};
use crate::usage::CpuTime;

const CONNECTIONS: &str = "64";
const WARM_UP: Duration = Duration::from_secs(1);

pub fn rows() -> Vec<Row> {
    [
        ("http-nginx", "nginx's `return 200`", Program::Nginx),
        ("http-node", "Node's `http.createServer`", Program::NodeHttp),
    ]
    .map(|(name, what, base)| {
        let work = format!("HTTP GET by wrk, {CONNECTIONS} connections; native is {what}");
        Row {
            name: name.to_owned(),
            quick: false,
            measure: Box::new(move |plan| measure(plan, &work, base)),
        }
    })
    .into()
}

fn measure(plan: &Plan, work: &str, base: Program) -> Result<Vec<Line>> {
    if Command::new("wrk").arg("-v").output().is_err() {
        eprintln!("wrk is not installed: skipped");
        return Ok(Vec::new());
    }
    let guest = plan.guest("http.wasm");
    let Some(plan) = plan.compared_with(Subject::program(base), &guest)? else {
        return Ok(Vec::new());
    };
    let mut values = vec![Vec::new(); plan.subjects.len()];
    for _ in 0..plan.rounds {
        for (subject, values) in plan.subjects.iter().zip(&mut values) {
            let server = subject.start(plan.cpus, &[])?;
            wrk(&plan, &server, WARM_UP)?;
            let before = CpuTime::of(server.pid())?;
            let requests = wrk(&plan, &server, plan.duration)?;
            let cpu = CpuTime::of(server.pid())?.since(&before);
            values.push(cpu.as_secs_f64() * 1e6 / requests);
        }
    }
    Ok(vec![Line {
        work: work.to_owned(),
        measured: "CPU per request",
        unit: Unit::Micros,
        values,
    }])
}

/// How many requests were answered.
fn wrk(plan: &Plan, server: &Server, time: Duration) -> Result<f64> {
    let seconds = time.as_secs().max(1);
    let mut command = Command::new("wrk");
    command
        .args(["-t", "1", "-c", CONNECTIONS, "-d", &seconds.to_string()])
        .arg(format!("http://{}/", server.address))
        .stdout(Stdio::piped());
    let mut running = Running::start(plan.cpus, &mut command)?;
    let output = running.child.stdout.take();
    let output = std::io::read_to_string(output.ok_or("no output")?)?;
    let wrong = ["Non-2xx", "Socket errors"];
    if wrong.iter().any(|it| output.contains(it)) {
        return Err(format!("wrk found errors: {output}").into());
    }
    let requests = output
        .lines()
        .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok());
    requests.ok_or_else(|| format!("wrk answered {output:?}").into())
}
