//! A running server.
//!
//! Those that are made for this say `listening on ADDRESS` and `ready in …` on standard
//! error; of other programs it is known where they will listen. What a server prints is
//! kept to be shown when it fails.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Result;
use crate::cleanup::Running;
use crate::machine::{Cpus, TempDir};

/// For a server to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks whether it accepts connections.
const LOOK: Duration = Duration::from_millis(10);
/// Lines of a server's log that are kept, for error messages.
const KEPT_LINES: usize = 20;

type Lines = Arc<Mutex<VecDeque<String>>>;

/// A running server, ended when dropped.
pub struct Server {
    name: String,
    running: Running,
    pub address: SocketAddr,
    /// From the call that started it until its line `ready in` was read.
    pub start_time: Duration,
    lines: Lines,
    /// What it has on disk.
    _dir: Option<TempDir>,
    /// The server that it stands in front of.
    behind: Option<Box<Server>>,
}

impl Server {
    pub fn start(name: &str, cpus: Cpus, command: &mut Command) -> Result<Self> {
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
            _dir: None,
            behind: None,
        };
        (server.start_time, server.address) = server.wait(&ready, started)?;
        Ok(server)
    }

    /// Start a program that will listen there.
    pub fn start_at(
        name: &str,
        cpus: Cpus,
        command: &mut Command,
        address: SocketAddr,
        dir: TempDir,
    ) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = Instant::now();
        let mut running = Running::start(cpus, command)
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        while TcpStream::connect(address).is_err() {
            let has_ended = running.child.try_wait()?.is_some();
            if has_ended || started.elapsed() > START_TIMEOUT {
                return Err(format!("{name} did not start").into());
            }
            std::thread::sleep(LOOK);
        }
        Ok(Server {
            name: name.to_owned(),
            running,
            address,
            start_time: started.elapsed(),
            lines: Lines::default(),
            _dir: Some(dir),
            behind: None,
        })
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

    /// It stands in front of that one, whose time and memory are its own.
    pub fn in_front_of(mut self, behind: Server) -> Self {
        self.behind = Some(Box::new(behind));
        self
    }

    pub fn pid(&self) -> u32 {
        self.running.child.id()
    }

    /// Those of all processes that serve.
    pub fn pids(&self) -> Vec<u32> {
        let behind = self.behind.as_ref().map(|behind| behind.pid());
        [self.pid()].into_iter().chain(behind).collect()
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
