//! Short connections, as many as possible: connect, one request, close.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::payload::{Payload, expect, send};
use super::{Args, Stats};
use crate::Result;

/// Of one connection.
const TIMEOUT: Duration = Duration::from_secs(30);

pub struct Clients {
    payload: Arc<Payload>,
    address: SocketAddr,
    at_once: usize,
    size: usize,
}

impl Clients {
    pub fn new(args: &Args) -> Self {
        Clients {
            payload: Arc::new(Payload::new()),
            address: args.address,
            at_once: args.connections,
            size: args.size,
        }
    }

    pub async fn run(&mut self, time: Duration) -> Result<Stats> {
        let stats = Arc::new(Mutex::new(Stats::new()));
        let mut running = JoinSet::new();
        let started = Instant::now();
        let until = started + time;
        for number in 0..self.at_once {
            let payload = Arc::clone(&self.payload);
            let stats = Arc::clone(&stats);
            let (address, size) = (self.address, self.size);
            running.spawn(async move {
                let mut at = number * 101;
                loop {
                    let connecting = Instant::now();
                    if connecting >= until {
                        return Result::Ok(());
                    }
                    let bytes = payload.piece(at, size);
                    at += 1;
                    tokio::time::timeout(TIMEOUT, once(address, bytes))
                        .await
                        .map_err(|_| "a connection has had no reply in 30 s")??;
                    stats
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .count(size, connecting.elapsed());
                }
            });
        }
        while let Some(done) = running.join_next().await {
            done??;
        }
        let mut total = Stats::new();
        std::mem::swap(
            &mut total,
            &mut stats.lock().unwrap_or_else(PoisonError::into_inner),
        );
        total.elapsed = started.elapsed();
        Ok(total)
    }
}

async fn once(address: SocketAddr, bytes: &[u8]) -> Result<()> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    send(&socket, bytes).await?;
    expect(&socket, bytes).await
}
