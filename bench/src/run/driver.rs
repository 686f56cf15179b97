//! Starts the process of the clients, sends it commands and reads its results.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use serde_json::Value;

use crate::cleanup::Running;
use crate::machine::Cpus;
use crate::server::Server;
use crate::usage::CpuTime;
use crate::{Error, Result};

/// For a result, beyond the time of the measurement: 15,000 connections are opened
/// in it.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Lines of the clients' output that may be queued.
const QUEUED_LINES: usize = 16;

/// What the clients of one measurement do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    pub kind: &'static str,
    pub connections: usize,
    pub active: usize,
    pub size: usize,
    pub pace: Duration,
    /// Of the server: see [`Subject::protocol`](crate::subject::Subject::protocol).
    pub protocol: &'static str,
    /// Published at once.
    pub messages: usize,
}

impl Load {
    /// Requests on so many connections.
    pub fn echo(size: usize, connections: usize) -> Self {
        Load {
            kind: "echo",
            connections,
            active: connections,
            size,
            pace: Duration::ZERO,
            protocol: "raw",
            messages: 1,
        }
    }
}

/// The result of one measurement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub requests: f64,
    pub bytes: f64,
    /// The time of the run. On one processor: the CPU time of server and load
    /// together, which is what it takes when nobody else uses that processor.
    pub seconds: f64,
    /// CPU time of the server, in seconds.
    pub cpu: f64,
    /// The part of it in user mode, from samples.
    pub user: f64,
    /// Waiting times in microseconds.
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// Connected clients, ended when dropped.
pub struct Clients {
    commands: Option<ChildStdin>,
    running: Running,
    cpus: Cpus,
    results: Receiver<String>,
}

impl Clients {
    /// Start the process, and wait until all clients are connected.
    pub fn connect(load: &Load, cpus: Cpus, server: &Server) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("load")
            .args(["--kind", load.kind])
            .args(["--address", &server.address.to_string()])
            .args(["--connections", &load.connections.to_string()])
            .args(["--active", &load.active.to_string()])
            .args(["--size", &load.size.to_string()])
            .args(["--pace", &format!("{}ms", load.pace.as_millis())])
            .args(["--protocol", load.protocol])
            .args(["--messages", &load.messages.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut running = Running::start(cpus, &mut command)?;
        let (send, results) = sync_channel(QUEUED_LINES);
        if let Some(out) = running.child.stdout.take() {
            let send = send.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(|line| line.ok()) {
                    let _ = send.send(line);
                }
            });
        }
        if let Some(errors) = running.child.stderr.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(errors).lines().map_while(|line| line.ok()) {
                    let _ = send.send(line);
                }
            });
        }
        let clients = Clients {
            commands: running.child.stdin.take(),
            running,
            cpus,
            results,
        };
        clients.receive(Duration::ZERO, server)?;
        Ok(clients)
    }

    /// Start a measurement.
    pub fn start(&mut self, time: Duration) -> Result<()> {
        if let Some(commands) = &mut self.commands {
            writeln!(commands, "run {}", time.as_millis())?;
            commands.flush()?;
        }
        Ok(())
    }

    /// The result of the measurement that [`Self::start`] has started with this time.
    pub fn result(&self, time: Duration, server: &Server) -> Result<Sample> {
        let result = self.receive(time, server)?;
        let number = |name: &str| result.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        Ok(Sample {
            requests: number("requests"),
            bytes: number("bytes"),
            seconds: number("seconds"),
            cpu: 0.0,
            user: 0.0,
            p50: number("p50"),
            p99: number("p99"),
            p999: number("p999"),
            max: number("max"),
        })
    }

    /// One whole measurement, with the server's CPU time.
    pub fn measure(&mut self, time: Duration, server: &Server) -> Result<Sample> {
        let pids = server.pids();
        let before = CpuTime::of_all(&pids)?;
        let before_load = CpuTime::of(self.running.child.id())?;
        self.start(time)?;
        let mut sample = self.result(time, server)?;
        crate::usage::wait_until_idle(server.pid())?;
        let after = CpuTime::of_all(&pids)?;
        let load = CpuTime::of(self.running.child.id())?.since(&before_load);
        sample.cpu = after.since(&before).as_secs_f64();
        sample.user = after.user_since(&before).as_secs_f64();
        if self.cpus != Cpus::All {
            sample.seconds = sample.cpu + load.as_secs_f64();
        }
        match sample.requests > 0.0 {
            true => Ok(sample),
            false => Err("no request was answered; try a longer --duration".into()),
        }
    }

    fn receive(&self, time: Duration, server: &Server) -> Result<Value> {
        let failed = |what: &str| -> Error {
            format!(
                "the clients failed: {what}; last lines of the server: {}",
                server.last_lines()
            )
            .into()
        };
        match self.results.recv_timeout(time + TIMEOUT) {
            Ok(line) => serde_json::from_str(&line).map_err(|_| failed(&line)),
            Err(_) => Err(failed("timed out")),
        }
    }
}
