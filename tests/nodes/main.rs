//! How long a message takes from one node to another over NATS, beside what NATS' own
//! client takes alone, in one run:
//!
//! ```sh
//! cargo run --release --example nodes [-- ROUNDS]
//! ```
//!
//! Needs `nats-server`. With nodes, a peer of one says what to publish, and a peer of the
//! other reads it. Without, a client publishes and a client in another process gets it,
//! which says by the machine's clock when that was. A third time is that of a peer's order
//! and its answer: so much of the first is between peers and nodes, and has nothing beside
//! it in the second. Each round does all a hundred times, and the medians are printed.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement that finds something else than it expects ends there"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use rustix::time::{ClockId, clock_gettime};

const EACH_ROUND: usize = 100;

/// Killed when it goes out of scope.
struct Program(Child, BufReader<ChildStderr>);

impl Program {
    fn start(command: &mut Command) -> Self {
        let command = command.stderr(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let log = child.stderr.take().expect("a pipe");
        Program(child, BufReader::new(log))
    }

    /// What follows these words in its log.
    fn after(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.1.read_line(&mut line).expect("a log") > 0,
                "no {words}"
            );
            if let Some((_, rest)) = line.split_once(words) {
                return rest.trim().to_owned();
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A node, and a peer of it.
fn node(nats: &str) -> (Program, TcpStream) {
    let program = std::env::current_exe().expect("a path");
    let mut command = Command::new(program.with_file_name("../hotsocket"));
    command.args([
        "--no-watch",
        "--control",
        "none",
        "-p",
        "0",
        "--topics",
        nats,
    ]);
    let mut node = Program::start(command.arg(repo("tests/guests/messenger.wasm")));
    let address = node.after("listening on ");
    node.after("is connected");
    let peer = TcpStream::connect(address).expect("it accepts");
    peer.set_nodelay(true).expect("no delay");
    (node, peer)
}

fn ask(peer: &mut TcpStream, order: &str) {
    peer.write_all(order.as_bytes()).expect("sent");
    read(peer, 3);
}

fn read(peer: &mut TcpStream, bytes: usize) {
    let mut buffer = [0; 64];
    peer.read_exact(&mut buffer[..bytes]).expect("an answer");
}

/// The same in all processes of the machine.
fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).expect("nanoseconds"),
    )
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// The other process: print when each message has come.
async fn receive(nats: &str) {
    let client = async_nats::connect(nats).await.expect("NATS");
    let mut subscription = client.subscribe("alone").await.expect("subscribed");
    client.flush().await.expect("flushed");
    let mut output = std::io::stdout();
    let mut print = |bytes: &[u8]| {
        output.write_all(bytes).expect("a pipe");
        output.flush().expect("a pipe");
    };
    print(&[0; 8]);
    while subscription.next().await.is_some() {
        let now = u64::try_from(now().as_nanos()).expect("a small number");
        print(&now.to_le_bytes());
    }
}

fn time(pipe: &mut impl Read) -> Duration {
    let mut bytes = [0; 8];
    pipe.read_exact(&mut bytes).expect("a time");
    Duration::from_nanos(u64::from_le_bytes(bytes))
}

fn main() {
    let mut args = std::env::args().skip(1);
    let rounds = match args.next().as_deref() {
        Some("receive") => {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            return runtime.block_on(receive(&args.next().expect("an address")));
        }
        Some(rounds) => rounds.parse().expect("a number"),
        None => 20,
    };
    let mut command = Command::new("nats-server");
    let mut server = Program::start(command.args(["-a", "127.0.0.1", "-p", "-1"]));
    let nats = server.after("Listening for client connections on ");
    let (_one, mut publisher) = node(&nats);
    let (_two, mut subscriber) = node(&nats);
    ask(&mut subscriber, "direct t\n");

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let client = runtime.block_on(async { async_nats::connect(&nats).await.expect("NATS") });
    let program = std::env::current_exe().expect("a path");
    let mut command = Command::new(program);
    let mut other = command
        .args(["receive", &nats])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut received = other.stdout.take().expect("a pipe");
    time(&mut received);

    let (mut with_nodes, mut peers, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    // The first shows that the nodes have subscribed.
    loop {
        ask(&mut publisher, "publish t 1234567890\n");
        let short = Some(Duration::from_millis(100));
        subscriber.set_read_timeout(short).expect("a timeout");
        if subscriber.read_exact(&mut [0; 10]).is_ok() {
            subscriber.set_read_timeout(None).expect("a timeout");
            break;
        }
    }
    for _ in 0..rounds {
        for _ in 0..EACH_ROUND {
            let began = now();
            publisher
                .write_all(b"publish t 1234567890\n")
                .expect("sent");
            read(&mut subscriber, 10);
            with_nodes.push(now() - began);
            read(&mut publisher, 3);
        }
        for _ in 0..EACH_ROUND {
            let began = now();
            ask(&mut publisher, "no-will\n");
            peers.push(now() - began);
        }
        for _ in 0..EACH_ROUND {
            let began = now();
            let sent = client.publish("alone", "1234567890".into());
            runtime.block_on(sent).expect("sent");
            alone.push(time(&mut received) - began);
        }
    }
    let _ = other.kill();
    let _ = other.wait();
    let [with_nodes, peers, alone] = [with_nodes, peers, alone].map(|mut times| median(&mut times));
    println!("peer, node, NATS, node, peer: {with_nodes:.0} µs");
    println!("peer, node, peer:             {peers:.0} µs");
    println!("client, NATS, client:         {alone:.0} µs");
    println!("ratio                         {:.2}", with_nodes / alone);
    println!(
        "from node to node alone       {:.2}",
        (with_nodes - peers) / alone
    );
}
