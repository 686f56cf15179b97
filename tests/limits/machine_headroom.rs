//! A server that may have hardly more of the machine than it has: threads, address
//! space, descriptors. Whatever it does then, connections that are open are served,
//! nothing panics, and all is well again when it may have more.
//!
//! Limits of the running server are set with prlimit(1). That of threads counts those
//! of a user, and does not bind root, so the server runs as a user of its own; without
//! root these tests are skipped.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use rustix::process::Resource;

use crate::guests::{counting, differing, wayward};
use crate::harness::{
    Client, Serve, Server, Usage, lacks_program, run, serve, skip_even_in_ci, wait_for, wait_within,
};

/// Threads, mebibytes and descriptors that the server may have more than it has.
const THREADS: [u64; 5] = [0, 1, 2, 3, 4];
const MEBIBYTES: [u64; 4] = [0, 16, 48, 160];
const DESCRIPTORS: [u64; 4] = [0, 2, 10, 30];
/// Enough for a test to see that nothing comes.
const SHORT: Duration = Duration::from_millis(200);

/// Of a server, so that its threads are all that the kernel counts.
fn new_user() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    200_000 + std::process::id() % 1_000_000 * 100 + NEXT.fetch_add(1, Relaxed)
}

/// Serve this, with less of all that takes address space.
fn start(serve: Serve) -> Option<Server> {
    if !rustix::process::geteuid().is_root() {
        skip_even_in_ci("no right to run a server as another user");
        return None;
    }
    if lacks_program("prlimit") {
        return None;
    }
    let args = ["--max-connections", "100", "--code-cache", "none"];
    Some(serve.args(&args).user(new_user()).start())
}

/// Let it have so much, and no more. Its own user may set the soft limit; another's root
/// may not in a container.
fn set_limit(server: &Server, resource: Resource, current: Option<u64>) {
    let flag = match resource {
        Resource::Nproc => "--nproc",
        Resource::Nofile => "--nofile",
        _ => "--as",
    };
    let uid = fs::metadata(server.dir()).expect("its directory").uid();
    let pid = server.pid().to_string();
    // Without one it is the hard limit.
    let limit = match current {
        Some(current) => current.to_string(),
        None => hard_limit(server, resource),
    };
    run(Command::new("prlimit")
        .args(["--pid", &pid, &format!("{flag}={limit}:")])
        .uid(uid)
        .gid(uid))
    .success();
}

fn hard_limit(server: &Server, resource: Resource) -> String {
    let name = match resource {
        Resource::Nproc => "Max processes",
        Resource::Nofile => "Max open files",
        _ => "Max address space",
    };
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).expect("it runs");
    let line = limits.lines().find_map(|line| line.strip_prefix(name));
    let hard = line.and_then(|line| line.split_whitespace().nth(1));
    hard.expect("a limit").to_owned()
}

/// What it has of this.
fn used(server: &Server, resource: Resource) -> u64 {
    let usage = Usage::of(server.pid());
    let used = match resource {
        Resource::Nproc => usage.threads,
        Resource::Nofile => usage.descriptors,
        _ => server.address_space(),
    };
    used as u64
}

/// One that connects now, and may be refused, or wait.
fn newcomer(server: &Server) -> Client {
    let mut client = server.connect();
    let _ = client.stream.write(b"x");
    let _ = client.stream.set_read_timeout(Some(SHORT));
    let _ = client.stream.read(&mut [0; 16]);
    client
}

/// What is done to the server, with what it answers.
struct Scenario {
    server: Server,
    guest: Vec<u8>,
    /// How often the served file was written.
    files: u64,
    open: Vec<Client>,
    ask: fn(&mut Client),
}

impl Scenario {
    /// With connections that are open before there is a limit.
    fn new(server: Server, guest: Vec<u8>, ask: fn(&mut Client)) -> Self {
        let mut open: Vec<_> = (0..5).map(|_| server.connect()).collect();
        open.iter_mut().for_each(ask);
        Scenario {
            server,
            guest,
            files: 1,
            open,
            ask,
        }
    }

    /// A guest that differs from the one before, in place of it.
    fn write_file(&mut self) {
        self.guest = differing(std::mem::take(&mut self.guest));
        self.files += 1;
        fs::write(self.server.path("guest.wasm"), &self.guest).expect("written");
    }

    fn generation(&self) -> u64 {
        let text = self.server.stderr.text();
        text.matches("swapped: generation ").count() as u64
    }

    fn ask_all(&mut self) {
        self.open.iter_mut().for_each(self.ask);
    }

    /// Everything at this limit, and everything again without it.
    fn at(&mut self, resource: Resource, headroom: u64) {
        let told = format!("{resource:?} and {headroom}");
        set_limit(
            &self.server,
            resource,
            Some(used(&self.server, resource) + headroom),
        );
        self.ask_all();
        let new: Vec<_> = (0..3).map(|_| newcomer(&self.server)).collect();
        self.ask_all();
        let before = self.generation();
        let rejected = self.server.stderr.text().matches("; trying again").count();
        self.write_file();
        wait_within(SHORT * 10, || {
            let text = self.server.stderr.text();
            self.generation() > before || text.matches("; trying again").count() > rejected
        });
        self.ask_all();
        drop(new);
        assert!(self.server.is_well(), "{told}");

        set_limit(&self.server, resource, None);
        self.write_file();
        wait_for(&format!("a swap after {told}"), || {
            self.generation() > before
        });
        self.ask_all();
        let mut new = self.server.connect();
        (self.ask)(&mut new);
        assert!(self.server.is_well(), "{told}");
    }

    fn sweep(mut self) {
        for threads in THREADS {
            self.at(Resource::Nproc, threads);
        }
        for mebibytes in MEBIBYTES {
            self.at(Resource::As, mebibytes << 20);
        }
        for descriptors in DESCRIPTORS {
            self.at(Resource::Nofile, descriptors);
        }
    }
}

#[test]
fn a_server_without_headroom_goes_on_with_files_of_guests() {
    let serve = serve(wayward());
    fs::create_dir(serve.path("granted")).expect("a directory");
    let serve = serve.args(&["--dir", "granted::."]);
    let Some(server) = start(serve) else { return };
    Scenario::new(server, wayward(), |client| {
        client.send("files");
        let mut answer = [0; 64];
        let count = client.stream.read(&mut answer).expect("an answer");
        assert!(answer.starts_with(b"["), "{:?}", &answer[..count]);
    })
    .sweep();
}

#[test]
fn a_server_without_headroom_goes_on_with_hibernation() {
    let guest = counting("A").build();
    let serve = serve(&guest).args(&["--hibernate-after", "10ms"]);
    let Some(server) = start(serve) else { return };
    Scenario::new(server, guest, |client| {
        // The digit wraps, or is another character.
        client.send("x");
        assert_eq!(client.read(2)[0], b'A');
    })
    .sweep();
}
