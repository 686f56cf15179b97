//! The server under test: a whole one, in this process on threads of its own, as a
//! fault can be built into its sockets there; or the real binary, whose use of the
//! machine can be measured.

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hotsocket::control::client::{self, ClientError, Target};
use hotsocket::control::protocol::Request;
use hotsocket::limits::Limits;
use hotsocket::listener::SocketOptions;
use hotsocket::node::{Control, Node, Options, ServiceListener, ServiceOptions};
use hotsocket::output::{GuestLines, Output};
use hotsocket::registry::{Record, Report, Rules};
use hotsocket::rollout::Policy;
use hotsocket_sandbox::CodeCacheDir;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::components;
use super::faulty_socket::{Fault, FaultyListener};
use crate::harness::{Usage, hotsocket, listening_on};

/// An answer to a swap must have come by then.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// Enough for the soak's guests, and too little for a bomb.
const COMPILE_MEMORY: &str = "400M";
/// Lines of the log that are kept.
const LINES: usize = 1000;

/// See the module's documentation.
pub struct TestServer {
    host: Host,
    pub address: SocketAddr,
    pub log: Log,
    dir: TempDir,
}

enum Host {
    Here(Option<Box<(Runtime, Node)>>),
    Process(Child),
}

impl TestServer {
    /// Start with a good guest, in this process. The fault is on the third connection.
    pub fn start_here(connections: u32, fault: Option<Fault>) -> Self {
        let dir = directory();
        let log = Log::default();
        let threads_log = log.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("serve")
            .enable_all()
            .on_thread_start(move || threads_log.collect_here())
            .build()
            .expect("threads");
        let options = options(&dir, connections);
        let output = Output::to(io::sink(), io::sink(), (false, false), GuestLines::Plain)
            .expect("a thread");
        let began = Instant::now();
        let starting = match fault {
            None => runtime.spawn(Node::start(options, output, began)),
            Some(fault) => {
                let wrap = move |listener| FaultyListener::new(listener, fault);
                runtime.spawn(Node::start_with(options, output, began, wrap))
            }
        };
        let server = runtime
            .block_on(starting)
            .expect("no panic")
            .expect("the server starts");
        TestServer {
            address: server.listeners()[0].socket_addr().expect("TCP"),
            host: Host::Here(Some(Box::new((runtime, server)))),
            log,
            dir,
        }
    }

