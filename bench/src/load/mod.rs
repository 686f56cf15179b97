//! The clients of one measurement, in a process of their own and on one thread.
//!
//! They connect, send one request on each connection, and print `{"ready":…}`.
//! Then each line `run MILLISECONDS` on standard input is one measurement, which
//! prints a line of JSON. Every byte that comes back is compared with what
//! was sent; the first that differs ends the process with an error.
//!
//! - [`echo`]: requests, each after the whole reply to the one before
//! - [`storm`]: connect, one request, close
//! - [`idle`]: one request, then silence
//! - [`bulk`]: both directions at once
//! - [`fan_out`]: a message to many
//! - [`tls`]: the first three, by TLS
//! - [`payload`], [`stats`]: what is sent; what is counted

mod bulk;
mod echo;
mod fan_out;
mod idle;
mod payload;
mod stats;
mod storm;
mod tls;

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;
use tokio::sync::mpsc;

use crate::{Result, machine};
use stats::Stats;

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Echo,
    Idle,
    Storm,
    Bulk,
    FanOut,
    TlsEcho,
    TlsIdle,
    TlsStorm,
    /// With sessions from before
    TlsStormResumed,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long)]
    pub kind: Kind,
    #[arg(long)]
    pub address: SocketAddr,
    /// Open connections; those of a storm are made at the same time
    #[arg(long)]
    pub connections: usize,
    /// Connections with traffic; the others stay silent after their first request
    #[arg(long)]
    pub active: usize,
    /// Bytes of a request
    #[arg(long)]
    pub size: usize,
    /// Each connection waits this long from one request to the next
    #[arg(long, default_value = "0s", value_parser = hotsocket::duration::parse)]
    pub pace: Duration,
    /// How messages are published
    #[arg(long, default_value = "raw")]
    pub protocol: fan_out::Protocol,
    /// Messages published at once
    #[arg(long, default_value = "1")]
    pub messages: usize,
}

enum Clients {
    Echo(echo::Clients),
    Idle(idle::Clients),
    Storm(storm::Clients),
    Bulk(bulk::Clients),
    FanOut(Box<fan_out::Clients>),
    TlsEcho(tls::Clients),
    TlsIdle(tls::Clients),
    TlsStorm(tls::Clients),
}

impl Clients {
    async fn ready(args: &Args) -> Result<Self> {
        Ok(match args.kind {
            Kind::Echo => Clients::Echo(echo::Clients::connect(args).await?),
            Kind::Idle => Clients::Idle(idle::Clients::connect(args).await?),
            Kind::Storm => Clients::Storm(storm::Clients::new(args)),
            Kind::Bulk => Clients::Bulk(bulk::Clients::new(args)),
            Kind::FanOut => Clients::FanOut(Box::new(fan_out::Clients::connect(args).await?)),
            Kind::TlsEcho => Clients::TlsEcho(tls::Clients::connect(args, false, false).await?),
            Kind::TlsIdle => Clients::TlsIdle(tls::Clients::connect(args, false, false).await?),
            Kind::TlsStorm => Clients::TlsStorm(tls::Clients::connect(args, true, false).await?),
            Kind::TlsStormResumed => {
                Clients::TlsStorm(tls::Clients::connect(args, true, true).await?)
            }
        })
    }

    async fn run(&mut self, time: Duration) -> Result<Stats> {
        match self {
            Clients::Echo(clients) => clients.run(time).await,
            Clients::Idle(clients) => Ok(clients.nothing()),
            Clients::Storm(clients) => clients.run(time).await,
            Clients::Bulk(clients) => clients.run(time).await,
            Clients::FanOut(clients) => clients.run(time).await,
            Clients::TlsEcho(clients) => clients.echo(time).await,
            Clients::TlsIdle(clients) => Ok(clients.nothing()),
            Clients::TlsStorm(clients) => clients.storm(time).await,
        }
    }
}

/// Run the commands from standard input, until it ends.
pub fn run(args: Args) -> Result<()> {
    machine::raise_open_files();
    let (send, mut commands) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(|line| line.ok()) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut clients = Clients::ready(&args).await?;
        print(&json!({ "ready": args.connections }))?;
        while let Some(command) = commands.recv().await {
            let time = command
                .strip_prefix("run ")
                .and_then(|ms| ms.parse().ok())
                .ok_or_else(|| format!("unknown command {command:?}"))?;
            let stats = clients.run(Duration::from_millis(time)).await?;
            print(&stats.json())?;
        }
        Ok(())
    })
}

fn print(value: &serde_json::Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// The result of clients of a server that does this with each connection, in a
    /// fifth of a second.
    fn clients(kind: Kind, serve: fn(TcpStream)) -> Result<Stats> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let args = Args {
            kind,
            address: listener.local_addr()?,
            connections: 3,
            active: 3,
            size: 64,
            pace: Duration::ZERO,
            protocol: fan_out::Protocol::Raw,
            messages: 1,
        };
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(|socket| socket.ok()) {
                std::thread::spawn(move || serve(socket));
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let mut clients = Clients::ready(&args).await?;
            clients.run(Duration::from_millis(200)).await
        })
    }

    /// Echo; this many bytes are right, and the next is not.
    fn echo(mut socket: TcpStream, mut right: usize) {
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = socket.read(&mut buffer) {
            if right < length {
                buffer[right] ^= 1;
            }
            right = right.saturating_sub(length);
            if socket.write_all(&buffer[..length]).is_err() {
                return;
            }
        }
    }

    fn error(kind: Kind, serve: fn(TcpStream)) -> String {
        let found = clients(kind, serve);
        found
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn an_echo_is_counted() {
        for kind in [Kind::Echo, Kind::Storm, Kind::Bulk] {
            let stats = clients(kind, |socket| echo(socket, usize::MAX)).expect("an echo");
            assert!(stats.json()["requests"].as_u64() >= Some(3), "{kind:?}");
            assert!(stats.json()["bytes"].as_u64() >= Some(192), "{kind:?}");
        }
    }

    #[test]
    fn one_wrong_bit_is_found() {
        let wrong = "a reply differs from its request";
        assert_eq!(error(Kind::Echo, |socket| echo(socket, 10_000)), wrong);
        assert_eq!(error(Kind::Storm, |socket| echo(socket, 63)), wrong);
        assert_eq!(error(Kind::Bulk, |socket| echo(socket, 100_000)), wrong);
    }

    #[test]
    fn a_missing_reply_is_found() {
        let missing = "the server has closed a connection before its reply";
        let close = |mut socket: TcpStream| {
            let _ = socket.read(&mut [0; 64]);
        };
        assert_eq!(error(Kind::Echo, close), missing);
        assert_eq!(error(Kind::Storm, close), missing);
    }

    #[test]
    fn bytes_lost_at_the_end_are_found() {
        let less = |mut socket: TcpStream| {
            let mut buffer = [0; 1024];
            let mut left = 100_000;
            while let Ok(length @ 1..) = socket.read(&mut buffer) {
                let now = length.min(left);
                left -= now;
                socket.write_all(&buffer[..now]).expect("a reader");
            }
        };
        assert!(error(Kind::Bulk, less).ends_with("bytes were sent and 100000 came back"));
    }
}
