//! Connections that do harm, of nine kinds: for the measurement of neighbours, which
//! has a guest for each kind, and for the soak, whose one guest does all of it.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Client, Server, wait_for};

/// A way to do harm.
pub struct Kind {
    pub name: &'static str,
    /// What the guest does when it is told to.
    pub body: &'static str,
    /// What it does when a timer rings.
    pub timer: &'static str,
    pub args: &'static [&'static str],
    sign: Sign,
    /// Times that a client sends one byte before it waits for an answer, with a pause of
    /// 20 µs between them.
    bytes: usize,
}

/// What shows that it is at work.
enum Sign {
    Limit(&'static str),
    Faults,
    /// Nothing but that its clients are connected.
    Connected,
}

/// Some 0.7 ms.
macro_rules! burn {
    () => {
        "(local.set $n (i32.const 700000))
         (loop $burn (br_if $burn (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
    };
}

/// Between two events of one client: twenty of them cause a thousand a second,
/// where the guest lets them.
const PAUSE: Duration = Duration::from_millis(20);

/// In this way the server's log is not what is measured.
const QUIET: &[&str] = &["--linger", "100ms"];

pub const KINDS: [Kind; 9] = [
    Kind {
        name: "spin",
        body: "(call $spin)",
        args: QUIET,
        timer: "",
        sign: Sign::Limit("cpu-budget"),
        bytes: 1,
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
        timer: "",
        sign: Sign::Limit("max-memory"),
        bytes: 1,
    },
    Kind {
        name: "trap",
        body: "(call $trap)",
        args: QUIET,
        timer: "",
        sign: Sign::Faults,
        bytes: 1,
    },
    Kind {
        // As much as it may write, to a peer that reads as fast as it can.
        name: "flood",
        body: "(loop $more (br_if $more
                 (i32.lt_u (call $send (i32.const 0) (i32.const 65536)) (i32.const 2))))",
        args: QUIET,
        timer: "",
        sign: Sign::Limit("max-queue"),
        bytes: 1,
    },
    Kind {
        name: "recursion",
        body: "(drop (call $recurse (i32.const 0)))",
        args: QUIET,
        timer: "",
        sign: Sign::Limit("max-stack"),
        bytes: 1,
    },
    Kind {
        name: "print",
        body: r#"(loop $more (call $print "the same line again and again and again") (br $more))"#,
        args: QUIET,
        timer: "",
        sign: Sign::Limit("cpu-budget"),
        bytes: 1,
    },
    Kind {
        // Timers that are always due, each for less than a tick.
        name: "timers",
        body: "(local.set $n (i32.const 64))
               (loop $more
                 (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                 (call $set-timer (local.get $n) (i64.const 0))
                 (br_if $more (local.get $n)))",
        timer: concat!(
            "(local $n i32) (call $set-timer (local.get $id) (i64.const 0))",
            burn!()
        ),
        args: QUIET,
        sign: Sign::Connected,
        bytes: 1,
    },
    Kind {
        // Bytes that come while the one before is looked at.
        name: "bytes",
        body: burn!(),
        timer: "",
        args: QUIET,
        sign: Sign::Connected,
        bytes: 1000,
    },
    Kind {
        // Text of three bytes a character, as long as its memory.
        name: "text",
        body: "(drop (memory.grow (i32.const 900)))
               (loop $more (call $print (i32.const 65536) (i32.const 58000000)) (br $more))",
        timer: "",
        args: QUIET,
        sign: Sign::Limit("max-line"),
        bytes: 1,
    },
];

/// What a client sends to a guest of one kind to make it do harm.
pub const ORDER: u8 = b'!';

/// Do harm until it is over, with this byte for an order, and from a new connection
/// after so many of them; how often.
pub fn run(kind: &Kind, address: SocketAddr, order: u8, on_each: usize, over: &AtomicBool) -> u64 {
    // They stand for other machines, which would not take this one's
    // processors from the ones that are timed.
    let thread = rustix::thread::gettid();
    let _ = rustix::process::setpriority_process(Some(thread), 15);
    let mut events = 0;
    let mut next = Instant::now();
    let mut buffer = vec![0; 1 << 20];
    while !over.load(Ordering::Relaxed) {
        let Ok(client) = Client::try_connect(address) else {
            // Its backlog is full, or the server is over.
            std::thread::sleep(PAUSE);
            continue;
        };
        let mut stream = client.stream;
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        for _ in 0..on_each {
            if over.load(Ordering::Relaxed) {
                break;
            }
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            next = Instant::now() + PAUSE;
            if !provoke(kind, order, &mut stream) {
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

/// False if the connection is over.
fn provoke(kind: &Kind, order: u8, stream: &mut impl Write) -> bool {
    (0..kind.bytes).all(|number| {
        if number > 0 {
            std::thread::sleep(Duration::from_micros(20));
        }
        stream.write_all(&[order]).is_ok()
    })
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
pub fn wait_for_them(kind: &Kind, server: &Server, connected: u64) {
    wait_for("the hostile ones", || {
        kind.is_at_work(&server.status(), connected)
    });
}

impl Kind {
    /// Whether a server's `status` shows that harm is done.
    pub fn is_at_work(&self, status: &Value, connected: u64) -> bool {
        match self.sign {
            Sign::Limit(limit) => status["limits_reached"][limit].as_u64() > Some(0),
            Sign::Faults => status["connections"]["faults"].as_u64() > Some(20),
            Sign::Connected => status["connections"]["open"].as_u64() >= Some(connected),
        }
    }
}
