//! The servers that are measured, and one of them running.
//!
//! Every one says `listening on ADDRESS` and `ready in …` on standard error;
//! what else it prints is kept to be shown when it fails.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Result;
use crate::cleanup::Running;
use crate::machine::Cpus;

/// For a server to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Lines of a server's log that are kept, for error messages.
const KEPT_LINES: usize = 20;

/// A server that can be started, any number of times.
#[derive(Clone, Debug)]
pub struct Subject {
    pub name: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Native,
    Hotsocket { binary: PathBuf, guest: PathBuf },
    Node,
}

impl Subject {
    pub fn native() -> Self {
        Subject {
            name: "native".to_owned(),
            kind: Kind::Native,
        }
    }

    /// That binary with that guest.
    pub fn hotsocket(name: &str, binary: PathBuf, guest: PathBuf) -> Self {
        Subject {
            name: name.to_owned(),
            kind: Kind::Hotsocket { binary, guest },
        }
    }

    /// Node, if it is installed.
    pub fn node() -> Option<Self> {
        let output = Command::new("node").arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Some(Subject {
            name: format!("Node {version}"),
            kind: Kind::Node,
        })
    }

    /// The same binary with another guest.
    pub fn serving(&self, guest: PathBuf) -> Self {
        let mut other = self.clone();
        if let Kind::Hotsocket { guest: served, .. } = &mut other.kind {
            *served = guest;
        }
        other
    }

    /// The binary of a hotsocket.
    pub fn binary(&self) -> Result<&Path> {
        match &self.kind {
            Kind::Hotsocket { binary, .. } => Ok(binary),
            _ => Err(format!("{} is not hotsocket", self.name).into()),
        }
    }

    /// Whether `hotsocket serve` has that flag.
    pub fn has_flag(&self, flag: &str) -> Result<bool> {
        let help = Command::new(self.binary()?)
            .args(["serve", "--help"])
            .output()?;
        Ok(String::from_utf8_lossy(&help.stdout).contains(flag))
    }

    /// Start it, with more flags if it is hotsocket, and wait until it is ready.
    pub fn start(&self, cpus: Cpus, flags: &[String]) -> Result<Server> {
        let mut command = match &self.kind {
            Kind::Native => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("native");
                command
            }
            Kind::Hotsocket { binary, guest } => {
                let mut command = Command::new(binary);
                command
                    .arg("serve")
                    .arg(guest)
                    .args(["--listen", "127.0.0.1:0", "--no-watch"])
                    .args(flags);
                if !flags.iter().any(|flag| flag == "--control") {
                    command.args(["--control", "none"]);
                }
                command
            }
            Kind::Node => {
                let mut command = Command::new("node");
                command.args(["-e", NODE]);
                command
            }
        };
        Server::start(&self.name, cpus, &mut command)
    }
}

/// Echo, as Node's documentation would have it.
const NODE: &str = r#"
const server = require("node:net").createServer({ noDelay: true }, (socket) => {
  socket.on("data", (data) => { if (!socket.write(data)) socket.pause(); });
  socket.on("drain", () => socket.resume());
  socket.on("error", () => {});
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => {
  console.error(`listening on 127.0.0.1:${server.address().port}`);
  console.error("ready in ? ms");
});
"#;

type Lines = Arc<Mutex<VecDeque<String>>>;

/// A running server, ended when dropped.
pub struct Server {
    name: String,
    running: Running,
    pub address: SocketAddr,
    /// From the call that started it until its line `ready in` was read.
    pub start_time: Duration,
    lines: Lines,
}

impl Server {
    fn start(name: &str, cpus: Cpus, command: &mut Command) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let started = Instant::now();
        let mut running = Running::start(cpus, command)
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let lines = Lines::default();
        let (send, ready) = sync_channel(1);
        if let Some(errors) = running.child.stderr.take() {
            let lines = Arc::clone(&lines);
            std::thread::spawn(move || {
                let mut address = None;
                for line in BufReader::new(errors).lines().map_while(|line| line.ok()) {
                    if let Some((_, listening)) = line.split_once("listening on ") {
                        address = listening.trim().parse().ok();
                    }
                    if line.contains("ready in ") {
                        let _ = send.try_send((Instant::now(), address));
                    }
                    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                    lines.truncate(KEPT_LINES - 1);
                    lines.push_front(line);
                }
            });
        }
        let mut server = Server {
            name: name.to_owned(),
            running,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            start_time: Duration::ZERO,
            lines,
        };
        (server.start_time, server.address) = server.wait(&ready, started)?;
        Ok(server)
    }

    fn wait(
        &self,
        ready: &Receiver<(Instant, Option<SocketAddr>)>,
        started: Instant,
    ) -> Result<(Duration, SocketAddr)> {
        match ready.recv_timeout(START_TIMEOUT) {
            Ok((when, Some(address))) => Ok((when - started, address)),
            _ => Err(format!(
                "{} did not start; its last lines: {}",
                self.name,
                self.last_lines()
            )
            .into()),
        }
    }

    pub fn pid(&self) -> u32 {
        self.running.child.id()
    }

    /// The end of its log, for error messages.
    pub fn last_lines(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.is_empty() {
            true => "none".to_owned(),
            false => lines.iter().rev().cloned().collect::<Vec<_>>().join(" / "),
        }
    }
}
