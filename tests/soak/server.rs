//! The server under test: a whole one, in this process, on threads of its own.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hotsocket::control::client::{self, ClientError, Target};
use hotsocket::control::protocol::Request;
use hotsocket::limits::Limits;
use hotsocket::listener::SocketOptions;
use hotsocket::node::{Control, Node, Options};
use hotsocket::output::{GuestLines, Output};
use hotsocket::registry::{Record, Registry, Report, Rules};
use hotsocket::rollout::Policy;
use hotsocket_sandbox::CodeCacheDir;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::components;
use super::faulty_socket::{Fault, FaultyListener};

/// An answer to a swap must have come by then.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// Lines of the log that are kept.
const LINES: usize = 40;

/// See the module's documentation.
pub struct TestServer {
    runtime: Runtime,
    server: Option<Node>,
    pub address: SocketAddr,
    pub log: Log,
    registry: Arc<Registry>,
    dir: TempDir,
}

impl TestServer {
    /// Start with a good guest. The fault is on the third connection.
    pub fn start(connections: u32, fault: Option<Fault>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("guest.wasm"), components::good(0)).expect("writable");
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
            address: server.listeners()[0],
            registry: Arc::clone(server.registry()),
            server: Some(server),
            runtime,
            log,
            dir,
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
        self.ask(Request::Rollback { policy: None }, Vec::new())
    }

    /// Over the control socket, as `hotsocket swap` does.
    fn ask(&self, request: Request, bytes: Vec<u8>) -> Result<Report, String> {
        let control = self.dir.path().join("control");
        let target = Target {
            socket: Some(&control),
            timeout: ANSWER_TIME,
        };
        match client::send(target, &request, &bytes) {
            Ok(report) => Ok(serde_json::from_value(report).expect("a report")),
            Err(ClientError::Silent { .. }) => {
                panic!("the server does not answer:\n{}", self.log.last())
            }
            Err(refusal) => Err(refusal.to_string()),
        }
    }

    pub fn history(&self) -> Vec<Record> {
        self.registry.history()
    }

    pub fn connections(&self) -> usize {
        self.server.as_ref().map_or(0, Node::connections)
    }

    /// How long it took to stop.
    pub fn shut_down(mut self) -> Duration {
        let began = Instant::now();
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shut_down());
        }
        self.runtime.shutdown_background();
        began.elapsed()
    }
}

fn options(dir: &TempDir, connections: u32) -> Options {
    Options {
        guest: Some(dir.path().join("guest.wasm")),
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        sockets: SocketOptions {
            user_timeout: Duration::from_secs(60),
            ..SocketOptions::default()
        },
        limits: Limits {
            max_connections: connections as usize * 2 + 100,
            write_timeout: Duration::from_secs(60),
            ..Limits::default()
        },
        watch: true,
        control: Control::At(dir.path().join("control")),
        rules: Rules {
            keep: 8,
            ..Rules::default()
        },
        code_cache: CodeCacheDir::At(dir.path().join("code")),
        ..Options::default()
    }
}

/// The log of this server and no other.
#[derive(Clone, Default)]
pub struct Log {
    /// Files that the watcher found half-written.
    pub halves: Arc<AtomicU64>,
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
