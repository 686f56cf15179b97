//! The server to compare with: an echo server as one would write it with tokio.
//!
//! No limits, no timeouts, no log. A task and a buffer for each connection.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::Result;

/// A usual size, and the most that hotsocket passes to a guest at once.
const BUFFER: usize = 64 * 1024;

/// Serve on a free port until killed, on as many threads as there are
/// processors to run on.
pub fn serve() -> Result<()> {
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(accept(started))
}

async fn accept(started: Instant) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("listening on {}", listener.local_addr()?);
    eprintln!("ready in {} ms", started.elapsed().as_millis());
    loop {
        let (mut socket, _) = listener.accept().await?;
        tokio::spawn(async move {
            if socket.set_nodelay(true).is_err() {
                return;
            }
            let mut buffer = vec![0; BUFFER];
            while let Ok(length @ 1..) = socket.read(&mut buffer).await {
                let bytes = buffer.get(..length).unwrap_or_default();
                if socket.write_all(bytes).await.is_err() {
                    return;
                }
            }
        });
    }
}