    /// Start the binary, with a good guest.
    pub fn start_binary(max_connections: usize) -> Self {
        let dir = directory();
        let log = Log::default();
        let mut process = hotsocket()
            .arg(dir.path().join("guest.wasm"))
            .args(["--listen", "127.0.0.1:0", "--keep", "8"])
            .args(["--max-connections", &max_connections.to_string()])
            .args(["--write-timeout", "60s", "--compile-memory", COMPILE_MEMORY])
            .arg("--control")
            .arg(dir.path().join("control"))
            .arg("--code-cache")
            .arg(dir.path().join("code"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary, which `cargo build --release` makes");
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe"));
        let mut line = Vec::new();
        let mut so_far = String::new();
        while !so_far.contains("ready in ") {
            line.clear();
            let count = lines.read_until(b'\n', &mut line).expect("its log");
            assert!(count > 0, "the server does not start:\n{so_far}");
            so_far += &String::from_utf8_lossy(&line);
        }
        let mut collected = log.clone();
        std::thread::spawn(move || {
            loop {
                line.clear();
                match lines.read_until(b'\n', &mut line) {
                    Ok(1..) => collected.write_all(&line).expect("memory"),
                    _ => return,
                }
            }
        });
        TestServer {
            address: listening_on(&so_far)[0],
            host: Host::Process(process),
            log,
            dir,
        }
    }

    /// What the binary has of the machine; `None` of a server in this process.
    pub fn usage(&self) -> Option<Usage> {
        match &self.host {
            Host::Here(..) => None,
            Host::Process(process) => Some(Usage::of(process.id())),
        }
    }

    /// The file that is served, and watched.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("guest.wasm")
    }

    pub fn swap(&self, bytes: Vec<u8>, policy: Policy) -> Result<Report, String> {
        let request = Request::Swap {
            name: "soak".to_owned(),
            length: bytes.len() as u64,
            policy: Some(policy.to_string()),
        };
        self.ask(request, bytes)
    }

    pub fn roll_back(&self) -> Result<Report, String> {
        let (policy, from) = (None, None);
        self.ask(Request::Rollback { policy, from }, Vec::new())
    }

    fn ask(&self, request: Request, bytes: Vec<u8>) -> Result<Report, String> {
        let report = self.ask_json(&request, &bytes)?;
        Ok(serde_json::from_value(report).expect("a report"))
    }

    /// Over the control socket, as `hotsocket swap` does.
    fn ask_json(&self, request: &Request, bytes: &[u8]) -> Result<Value, String> {
        let control = self.dir.path().join("control");
        let target = Target {
            server: control.to_str(),
            service: None,
            timeout: ANSWER_TIME,
        };
        match client::send(target, request, bytes) {
            Ok(answer) => Ok(answer),
            Err(ClientError::Silent { .. }) => {
                panic!("the server does not answer:\n{}", self.log.last())
            }
            Err(refusal) => Err(refusal.to_string()),
        }
    }

    pub fn history(&self) -> Vec<Record> {
        let mut history = self
            .ask_json(&Request::History, &[])
            .expect("the server lives");
        serde_json::from_value(history["generations"].take()).expect("records")
    }

    pub fn status(&self) -> Value {
        self.ask_json(&Request::Status, &[])
            .expect("the server lives")
    }

    pub fn connections(&self) -> usize {
        let open = &self.status()["connections"]["open"];
        open.as_u64().expect("a number") as usize
    }

    /// How long it took to stop.
    pub fn shut_down(mut self) -> Duration {
        let began = Instant::now();
        match &mut self.host {
            Host::Here(server) => {
                if let Some((runtime, server)) = server.take().map(|it| *it) {
                    runtime.block_on(server.shut_down(Duration::MAX));
                    runtime.shutdown_background();
                }
            }
            Host::Process(process) => {
                let pid = rustix::process::Pid::from_child(process);
                rustix::process::kill_process(pid, rustix::process::Signal::TERM)
                    .expect("it lives");
                let status = process.wait().expect("a child");
                assert!(status.success(), "{status}:\n{}", self.log.last());
            }
        }
        began.elapsed()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Host::Process(process) = &mut self.host {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn directory() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("guest.wasm"), components::good(0)).expect("writable");
    dir
}

pub fn max_connections(connections: u32) -> usize {
    connections as usize * 2 + 100
}

fn options(dir: &TempDir, connections: u32) -> Options {
    let service = ServiceOptions {
        guest: dir.path().join("guest.wasm").into(),
        listeners: vec![ServiceListener {
            sockets: SocketOptions {
                user_timeout: Duration::from_secs(60),
                ..SocketOptions::default()
            },
            ..SocketAddr::from(([127, 0, 0, 1], 0)).into()
        }],
        limits: Limits {
            max_connections: max_connections(connections),
            write_timeout: Duration::from_secs(60),
            ..Limits::default()
        },
        watch: true,
        rules: Rules {
            keep: 8,
            ..Rules::default()
        },
        ..ServiceOptions::default()
    };
    Options {
        control: Control::At(dir.path().join("control")),
        code_cache: CodeCacheDir::At(dir.path().join("code")),
        ..service.into()
    }
}

/// The log of this server and no other.
#[derive(Clone, Default)]
pub struct Log {
    /// Files that the watcher found half-written.
    pub halves: Arc<AtomicU64>,
    /// Lines in which the host has panicked.
    pub panics: Arc<AtomicU64>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    /// Collect what is logged on this thread.
    fn collect_here(&self) {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || log.clone())
            .finish();
        // It collects for as long as the thread lives.
        std::mem::forget(tracing::subscriber::set_default(subscriber));
    }

    /// The last lines.
    pub fn last(&self) -> String {
        self.lines.lock().expect("no panic under the lock").concat()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        if line.contains("waiting for the rest") {
            self.halves.fetch_add(1, Relaxed);
        }
        if line.contains("panicked at host") {
            self.panics.fetch_add(1, Relaxed);
        }
        let mut lines = self.lines.lock().expect("no panic under the lock");
        if lines.len() >= LINES {
            lines.remove(0);
        }
        lines.push(line.into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
