//! As many bytes as go through, in both directions at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::payload::{LARGEST, Payload, compare, send};
use super::{Args, Stats};
use crate::Result;

/// After the last byte was sent, all have come back by then.
const TIMEOUT: Duration = Duration::from_secs(30);

pub struct Clients {
    payload: Arc<Payload>,
    address: SocketAddr,
    connections: usize,
}

impl Clients {
    pub fn new(args: &Args) -> Self {
        Clients {
            payload: Arc::new(Payload::new()),
            address: args.address,
            connections: args.connections,
        }
    }

    pub async fn run(&mut self, time: Duration) -> Result<Stats> {
        let mut running = JoinSet::new();
        let started = Instant::now();
        for _ in 0..self.connections {
            let payload = Arc::clone(&self.payload);
            let address = self.address;
            running.spawn(async move {
                let socket = TcpStream::connect(address).await?;
                socket.set_nodelay(true)?;
                tokio::time::timeout(time + TIMEOUT, both_ways(socket, &payload, started + time))
                    .await
                    .map_err(|_| "bytes sent have not come back in 30 s")?
            });
        }
        let mut stats = Stats::new();
        while let Some(done) = running.join_next().await {
            stats.count(done??, started.elapsed());
        }
        stats.elapsed = started.elapsed();
        Ok(stats)
    }
}

/// Write until the time is over, read until all is back; how many bytes.
async fn both_ways(socket: TcpStream, payload: &Payload, until: Instant) -> Result<usize> {
    let (from, to) = socket.into_split();
    let write = async move {
        let mut at = 0;
        while Instant::now() < until {
            send(to.as_ref(), payload.piece(at, LARGEST)).await?;
            at += LARGEST;
        }
        // Dropped here, it sends FIN.
        Result::Ok(at)
    };
    let read = async {
        let mut at = 0;
        loop {
            from.readable().await?;
            match compare(from.as_ref(), payload.piece(at, LARGEST))? {
                Some(length) => at += length,
                None => return Result::Ok(at),
            }
        }
    };
    let (written, read) = tokio::try_join!(write, read)?;
    match written == read {
        true => Ok(read),
        false => Err(format!("{written} bytes were sent and {read} came back").into()),
    }
}
