//! A server that is killed comes back with what it must have.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Orders, served};
use crate::harness::{Client, Server, temp_dir};

const KILLS: u64 = 50;

fn start(file: &Path, sync: &str) -> Server {
    served(&["--store-sync", sync, "--store"]).arg(file).start()
}

/// Answers until the server is gone.
fn answers(client: &mut Client, question: &str, mut each: impl FnMut(&str)) {
    let mut pending = Vec::new();
    while writeln!(client.stream, "{question}").is_ok() {
        loop {
            let mut bytes = [0; 256];
            match std::io::Read::read(&mut client.stream, &mut bytes) {
                Ok(count) if count > 0 => pending.extend_from_slice(&bytes[..count]),
                _ => return,
            }
            if let Some(line) = pending.strip_suffix(b"\n") {
                each(std::str::from_utf8(line).expect("text"));
                pending.clear();
                break;
            }
        }
    }
}

/// With `always`, all that was acknowledged.
#[test]
fn what_was_acknowledged_is_there_after_fifty_kills() {
    let dir = temp_dir();
    let file = dir.path().join("store");
    let acknowledged: Vec<_> = (0..4).map(|_| AtomicUsize::new(0)).collect();
    for kill in 0..KILLS {
        let server = start(&file, "always");
        let mut client = server.connect();
        for (number, count) in acknowledged.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            client.send(format!("add n{number} 0\n"));
            let found = number_of(&mut client);
            // One more may have been in the file before its answer was sent.
            assert!((count..=count + 1).contains(&found), "{found}, not {count}");
            acknowledged[number].store(found, Ordering::Relaxed);
        }
        thread::scope(|scope| {
            for (number, count) in acknowledged.iter().enumerate() {
                let mut client = server.connect();
                scope.spawn(move || {
                    answers(&mut client, &format!("add n{number} 1"), |sum| {
                        count.store(sum.parse().expect("a number"), Ordering::Relaxed);
                    });
                });
            }
            // At every point of a batch's way, in the end.
            let wait = Duration::from_micros(2000 + kill * 700);
            let until = Instant::now() + wait;
            while Instant::now() < until {
                thread::yield_now();
            }
            server.signal(Signal::KILL);
        });
    }
    let all: usize = acknowledged
        .iter()
        .map(|count| count.load(Ordering::Relaxed))
        .sum();
    assert!(all > 100, "{all} changes");
}

fn number_of(client: &mut Client) -> usize {
    let mut line = Vec::new();
    loop {
        match client.read(1)[0] {
            b'\n' => break,
            byte => line.push(byte),
        }
    }
    String::from_utf8(line)
        .expect("text")
        .parse()
        .expect("a number")
}

/// With `1s`, all that was there a second before; and never the later of two changes
/// without the earlier.
#[test]
fn at_most_a_second_is_lost() {
    let dir = temp_dir();
    let file = dir.path().join("store");
    let mut kept = 0;
    for _ in 0..3 {
        let server = start(&file, "1s");
        let mut client = server.connect();
        client.send("add first 0\n");
        let first = number_of(&mut client);
        client.send("add second 0\n");
        let second = number_of(&mut client);
        assert!(first >= kept, "{first} of {kept}");
        assert!(first == second || first == second + 1, "{first}, {second}");
        client.orders(&[("set second x", "ok"), ("delete second", "yes")]);
        client.orders(&[(&format!("add second {first}"), &first.to_string())]);
        // When each number was acknowledged.
        let mut times = Vec::new();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(1800) {
            client.send("add first 1\n");
            let number = number_of(&mut client);
            times.push((Instant::now(), number));
            client.send("add second 1\n");
            number_of(&mut client);
        }
        server.signal(Signal::KILL);
        let killed = Instant::now();
        let old = times.iter().rev();
        let mut old = old.filter(|(time, _)| killed - *time >= Duration::from_secs(1));
        kept = old.next().expect("older ones").1;
    }
}
