//! The answer to `watch`: records of a tap, one in each line, for as long as the client
//! is there. Like all others it has a sign of life where it would be silent.
//!
//! The client needs not renew the tap: that it takes what is sent shows that somebody
//! looks. One that takes nothing for the time of a lease is left.

use std::convert::Infallible;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::ReadHalf;
use tokio::time::{sleep, timeout};

use super::protocol::SIGN_OF_LIFE;
use crate::tap::TapStream;

/// Send until the tap or the client has gone.
///
/// # Errors
/// When the client has gone, or takes nothing.
pub async fn send(stream: &mut UnixStream, mut tap: TapStream) -> io::Result<()> {
    let lease = tap.lease();
    let (mut read, mut write) = stream.split();
    loop {
        tokio::select! {
            lines = tap.next() => match lines {
                Some(lines) => timeout(lease, write.write_all(&lines)).await??,
                None => return write.shutdown().await,
            },
            gone = wait_for_end(&mut read) => match gone? {},
            () = sleep(SIGN_OF_LIFE) => timeout(lease, write.write_all(b" ")).await??,
        }
        tap.renew();
    }
}

/// Whatever the client sends besides is not looked at.
async fn wait_for_end(read: &mut ReadHalf<'_>) -> io::Result<Infallible> {
    let mut rest = [0; 64];
    while read.read(&mut rest).await? > 0 {}
    Err(io::ErrorKind::UnexpectedEof.into())
}
