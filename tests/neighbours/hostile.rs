//! Connections that do harm, of six kinds.

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Client, Server, wait_for};

/// A way to do harm.
pub struct Kind {
    pub name: &'static str,
    /// What the guest does when it is told to.
    pub body: &'static str,
    pub args: &'static [&'static str],
    /// The limit that shows it is at work, if one does.
    limit: Option<&'static str>,
}

/// Between two events of one client: twenty of them cause a thousand a second,
/// where the guest lets them.
const PAUSE: Duration = Duration::from_millis(20);

/// In this way the server's log is not what is measured.
const QUIET: &[&str] = &["--linger", "100ms"];

pub const KINDS: [Kind; 6] = [
    Kind {
        name: "spin",
        body: "(call $spin)",
        args: QUIET,
        limit: Some("cpu-budget"),
    },
    Kind {
        // All it may have, every page touched, then once more.
        name: "memory",
        body: "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
               (loop $page
                 (i32.store (local.get $n) (i32.const 1))
                 (local.set $n (i32.add (local.get $n) (i32.const 4096)))
                 (br_if $page (i32.lt_u (local.get $n)
                   (i32.mul (memory.size) (i32.const 65536)))))
               (call $trap)",
        args: QUIET,
        limit: Some("max-memory"),
    },
    Kind {
        name: "trap",
        body: "(call $trap)",
        args: QUIET,
        limit: None,
    },
    Kind {
        // As much as it may write, to a peer that reads as fast as it can.
        name: "flood",
        body: "(loop $more (br_if $more
                 (i32.lt_u (call $send (i32.const 0) (i32.const 65536)) (i32.const 2))))",
        args: QUIET,
        limit: Some("max-queue"),
    },
    Kind {
        name: "recursion",
        body: "(drop (call $recurse (i32.const 0)))",
        args: QUIET,
        limit: Some("max-stack"),
    },
    Kind {
        name: "print",
        body: r#"(loop $more (call $print "the same line again and again and again") (br $more))"#,
        args: QUIET,
        limit: Some("cpu-budget"),
    },
];

/// Do harm until it is over; how often.
pub fn run(server: &Server, over: &AtomicBool) -> u64 {
    // They stand for other machines, which would not take this one's
    // processors from the ones that are timed.
    let thread = rustix::thread::gettid();
    let _ = rustix::process::setpriority_process(Some(thread), 15);
    let mut events = 0;
    let mut next = Instant::now();
    let mut buffer = vec![0; 1 << 20];
    while !over.load(Ordering::Relaxed) {
        let client = Client::connect(server.addresses[0]);
        let mut stream = client.stream;
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        while !over.load(Ordering::Relaxed) {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            next = Instant::now() + PAUSE;
            if stream.write_all(b"!").is_err() {
                break;
            }
            events += 1;
            // Whatever comes is thrown away; when nothing comes it asks again.
            match drain(&mut stream, &mut buffer, over) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    }
    events
}

/// Read until nothing comes for a while, or the connection is over.
fn drain(stream: &mut impl Read, buffer: &mut [u8], over: &AtomicBool) -> std::io::Result<()> {
    while !over.load(Ordering::Relaxed) {
        if stream.read(buffer)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Wait until the harm is being done.
pub fn wait_for_them(kind: &Kind, server: &Server) {
    wait_for("the hostile ones", || {
        let status = server.status();
        match kind.limit {
            Some(limit) => status["limits_reached"][limit].as_u64() > Some(0),
            None => status["connections"]["faults"].as_u64() > Some(20),
        }
    });
}
