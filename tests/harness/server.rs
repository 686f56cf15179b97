//! A running server: started on free ports, with files of its own, and killed
//! when the test is over.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{Client, Lines, Ran, ask, hotsocket, prebuilt, run, wait_for};

/// A server to be started.
pub struct Serve {
    command: Command,
    dir: TempDir,
    listen: Vec<String>,
}

/// Serve a guest, given as the bytes of a component; they become the file
/// `guest.wasm` in the server's own directory.
pub fn serve(guest: impl AsRef<[u8]>) -> Serve {
    let mut serve = Serve::nothing();
    fs::write(serve.path("guest.wasm"), guest).expect("a guest");
    let path = serve.path("guest.wasm");
    serve.command.arg(path);
    serve
}

impl Serve {
    /// No guest is named.
    pub fn nothing() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = hotsocket();
        command
            .current_dir(dir.path())
            .env("XDG_RUNTIME_DIR", dir.path());
        Serve {
            command,
            dir,
            listen: vec!["127.0.0.1:0".to_owned()],
        }
    }

    /// One of the guests that come with the project.
    pub fn prebuilt(name: &str) -> Self {
        serve(fs::read(prebuilt(name)).expect("a prebuilt guest"))
    }

    /// A path in the server's directory, in which it also runs.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// Another runtime directory than its own.
    pub fn runtime_dir(mut self, dir: &Path) -> Self {
        self.command.env("XDG_RUNTIME_DIR", dir);
        self
    }

    pub fn listen(mut self, addresses: &[&str]) -> Self {
        self.listen = addresses
            .iter()
            .map(|&address| address.to_owned())
            .collect();
        self
    }

    fn command(&mut self) -> &mut Command {
        for address in self.listen.drain(..) {
            self.command.args(["--listen", &address]);
        }
        &mut self.command
    }

    /// Run a server that cannot start.
    pub fn fail(mut self) -> Ran {
        run(self.command())
    }

    /// Start, and wait until it is ready.
    pub fn start(self) -> Server {
        self.start_when("ready in ")
    }

    /// Start, and wait until this is on standard error.
    pub fn start_when(mut self, ready: &str) -> Server {
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdout = Lines::collect("stdout", child.stdout.take().expect("piped"));
        let stderr = Lines::collect("stderr", child.stderr.take().expect("piped"));
        let mut server = Server {
            child,
            dir: self.dir,
            stdout,
            stderr,
            addresses: Vec::new(),
        };
        if !ready.is_empty() {
            server.stderr.wait(ready);
        }
        server.addresses = server
            .stderr
            .text()
            .lines()
            .filter_map(|line| line.split_once("listening on ")?.1.parse().ok())
            .collect();
        server
    }
}

/// See the module's documentation.
pub struct Server {
    child: Child,
    dir: TempDir,
    pub stdout: Lines,
    pub stderr: Lines,
    pub addresses: Vec<SocketAddr>,
}

impl Server {
    pub fn connect(&self) -> Client {
        Client::connect(self.addresses[0])
    }

    pub fn port(&self) -> u16 {
        self.addresses[0].port()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its directory, which also is its runtime directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Run another command on it; it is the only server in its directory.
    pub fn ask(&self, args: &[&str]) -> Ran {
        ask(self.dir(), args)
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.ask(&["status", "--json"]).success()).expect("JSON")
    }

    /// Wait until so many connections are open.
    pub fn wait_open(&self, connections: u64) {
        wait_for(&format!("{connections} open connections"), || {
            self.status()["connections"]["open"] == connections
        });
    }

    /// Overwrite the served file in place, and wait until the swap is over.
    /// `generation` is the number that the new code gets.
    pub fn overwrite(&self, guest: impl AsRef<[u8]>, generation: u64) {
        fs::write(self.path("guest.wasm"), guest).expect("writable");
        self.wait_swapped(generation);
    }

    pub fn wait_swapped(&self, generation: u64) {
        self.stderr
            .wait(&format!("swapped: generation {generation} is "));
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("a signal");
    }

    /// Wait for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for("the server's end", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Stop it politely; everything it has printed to standard output.
    pub fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        assert_eq!(self.wait().code(), Some(0));
        String::from_utf8_lossy(&self.stdout.whole()).into_owned()
    }

    /// It still runs and has said nothing that it should not say.
    pub fn is_well(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
            && !self.stderr.text().contains("panicked at host")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("--- stdout of the server\n{}", self.stdout.text());
            println!("--- stderr of the server\n{}---", self.stderr.text());
        }
    }
}
