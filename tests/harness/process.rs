//! A program that a test starts: its output is collected while it runs, and
//! printed when the test fails; it is killed when it goes out of scope.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Lines, PATIENCE, Ran, wait_for, wait_within};

/// See the module's documentation.
pub struct Process {
    name: &'static str,
    pub child: Child,
    pub stdout: Lines,
    pub stderr: Lines,
}

/// Who reads what a program prints to its standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Test,
    /// Nobody, so that the pipe fills up.
    Nobody,
    /// One that has gone, so that writing fails.
    Gone,
}

impl Process {
    /// Start it, with nothing to read on standard input. The name is for messages.
    pub fn start(name: &'static str, command: &mut Command) -> Self {
        Self::start_with(name, command.stdin(Stdio::null()), Reader::Test, PATIENCE)
    }

    /// The same, with a standard input that the caller has set, another reader of
    /// its output, and another longest wait for a line of it.
    pub fn start_with(
        name: &'static str,
        command: &mut Command,
        reader: Reader,
        patience: Duration,
    ) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::spawn(name, command, reader, patience)
    }

    /// The same with a standard output and error that the caller has set, of which
    /// those are collected that are pipes.
    pub fn spawn(
        name: &'static str,
        command: &mut Command,
        reader: Reader,
        patience: Duration,
    ) -> Self {
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let stdout = match reader {
            Reader::Test => match child.stdout.take() {
                Some(stdout) => Lines::collect("stdout", stdout, patience),
                None => Lines::empty("stdout"),
            },
            Reader::Nobody => Lines::empty("stdout"),
            Reader::Gone => {
                drop(child.stdout.take());
                Lines::empty("stdout")
            }
        };
        let stderr = match child.stderr.take() {
            Some(stderr) => Lines::collect("stderr", stderr, patience),
            None => Lines::empty("stderr"),
        };
        Process {
            name,
            child,
            stdout,
            stderr,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal");
    }

    /// Stop it for now, as a pause of the machine does, and wait until none of its
    /// threads runs any more. SIGCONT lets it continue.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        wait_for("the process to be stopped", || {
            let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
            let mut states = tasks.flatten().map(|task| {
                // One that has just ended is none.
                fs::read_to_string(task.path().join("status")).unwrap_or_default()
            });
            states.all(|status| status.is_empty() || status.contains("State:\tT"))
        });
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Wait until it has ended. Gives all that it has done.
    pub fn end(&mut self) -> Ran {
        self.end_within(PATIENCE)
    }

    pub fn end_within(&mut self, time: Duration) -> Ran {
        use std::os::unix::process::ExitStatusExt;
        let mut status = None;
        wait_within(time, || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        let status = status.unwrap_or_else(|| panic!("{} has no end", self.name));
        let text = |lines: &Lines| String::from_utf8_lossy(&lines.whole()).into_owned();
        Ran {
            code: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: text(&self.stdout),
            stderr: text(&self.stderr),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("--- stdout of {}\n{}", self.name, self.stdout.text());
            println!("--- stderr of {}\n{}---", self.name, self.stderr.text());
        }
    }
}
