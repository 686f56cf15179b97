//! Requests on many connections; each waits for its whole reply.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::payload::{Payload, expect, send};
use super::{Args, Stats};
use crate::Result;

/// Connections being made at the same time: less than what waits in a
/// listener's queue.
const CONNECTING: usize = 64;
/// No reply takes longer.
const TIMEOUT: Duration = Duration::from_secs(30);

pub struct Clients {
    payload: Arc<Payload>,
    active: Vec<Client>,
    /// Open, and nothing more.
    _silent: Vec<Client>,
    size: usize,
    pace: Duration,
}

struct Client {
    socket: TcpStream,
    /// Where the pattern of the next request begins.
    at: usize,
}

impl Clients {
    /// Connect, with one request on each connection.
    pub async fn connect(args: &Args) -> Result<Self> {
        let payload = Arc::new(Payload::new());
        let (address, size) = (args.address, args.size);
        let mut clients = Vec::with_capacity(args.connections);
        let mut connecting = JoinSet::new();
        for number in 0..args.connections {
            if connecting.len() == CONNECTING
                && let Some(client) = connecting.join_next().await
            {
                clients.push(client??);
            }
            let payload = Arc::clone(&payload);
            connecting.spawn(async move {
                let socket = TcpStream::connect(address).await?;
                socket.set_nodelay(true)?;
                let mut client = Client {
                    socket,
                    at: number * 101,
                };
                client.request(&payload, size).await?;
                Result::Ok(client)
            });
        }
        while let Some(client) = connecting.join_next().await {
            clients.push(client??);
        }
        let silent = clients.split_off(args.active.min(clients.len()));
        Ok(Clients {
            payload,
            active: clients,
            _silent: silent,
            size,
            pace: args.pace,
        })
    }

    pub async fn run(&mut self, time: Duration) -> Result<Stats> {
        let stats = Arc::new(Mutex::new(Stats::new()));
        let mut running = JoinSet::new();
        let started = Instant::now();
        let until = started + time;
        let share = self
            .pace
            .checked_div(self.active.len() as u32)
            .unwrap_or_default();
        for (number, mut client) in self.active.drain(..).enumerate() {
            let payload = Arc::clone(&self.payload);
            let stats = Arc::clone(&stats);
            let (size, pace) = (self.size, self.pace);
            running.spawn(async move {
                if !pace.is_zero() {
                    // Spread evenly over the time between two requests.
                    tokio::time::sleep(share * number as u32).await;
                }
                loop {
                    let sent = Instant::now();
                    if sent >= until {
                        return Result::Ok(client);
                    }
                    client.request(&payload, size).await?;
                    let waited = sent.elapsed();
                    stats
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .count(size, waited);
                    if !pace.is_zero() {
                        tokio::time::sleep(pace.saturating_sub(waited)).await;
                    }
                }
            });
        }
        let running = async {
            while let Some(client) = running.join_next().await {
                self.active.push(client??);
            }
            Result::Ok(())
        };
        tokio::time::timeout(time + TIMEOUT, running)
            .await
            .map_err(|_| "a reply has not come in 30 s")??;
        let mut total = Stats::new();
        std::mem::swap(
            &mut total,
            &mut stats.lock().unwrap_or_else(PoisonError::into_inner),
        );
        total.elapsed = started.elapsed();
        Ok(total)
    }
}

impl Client {
    async fn request(&mut self, payload: &Payload, size: usize) -> Result<()> {
        let bytes = payload.piece(self.at, size);
        self.at += 1;
        send(&self.socket, bytes).await?;
        expect(&self.socket, bytes).await
    }
}
