//! The real `nats-server`, and a client of it that speaks its protocol by hand
//! (<https://docs.nats.io/reference/reference-protocols/nats-protocol>).

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use rustix::process::Signal;

use super::{Client, Process, lacks_program, wait_for};

/// A NATS server on free ports, killed when the test is over.
pub struct NatsServer {
    process: Process,
    args: Vec<OsString>,
    pub address: SocketAddr,
    /// Where it says what it has.
    monitor: SocketAddr,
}

impl NatsServer {
    /// `None` where there is none; the test is then skipped.
    #[track_caller]
    pub fn start(args: &[&str]) -> Option<Self> {
        if lacks_program("nats-server") {
            return None;
        }
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let (process, address, monitor) = launch(&args, -1, -1);
        Some(NatsServer {
            process,
            args,
            address,
            monitor,
        })
    }

    /// What `--topics` takes.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// See [`Process::freeze`].
    pub fn freeze(&self) {
        self.process.freeze();
    }

    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.process.end();
    }

    /// Start it again, at the same address.
    pub fn restart(&mut self) {
        let ports = (self.address.port().into(), self.monitor.port().into());
        (self.process, _, _) = launch(&self.args, ports.0, ports.1);
    }

    /// Wait until so many of its clients have subscribed to a subject.
    #[track_caller]
    pub fn wait_subscribed(&self, subject: &str, count: usize) {
        // Go's JSON has no angle brackets.
        let quoted = format!("\"{}\"", subject.replace('>', "\\u003e"));
        wait_for(&format!("{count} subscriptions to {subject}"), || {
            self.connections().matches(&quoted).count() == count
        });
    }

    /// What it says of its clients.
    fn connections(&self) -> String {
        let mut stream = TcpStream::connect(self.monitor).expect("its monitor");
        let request = "GET /connz?subs=1 HTTP/1.0\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// A client that is no node.
    pub fn connect(&self) -> NatsClient {
        let mut client = NatsClient {
            client: Client::connect(self.address),
        };
        assert!(client.line().starts_with("INFO "));
        client.send("CONNECT {\"verbose\":false}\r\n");
        client.settle();
        client
    }
}

fn launch(args: &[OsString], port: i32, monitor: i32) -> (Process, SocketAddr, SocketAddr) {
    let mut command = Command::new("nats-server");
    command.args(["-a", "127.0.0.1"]).args(args);
    command.args(["-p", &port.to_string(), "-m", &monitor.to_string()]);
    let process = Process::start("nats-server", &mut command);
    process.stderr.wait("Server is ready");
    let log = process.stderr.text();
    let after = |words: &str| {
        let found = log.lines().find_map(|line| line.split_once(words));
        let (_, address) = found.unwrap_or_else(|| panic!("no {words:?} in {log}"));
        address.trim().parse().expect("an address")
    };
    let address = after("Listening for client connections on ");
    let monitor = after("Starting http monitor on ");
    (process, address, monitor)
}

/// See the module's documentation.
pub struct NatsClient {
    client: Client,
}

impl NatsClient {
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.client.read(1));
        }
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.send(bytes);
    }

    /// All that was sent before has been worked off.
    pub fn settle(&mut self) {
        self.send("PING\r\n");
        assert_eq!(self.line(), "PONG");
    }

    pub fn subscribe(&mut self, subject: &str) {
        self.send(format!("SUB {subject} 1\r\n"));
        self.settle();
    }

    pub fn publish(&mut self, subject: &str, payload: impl AsRef<[u8]>) {
        let payload = payload.as_ref();
        let mut message = format!("PUB {subject} {}\r\n", payload.len()).into_bytes();
        message.extend_from_slice(payload);
        message.extend_from_slice(b"\r\n");
        self.send(message);
    }

    /// The next message: its subject and its payload. It has no headers.
    pub fn next(&mut self) -> (String, Vec<u8>) {
        let line = self.line();
        let mut words = line.split(' ');
        assert_eq!(words.next(), Some("MSG"), "{line}");
        let subject = words.next().expect("a subject").to_owned();
        let length = words.next_back().expect("a length");
        let payload = self.client.read(length.parse().expect("a number"));
        self.client.expect("\r\n");
        (subject, payload)
    }
}
