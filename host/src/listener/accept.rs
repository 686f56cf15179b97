//! The accept loop.
//!
//! | error | what it means | what the loop does |
//! | --- | --- | --- |
//! | ECONNABORTED, EPROTO, … | that peer is gone | the next one |
//! | EMFILE, ENFILE, ENOBUFS, ENOMEM | the machine has no room | says so once, waits a little, tries again |
//! | anything else | unknown | says so once, waits a little, tries again |
//!
//! At the limit of connections nothing is accepted; the kernel's backlog holds
//! who comes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::connection::{self, Context, Counters, Transport};
use crate::runtime::Ends;

/// Between two attempts when the machine has no room.
const PAUSE: Duration = Duration::from_millis(50);

/// The last id given to a connection.
static LAST_ID: AtomicU64 = AtomicU64::new(0);

/// Accept connections and start a driver for each, until told to stop. `wrap`
/// turns an accepted socket into what the driver works on.
pub async fn accept<T: Transport>(
    listener: TcpListener,
    context: Arc<Context>,
    mut stop: watch::Receiver<bool>,
    wrap: impl Fn(TcpStream) -> T,
) {
    let mut complaint = None;
    let mut was_full = false;
    let local = listener.local_addr().ok();
    loop {
        if context.table.len() >= context.limits.max_connections {
            if !std::mem::replace(&mut was_full, true) {
                tracing::warn!(
                    "{} connections are open; the next ones wait until some have closed (--max-connections)",
                    context.limits.max_connections
                );
            }
            let gone = context.table.gone.notified();
            if context.table.len() >= context.limits.max_connections {
                tokio::select! {
                    () = gone => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
            }
            continue;
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                if complaint.take().is_some() {
                    tracing::info!("accepting connections again");
                }
                was_full = false;
                if let Some(ends) = ends(&socket, peer, local) {
                    Counters::count(&context.counters.accepted);
                    tokio::spawn(connection::serve(Arc::clone(&context), ends, wrap(socket)));
                }
            }
            Err(error) if peers_own(&error) => {}
            Err(error) => {
                if complaint != Some(error.kind()) {
                    tracing::error!("cannot accept connections: {}", told(&error));
                    complaint = Some(error.kind());
                }
                tokio::select! {
                    () = sleep(PAUSE) => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
            }
        }
    }
}

/// Number the connection. `None` if the peer has already reset it.
fn ends(socket: &TcpStream, peer: SocketAddr, listener: Option<SocketAddr>) -> Option<Ends> {
    // A listener on all addresses doesn't know which one the peer has chosen.
    let local = match listener {
        Some(local) if !local.ip().is_unspecified() => local,
        _ => socket.local_addr().ok()?,
    };
    let id = LAST_ID.fetch_add(1, Ordering::Relaxed) + 1;
    Some(Ends { id, local, peer })
}

/// Errors of the connection that was to be accepted, not of the listener.
fn peers_own(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::INTR
                | Errno::PROTO
                | Errno::PERM
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::NONET
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
        )
    )
}

fn told(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => {
            "this process has no file descriptor left; raise `ulimit -n`, or lower --max-connections".to_owned()
        }
        Some(Errno::NFILE) => "the machine has no file descriptor left (fs.file-max)".to_owned(),
        _ => error.to_string(),
    }
}
