//! Connections that send one request, have a reply, and are silent.
//!
//! Any reply will do: here the memory of the server is measured, and some
//! guests don't echo.

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::payload::send;
use super::{Args, Stats};
use crate::Result;

/// Connections being made at the same time.
const CONNECTING: usize = 64;
/// What is taken of a reply.
const REPLY: usize = 4096;

pub struct Clients {
    _silent: Vec<TcpStream>,
}

impl Clients {
    pub async fn connect(args: &Args) -> Result<Self> {
        let mut silent = Vec::with_capacity(args.connections);
        let mut connecting = JoinSet::new();
        for _ in 0..args.connections {
            if connecting.len() == CONNECTING
                && let Some(socket) = connecting.join_next().await
            {
                silent.push(socket??);
            }
            connecting.spawn(one(args.address, args.size));
        }
        while let Some(socket) = connecting.join_next().await {
            silent.push(socket??);
        }
        Ok(Clients { _silent: silent })
    }

    /// There is nothing to measure here.
    pub fn nothing(&self) -> Stats {
        Stats::new()
    }
}

async fn one(address: std::net::SocketAddr, size: usize) -> Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let payload = vec![b'x'; size];
    send(&socket, &payload).await?;
    loop {
        socket.readable().await?;
        match socket.try_read(&mut [0; REPLY]) {
            Ok(0) => return Err("the server has closed a connection before its reply".into()),
            Ok(_) => return Ok(socket),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}
