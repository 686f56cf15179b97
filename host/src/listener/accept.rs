//! The accept loop.
//!
//! | error | what it means | what the loop does |
//! | --- | --- | --- |
//! | ECONNABORTED, EPROTO, … | that peer is gone | the next one |
//! | EMFILE, ENFILE, ENOBUFS, ENOMEM | the machine has no room | says so once, waits a little, tries again |
//! | anything else | unknown | says so once, waits a little, tries again |
//!
//! At the limit of connections the next one waits here, and those after it in
//! the kernel's backlog; or each is reset (`--when-full refuse`).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::connection::{self, Context, Counters, Place, Stream, Transport};
use crate::limits::WhenFull;
use crate::reached::Limit;
use crate::runtime::Ends;

/// Between two attempts when the machine has no room.
const PAUSE: Duration = Duration::from_millis(50);

/// The last id given to a connection.
static LAST_ID: AtomicU64 = AtomicU64::new(0);

/// Turns an accepted socket into what a driver works on.
pub type Wrap = Arc<dyn Fn(TcpStream) -> Stream + Send + Sync>;

/// Nothing in between.
pub fn plain() -> Wrap {
    Arc::new(|socket| Box::new(socket))
}

/// Accept connections and start a driver for each, until told to stop.
pub async fn accept(
    listener: TcpListener,
    context: Arc<Context>,
    mut stop: watch::Receiver<bool>,
    wrap: Wrap,
) {
    let mut complaint = None;
    let local = listener.local_addr().ok();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                if complaint.take().is_some() {
                    tracing::info!("accepting connections again");
                }
                let place = tokio::select! {
                    place = place(&context, peer.ip()) => place,
                    _ = stop.wait_for(|stop| *stop) => return,
                };
                match (place, ends(&socket, peer, local)) {
                    (Some(place), Some(ends)) => {
                        Counters::count(&context.counters.accepted);
                        let socket = wrap(socket);
                        tokio::spawn(connection::serve(Arc::clone(&context), ends, socket, place));
                    }
                    (None, _) => Box::new(socket).reset(),
                    (_, None) => {}
                }
            }
            Err(error) if peers_own(&error) => {}
            Err(error) => {
                context.runtime.reached.count(Limit::Descriptors);
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

/// Find a place for the connection, waiting for one if that is wanted. `None`:
/// refuse it.
async fn place(context: &Arc<Context>, peer: IpAddr) -> Option<Place> {
    let reached = &context.runtime.reached;
    let of_peer = match context.limits.max_per_peer {
        None => None,
        Some(max) => match context.table.place(peer.to_canonical(), max) {
            Some(place) => Some(place),
            None => {
                reached.count(Limit::PerPeer);
                Counters::count(&context.counters.refused);
                context.crowded.make(|| {
                    format!("a connection from {peer} refused: it has {max} open (--max-per-peer)")
                });
                return None;
            }
        },
    };
    if let Ok(permit) = Arc::clone(&context.places).try_acquire_owned() {
        return Some(Place {
            _among_all: permit,
            _of_peer: of_peer,
        });
    }
    reached.count(Limit::Connections);
    let (max, waits) = (
        context.limits.max_connections,
        context.limits.when_full == WhenFull::Wait,
    );
    let become_of = if waits {
        "wait until some have closed"
    } else {
        "are refused"
    };
    context.no_room.make(|| {
        format!("{max} connections are open (--max-connections); more {become_of} (--when-full)")
    });
    if !waits {
        Counters::count(&context.counters.refused);
        return None;
    }
    let permit = Arc::clone(&context.places).acquire_owned().await.ok()?;
    Some(Place {
        _among_all: permit,
        _of_peer: of_peer,
    })
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
