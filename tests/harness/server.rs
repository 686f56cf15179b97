//! A running server: started on free ports, with files of its own, and killed
//! when the test is over. What is asked of it with other commands is in
//! `control`, what the kernel says of it in `proc`.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    Client, Lines, PATIENCE, Process, Ran, Reader, files, hotsocket, prebuilt, temp_dir,
    wait_within,
};

/// What `hotsocket drain --until-empty --max 0s` asks of it.
const CLOSE_ALL: &[u8] = b"{\"request\":\"drain\",\"order\":{\"max_ms\":0,\"ends\":true}}\n";

/// Two signals with less between them are one, in 100 ms.
const APART: Duration = Duration::from_millis(150);

/// A server to be started.
pub struct Serve {
    command: Command,
    dir: TempDir,
    listen: Vec<String>,
    reader: Reader,
    /// Its standard output and error, where they are not pipes to the test.
    streams: (Option<Stdio>, Option<Stdio>),
    patience: Duration,
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
        let dir = temp_dir();
        let mut command = hotsocket();
        command
            .current_dir(dir.path())
            .env("XDG_RUNTIME_DIR", dir.path());
        Serve {
            command,
            dir,
            listen: vec!["127.0.0.1:0".to_owned()],
            reader: Reader::Test,
            streams: (None, None),
            patience: PATIENCE,
        }
    }

    /// One of the guests that come with the project.
    pub fn prebuilt(name: &str) -> Self {
        serve(prebuilt(name))
    }

    /// A path in the server's directory, in which it also runs.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// With this variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
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

    /// The longest wait for a line of it, where something takes long to compile.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub fn stdout_read_by(mut self, reader: Reader) -> Self {
        self.reader = reader;
        self
    }

    /// Another program than the one under test: a copy of it.
    pub fn program(mut self, path: &Path) -> Self {
        let mut other = Command::new(path);
        other.args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            other.env(name, value.unwrap_or_default());
        }
        other.current_dir(self.dir.path());
        self.command = other;
        self
    }

    /// Standard output goes there, and the test sees none of it.
    pub fn stdout_to(mut self, stdout: impl Into<Stdio>) -> Self {
        self.streams.0 = Some(stdout.into());
        self
    }

    /// The same for standard error: start it with [`Self::spawn`], as it can't be
    /// seen to be ready.
    pub fn stderr_to(mut self, stderr: impl Into<Stdio>) -> Self {
        self.streams.1 = Some(stderr.into());
        self
    }

    /// As another user, whose processes the kernel counts. Only root may do so.
    pub fn user(mut self, uid: u32) -> Self {
        // This user may not be allowed to see the directory that the program is in.
        let (from, to) = (self.command.get_program(), self.path("program"));
        files::copy_program(from, &to);
        self = self.program(&to);
        for entry in fs::read_dir(self.dir.path())
            .expect("a directory")
            .flatten()
        {
            chown(entry.path(), Some(uid), Some(uid)).expect("root may");
        }
        chown(self.dir.path(), Some(uid), Some(uid)).expect("root may");
        self.command.uid(uid).gid(uid);
        self
    }

    /// Under a limit of the shell's, given as `ulimit` takes it.
    pub fn ulimit(mut self, limit: &str) -> Self {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("ulimit {limit}; exec \"$@\""), "sh"])
            .arg(self.command.get_program())
            .args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        shell.current_dir(self.dir.path());
        self.command = shell;
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
        super::run(self.command())
    }

    /// Start, and wait until it is ready.
    pub fn start(self) -> Server {
        let mut server = self.spawn();
        server.wait_ready();
        server
    }

    /// Start, and wait for nothing.
    pub fn spawn(mut self) -> Server {
        let (reader, patience) = (self.reader, self.patience);
        let (stdout, stderr) = std::mem::take(&mut self.streams);
        let command = self.command().stdin(Stdio::null());
        command
            .stdout(stdout.unwrap_or_else(Stdio::piped))
            .stderr(stderr.unwrap_or_else(Stdio::piped));
        let process = Process::spawn("the server", command, reader, patience);
        // Or the child's ends of its pipes would stay open here.
        self.command = Command::new("true");
        Server {
            stdout: process.stdout.clone(),
            stderr: process.stderr.clone(),
            process,
            dir: self.dir,
            addresses: Vec::new(),
        }
    }
}

/// See the module's documentation.
pub struct Server {
    process: Process,
    dir: TempDir,
    pub stdout: Lines,
    pub stderr: Lines,
    pub addresses: Vec<SocketAddr>,
}

impl Server {
    /// Wait until it says that it is ready, and where it listens.
    pub fn wait_ready(&mut self) {
        self.stderr.wait("ready in ");
        self.addresses = listening_on(&self.stderr.text());
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.addresses[0])
    }

    pub fn port(&self) -> u16 {
        self.addresses[0].port()
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its directory, which also is its runtime directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// See [`Process::freeze`].
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// Wait for its end. Gives all that it has printed.
    pub fn end(&mut self) -> Ran {
        self.process.end()
    }

    /// Let it close its connections and end, which [`Self::end`] waits for: without a
    /// drain, for which clients would have to go. It needs a control socket, unless it
    /// ends already.
    pub fn close_all(&self) {
        if let Ok(mut control) = UnixStream::connect(self.control_socket()) {
            let _ = control.write_all(CLOSE_ALL);
            // The answer, or the end of a server that is faster.
            let _ = control.read(&mut [0]);
        }
    }

    /// The same by two signals; after the second, closing takes a second at most.
    pub fn close_after_signals(&mut self) {
        self.signal(Signal::TERM);
        // If somebody is connected, once more, so much later that it is not the same signal.
        if !wait_within(APART, || !self.process.is_running()) {
            self.signal(Signal::TERM);
        }
    }

    /// Stop it politely. Gives all that it has printed, to which nothing can be
    /// added any more.
    pub fn stop(mut self) -> Ran {
        match self.control_socket().exists() {
            true => {
                self.signal(Signal::TERM);
                // With nobody connected it ends.
                wait_within(APART, || {
                    self.stderr.has("draining: ") || !self.process.is_running()
                });
                self.close_all();
            }
            false => self.close_after_signals(),
        }
        let ran = self.end();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran
    }

    /// It still runs, and has not panicked.
    pub fn is_well(&mut self) -> bool {
        self.process.is_running() && !has_panicked(&self.stderr.text())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = self.process.child.kill();
            let log = self.process.end().stderr;
            assert!(!has_panicked(&log), "the server has panicked:\n{log}");
        }
    }
}

/// Whether the host itself has panicked, rather than a guest.
fn has_panicked(log: &str) -> bool {
    log.contains("panicked at host")
}

/// The addresses that a server's log names.
pub fn listening_on(log: &str) -> Vec<SocketAddr> {
    log.lines()
        .filter_map(|line| line.split_once("listening on ")?.1.parse().ok())
        .collect()
}
