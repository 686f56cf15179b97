//! One publisher and many subscribers: a message, or some at once, until all have come to
//! all; then the next.
//!
//! A request is a delivery: one message to one subscriber.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::payload::send;
use super::{Args, Stats};
use crate::Result;

/// Connections being made at the same time.
const CONNECTING: usize = 64;
/// For a message to come to all.
const TIMEOUT: Duration = Duration::from_secs(30);
const BUFFER: usize = 16 * 1024;
const SIZE: usize = 64;

/// How a server is asked to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// All that the first connection says is published to all others.
    Raw,
    /// Lines of `tests/guests/messenger.rs`.
    Orders,
    Redis,
    /// 3.1.1, QoS 0.
    Mqtt,
}

impl Protocol {
    /// What a client says first, and how many bytes it is answered.
    fn subscribe(self, number: usize) -> Vec<(Vec<u8>, usize)> {
        match self {
            Protocol::Raw => vec![(Vec::new(), 3)],
            Protocol::Orders => vec![(b"direct t\n".to_vec(), 3)],
            Protocol::Redis => vec![(b"SUBSCRIBE t\r\n".to_vec(), 30)],
            Protocol::Mqtt => vec![
                (mqtt_connect(number), 4),
                (b"\x82\x06\0\x01\0\x01t\0".to_vec(), 5),
            ],
        }
    }

    /// What the publisher says first.
    fn begin(self) -> Vec<(Vec<u8>, usize)> {
        match self {
            Protocol::Mqtt => vec![(mqtt_connect(usize::MAX), 4)],
            _ => Vec::new(),
        }
    }

    /// What is said to publish so many messages, and what each subscriber gets.
    fn publish(self, count: usize) -> (Vec<u8>, Vec<u8>) {
        let message = |number: usize| format!("{number:0>SIZE$}");
        let all: String = (0..count).map(message).collect();
        match self {
            Protocol::Raw => (all.clone().into(), all.into()),
            Protocol::Orders => (format!("many t {count} {SIZE}\n").into(), all.into()),
            Protocol::Redis => {
                let each = |word: &'static str| {
                    move |number| match word {
                        "" => format!(
                            "*3\r\n$7\r\nmessage\r\n$1\r\nt\r\n${SIZE}\r\n{}\r\n",
                            message(number)
                        ),
                        _ => format!("{word} t {}\r\n", message(number)),
                    }
                };
                let said: String = (0..count).map(each("PUBLISH")).collect();
                let got: String = (0..count).map(each("")).collect();
                (said.into(), got.into())
            }
            Protocol::Mqtt => {
                let packet = |number| format!("0{}\0\x01t{}", '\x43', message(number));
                let all: String = (0..count).map(packet).collect();
                (all.clone().into(), all.into())
            }
        }
    }
}

/// A clean session, without keep-alive.
fn mqtt_connect(number: usize) -> Vec<u8> {
    let id = format!("{number:x}");
    let mut packet = b"\x10\0\0\x04MQTT\x04\x02\0\0\0".to_vec();
    packet.push(id.len() as u8);
    packet.extend(id.bytes());
    let length = packet.len() - 2;
    if let Some(place) = packet.get_mut(1) {
        *place = length as u8;
    }
    packet
}

pub struct Clients {
    publisher: TcpStream,
    subscribers: usize,
    messages: usize,
    said: Vec<u8>,
    /// What each gets of one publish.
    got: usize,
    /// By all subscribers together, in bytes.
    received: Arc<Received>,
    reading: JoinSet<Result<()>>,
}

#[derive(Default)]
struct Received {
    bytes: AtomicU64,
    changed: Notify,
}

impl Clients {
    pub async fn connect(args: &Args) -> Result<Self> {
        let protocol = args.protocol;
        let (said, got) = protocol.publish(args.messages);
        let publisher = begun(args.address, protocol.begin()).await?;
        let mut subscribers = Vec::with_capacity(args.connections);
        let mut connecting = JoinSet::new();
        for number in 0..args.connections {
            if connecting.len() == CONNECTING
                && let Some(socket) = connecting.join_next().await
            {
                subscribers.push(socket??);
            }
            connecting.spawn(begun(args.address, protocol.subscribe(number)));
        }
        while let Some(socket) = connecting.join_next().await {
            subscribers.push(socket??);
        }
        let received = Arc::<Received>::default();
        let expected: Arc<[u8]> = got.as_slice().into();
        let mut reading = JoinSet::new();
        let count = subscribers.len();
        for socket in subscribers {
            reading.spawn(read(socket, Arc::clone(&expected), Arc::clone(&received)));
        }
        Ok(Clients {
            publisher,
            subscribers: count,
            messages: args.messages,
            said,
            got: got.len(),
            received,
            reading,
        })
    }

    pub async fn run(&mut self, time: Duration) -> Result<Stats> {
        let mut stats = Stats::new();
        let started = Instant::now();
        let mut wanted = self.received.bytes.load(Ordering::Relaxed);
        while started.elapsed() < time {
            let sent = Instant::now();
            wanted += (self.got * self.subscribers) as u64;
            send(&self.publisher, &self.said).await?;
            let all = async {
                while self.received.bytes.load(Ordering::Relaxed) < wanted {
                    tokio::select! {
                        () = self.received.changed.notified() => {}
                        Some(ended) = self.reading.join_next() => ended??,
                    }
                }
                Result::Ok(())
            };
            tokio::time::timeout(TIMEOUT, all)
                .await
                .map_err(|_| "a message has not come to all in 30 s")??;
            // What the publisher is answered.
            while matches!(self.publisher.try_read(&mut [0; BUFFER]), Ok(1..)) {}
            for _ in 0..self.subscribers * self.messages {
                stats.count(self.got / self.messages, sent.elapsed());
            }
        }
        stats.elapsed = started.elapsed();
        Ok(stats)
    }
}

/// Connect, say these, and wait for that much after each.
async fn begun(address: SocketAddr, steps: Vec<(Vec<u8>, usize)>) -> Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    for (said, mut answer) in steps {
        send(&socket, &said).await?;
        while answer > 0 {
            socket.readable().await?;
            let mut buffer = vec![0; answer];
            match socket.try_read(&mut buffer) {
                Ok(0) => return Err("the server has closed a connection before its reply".into()),
                Ok(length) => answer -= length,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(socket)
}

/// Compare what comes with what must, again and again.
async fn read(socket: TcpStream, expected: Arc<[u8]>, received: Arc<Received>) -> Result<()> {
    let mut at = 0;
    loop {
        socket.readable().await?;
        let mut buffer = [0; BUFFER];
        let length = match socket.try_read(&mut buffer) {
            Ok(0) => return Err("the server has closed a subscriber".into()),
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        };
        for byte in buffer.get(..length).unwrap_or_default() {
            if expected.get(at) != Some(byte) {
                return Err("a message differs from what was published".into());
            }
            at = (at + 1) % expected.len();
        }
        received.bytes.fetch_add(length as u64, Ordering::Relaxed);
        received.changed.notify_one();
    }
}
