//! A hundred reloads under a thousand connections.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::reload::counter_in_all;
use super::{replace, with_file};
use crate::harness::Client;

const CONNECTIONS: usize = 1000;
const RELOADS: usize = 100;

/// What the file says the `round`th time. Each differs from the one before: in limits and
/// settings, every second time in listeners, every fifth in services, every tenth in the guest.
fn file(round: usize) -> String {
    let guest = ["counter", "other"][round / 10 % 2];
    let listen = ["\"127.0.0.1:0\"", "\"127.0.0.1:0\", \"unix:a.sock\""][round % 2];
    let keepalive = 30 + round;
    let limit = 2000 + round;
    let mut text = format!(
        "[[service]]\nname = \"count\"\nguest = \"{guest}.wasm\"\nlisten = [{listen}]\n\
         keepalive = \"{keepalive}s\"\nmax-connections = {limit}\nset = {{ ROUND = \"{round}\" }}\n"
    );
    if round.is_multiple_of(5) {
        text += "[[service]]\nname = \"more\"\nport = 0\nmax-connections = 10\n";
    }
    text
}

/// Each connection's bytes are counted by its guest, so a lost byte or state would show.
#[test]
fn a_hundred_reloads_under_a_thousand_connections_lose_none() {
    // Each connection is a descriptor here, too.
    let most = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, raised).expect("the hard limit is allowed");
    let serve = with_file(&file(0), &["counter"]);
    fs::write(serve.path("other.wasm"), counter_in_all()).expect("writable");
    let mut server = serve.start();
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    let stop = AtomicBool::new(false);
    let rounds = std::thread::scope(|scope| {
        // Also when something fails here: the scope waits for the other thread.
        let stopping = SetWhenDropped(&stop);
        let flowing = scope.spawn(|| {
            let mut rounds = 0;
            while !stop.load(Ordering::Relaxed) {
                rounds += 1;
                ask_all(&mut clients, rounds);
            }
            rounds
        });
        for round in 1..=RELOADS {
            replace(&server, &file(round));
            server.stderr.wait_count("reloaded hotsocket.toml: ", round);
            // The data must flow between the reloads as well.
            server.connect().ask_either("z", round);
        }
        drop(stopping);
        flowing.join().expect("every answer was right")
    });
    assert!(rounds > 1, "{rounds} rounds");
    ask_all(&mut clients, rounds + 1);
    let log = server.stderr.text();
    assert!(!log.contains("not reloaded"), "{log}");
    assert!(!log.contains("without state"), "{log}");
    let status = server.ask_json(&["status", "--service", "count"]);
    assert_eq!(status["connections"]["faults"], 0);
    assert!(status["connections"]["open"].as_u64() >= Some(CONNECTIONS as u64));
    assert_eq!(status["connections"]["limit"], 2000 + RELOADS);
    assert!(server.is_well());
}

struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One more byte from each client, and its answer.
fn ask_all(clients: &mut [Client], bytes: usize) {
    for client in &mut *clients {
        client.send("x");
    }
    let answer = format!("{bytes} bytes ");
    for client in clients {
        client.expect(&answer);
        let rest = client.read(7);
        assert!(rest == b"so far\n" || rest == b"in all\n", "{rest:?}");
    }
}

impl Client {
    /// Ask a counter that has either text.
    fn ask_either(&mut self, byte: &str, round: usize) {
        self.send(byte);
        let answer = self.read("1 bytes so far\n".len());
        assert!(answer.starts_with(b"1 bytes "), "round {round}: {answer:?}");
    }
}
