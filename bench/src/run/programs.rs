//! Rows whose clients are programs that people measure with: wrk and redis-benchmark.

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
/// SET and GET of redis-benchmark, so many of each for each request in flight of a
/// connection…
const COMMANDS: u32 = 20_000;
/// …by so many connections, its own default.
const REDIS_CONNECTIONS: &str = "50";

/// A program that asks a server.
#[derive(Clone, Copy)]
enum Client {
    Wrk,
    /// With so many requests in flight on each connection.
    Redis(u32),
}

pub fn rows() -> Vec<Row> {
    let http = |name, what, base| {
        let work = format!("HTTP GET by wrk, {CONNECTIONS} connections; native is {what}");
        row(name, work, "http.wasm", base, Client::Wrk)
    };
    let mut rows = vec![
        http("http-nginx", "nginx's `return 200`", Program::Nginx),
        http("http-node", "Node's `http.createServer`", Program::NodeHttp),
    ];
    for (name, in_flight) in [("kv-p1", 1), ("kv-p16", 16), ("kv-p50", 50)] {
        let work = format!(
            "SET and GET by redis-benchmark, {REDIS_CONNECTIONS} connections, {in_flight} in \
             flight; native is redis-server"
        );
        let client = Client::Redis(in_flight);
        rows.push(row(name, work, "kv.wasm", Program::Redis, client));
    }
    rows
}

fn row(name: &str, work: String, guest: &'static str, base: Program, client: Client) -> Row {
    Row {
        name: name.to_owned(),
        quick: false,
        measure: Box::new(move |plan| measure(plan, &work, guest, base, client)),
    }
}

fn measure(
    plan: &Plan,
    work: &str,
    guest: &str,
    base: Program,
    client: Client,
) -> Result<Vec<Line>> {
    let program = client.program();
    if Command::new(program).arg("--version").output().is_err() {
        eprintln!("{program} is not installed: skipped");
        return Ok(Vec::new());
    }
    let guest = plan.guest(guest);
    let Some(plan) = plan.compared_with(Subject::program(base), &guest)? else {
        return Ok(Vec::new());
    };
    let mut values = vec![Vec::new(); plan.subjects.len()];
    for _ in 0..plan.rounds {
        for (subject, values) in plan.subjects.iter().zip(&mut values) {
            let server = subject.start(plan.cpus, &[])?;
            client.run(&plan, &server, WARM_UP)?;
            let before = CpuTime::of(server.pid())?;
            let requests = client.run(&plan, &server, plan.duration)?;
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

impl Client {
    fn program(self) -> &'static str {
        match self {
            Client::Wrk => "wrk",
            Client::Redis(_) => "redis-benchmark",
        }
    }

    /// How many requests were answered.
    fn run(self, plan: &Plan, server: &Server, time: Duration) -> Result<f64> {
        match self {
            Client::Wrk => wrk(plan, server, time),
            Client::Redis(in_flight) => redis(plan, server, time, in_flight),
        }
    }
}

fn redis(plan: &Plan, server: &Server, time: Duration, in_flight: u32) -> Result<f64> {
    let seconds = time.as_secs_f64().max(0.5);
    let count = (f64::from(COMMANDS) * f64::from(in_flight).sqrt() * seconds) as u32;
    let mut command = Command::new("redis-benchmark");
    command
        .args(["-p", &server.address.port().to_string(), "-t", "set,get"])
        .args(["-n", &count.to_string(), "-P", &in_flight.to_string()])
        .args(["-c", REDIS_CONNECTIONS, "-r", "10000", "-q"]);
    let output = output(plan, &mut command)?;
    match output.matches("requests per second").count() >= 2 && !output.contains("rror") {
        true => Ok(f64::from(count) * 2.0),
        false => Err(format!("redis-benchmark answered {output:?}").into()),
    }
}

fn output(plan: &Plan, command: &mut Command) -> Result<String> {
    command.stdout(Stdio::piped());
    let mut running = Running::start(plan.cpus, command)?;
    let output = running.child.stdout.take();
    Ok(std::io::read_to_string(output.ok_or("no output")?)?)
}

fn wrk(plan: &Plan, server: &Server, time: Duration) -> Result<f64> {
    let seconds = time.as_secs().max(1);
    let mut command = Command::new("wrk");
    command
        .args(["-t", "1", "-c", CONNECTIONS, "-d", &seconds.to_string()])
        .arg(format!("http://{}/", server.address));
    let output = output(plan, &mut command)?;
    let wrong = ["Non-2xx", "Socket errors"];
    if wrong.iter().any(|it| output.contains(it)) {
        return Err(format!("wrk found errors: {output}").into());
    }
    let requests = output
        .lines()
        .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok());
    requests.ok_or_else(|| format!("wrk answered {output:?}").into())
}
