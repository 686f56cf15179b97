//! What the kernel says of a running server, in `/proc`: see proc(5).

use std::fmt;
use std::fs;
use std::net::SocketAddr;

use rustix::process::{Pid, Signal, kill_process};

use super::{Client, Server, wait_for};

impl Server {
    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid())).expect("it runs")
    }

    fn proc_bytes(&self, file: &str, field: &str) -> usize {
        bytes_of(&self.proc(file), field)
    }

    /// Bytes of memory that are resident.
    pub fn resident(&self) -> usize {
        self.proc_bytes("status", "VmRSS:")
    }

    /// Bytes of address space.
    pub fn address_space(&self) -> usize {
        self.proc_bytes("status", "VmSize:")
    }

    /// The most bytes that were resident at any time.
    pub fn peak_resident(&self) -> usize {
        self.proc_bytes("status", "VmHWM:")
    }

    /// Bytes of memory that is not a file's.
    pub fn anonymous(&self) -> usize {
        self.proc_bytes("smaps_rollup", "Anonymous:")
    }

    pub fn mappings(&self) -> usize {
        self.proc("maps").lines().count()
    }

    pub fn open_files(&self) -> usize {
        let dir = format!("/proc/{}/fd", self.pid());
        fs::read_dir(dir).expect("it runs").count()
    }

    /// The processes that it has started.
    pub fn children(&self) -> Vec<u32> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("Linux").flatten() {
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            // `PID (NAME) STATE PARENT …`
            let parent = stat
                .rsplit_once(") ")
                .map(|(_, rest)| rest.split(' ').nth(1));
            if parent.flatten() == Some(self.pid().to_string().as_str()) {
                found.extend(entry.file_name().to_string_lossy().parse::<u32>());
            }
        }
        found
    }

    /// Wait until it compiles. The processes that it has started.
    pub fn wait_compiling(&self) -> Vec<u32> {
        let mut found = Vec::new();
        wait_for("a compiler", || {
            found = self.children();
            !found.is_empty()
        });
        found
    }
}

/// Kill a process that a server of this test has started.
pub fn kill(process: u32) {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    kill_process(process.expect("a process"), Signal::KILL).expect("ours");
}

/// What a process has of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory that are resident and not a file's.
    pub anonymous: usize,
    pub descriptors: usize,
    pub mappings: usize,
    pub threads: usize,
}

impl Usage {
    pub fn of(pid: u32) -> Self {
        let read = |file| fs::read_to_string(format!("/proc/{pid}/{file}")).expect("it runs");
        let count = |dir| {
            let dir = fs::read_dir(format!("/proc/{pid}/{dir}")).expect("it runs");
            dir.count()
        };
        Usage {
            anonymous: bytes_of(&read("smaps_rollup"), "Anonymous:"),
            descriptors: count("fd"),
            mappings: read("maps").lines().count(),
            threads: count("task"),
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} MiB, {} descriptors, {} mappings, {} threads",
            self.anonymous as f64 / f64::from(1 << 20),
            self.descriptors,
            self.mappings,
            self.threads
        )
    }
}

/// Bytes, of a line as `VmRSS:   1234 kB`.
fn bytes_of(text: &str, field: &str) -> usize {
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: usize = kilobytes
        .and_then(|kilobytes| kilobytes.parse().ok())
        .unwrap_or_else(|| panic!("{field} in {text}"));
    kilobytes << 10
}

/// A line of the kernel's table of TCP sockets.
pub struct TcpRow(Vec<String>);

impl TcpRow {
    /// The socket between these two, as the first of them has it.
    pub fn find(local: SocketAddr, remote: SocketAddr) -> Option<Self> {
        let port = |address: SocketAddr| format!(":{:04X}", address.port());
        let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
        table
            .lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .map(TcpRow)
            .find(|row| row.0[1].ends_with(&port(local)) && row.0[2].ends_with(&port(remote)))
    }

    /// Bytes that were sent and not acknowledged, and bytes that have come and
    /// were not read.
    fn queued(&self) -> Option<(u64, u64)> {
        let (sent, come) = self.0[4].split_once(':')?;
        let hex = |text| u64::from_str_radix(text, 16).ok();
        Some((hex(sent)?, hex(come)?))
    }

    /// Probes of keepalive that the peer has not answered.
    pub fn unanswered_probes(&self) -> u64 {
        self.0[7 + 1].parse().expect("a number")
    }

    /// Which timer runs, as proc(5) numbers them, and what is left of it in
    /// hundredths of a second.
    pub fn timer(&self) -> (&str, u64) {
        let (timer, left) = self.0[5].split_once(':').expect("a timer");
        (timer, u64::from_str_radix(left, 16).expect("a time"))
    }
}

/// Wait until the program at the other end, which must be on this machine, has
/// read all that the client has sent.
pub fn wait_read(client: &Client) {
    let ours = client.stream.local_addr().expect("an address");
    let theirs = client.stream.peer_addr().expect("an address");
    let queued = |local, remote| TcpRow::find(local, remote).and_then(|row| row.queued());
    wait_for("the server to read", || {
        queued(ours, theirs).is_some_and(|(unacknowledged, _)| unacknowledged == 0)
            && queued(theirs, ours).is_none_or(|(_, unread)| unread == 0)
    });
}
