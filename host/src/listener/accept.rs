//! The accept loop.
//!
//! | error | what it means | what the loop does |
//! | --- | --- | --- |
//! | ECONNABORTED, EPROTO, … (accept(2)) | that peer is gone | accepts the next one |
//! | EMFILE, ENFILE, ENOBUFS, ENOMEM | the machine has no room | logs it once, waits, tries again |
//! | anything else | unknown | logs it once, waits, tries again |
//!
//! At the limit of connections the next one waits here, and those after it in
//! the kernel's backlog; or each is reset (`--when-full refuse`).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hotsocket_sandbox::limit_counters::Limit;
use hotsocket_sandbox::{ConnectionInfo, Endpoint, ServedConnection};
use rustix::io::Errno;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::limits::{Bucket, ListenerLimits};
use super::{Connected, Handshake, Incoming, Layers, Listener};
use crate::service::{Counters, Refused, Service, SessionPermit};
use crate::session;

/// Between two attempts when the machine has no room.
const PAUSE: Duration = Duration::from_millis(50);

/// Whom an accept loop lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// Connections are accepted.
    Open,
    /// No more are accepted, by this loop. One that waits for a permit goes on waiting, as
    /// if it had just come, under the limits that hold now: a reload resets nobody.
    Closing,
    /// No more are accepted by any; one that waits for a permit is reset.
    Closed,
}

/// Accept connections and start a session for each, while `intake` is open.
pub async fn accept(
    mut listener: impl Listener,
    layers: Arc<Layers>,
    service: Arc<Service>,
    mut intake: watch::Receiver<Intake>,
) {
    let mut logged = None;
    let mut bucket = layers.limits.as_ref().and_then(ListenerLimits::bucket);
    loop {
        let accepted = tokio::select! {
            // Another listener may have the same socket by now, with other options.
            biased;
            _ = intake.wait_for(|it| *it != Intake::Open) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(incoming) => {
                if logged.take().is_some() {
                    tracing::info!("accepting connections again");
                }
                let admitted = tokio::select! {
                    // A peer for whom there is room gets in even if the loop is being stopped.
                    biased;
                    admitted = admit(incoming.peer(), &layers, &mut bucket, &service) => admitted,
                    until = intake.wait_for(|it| *it != Intake::Open) => {
                        if until.is_ok_and(|it| *it == Intake::Closing) {
                            // In a task of its own, as the socket must be closed now. It ends
                            // when there is room, or `Service::close_admission` is called.
                            tokio::spawn(async move {
                                let peer = incoming.peer();
                                let admitted = admit(peer, &layers, &mut bucket, &service).await;
                                start_or_reset(incoming, admitted, &layers, &service);
                            });
                        }
                        return;
                    }
                };
                start_or_reset(incoming, admitted, &layers, &service);
            }
            Err(error) if is_of_peer(&error) => {}
            Err(error) => {
                service.limit_counters.count(Limit::Descriptors);
                if logged != Some(error.kind()) {
                    tracing::error!(
                        kind = "limit",
                        limit = Limit::Descriptors.name(),
                        "cannot accept connections: {}",
                        describe(&error)
                    );
                    logged = Some(error.kind());
                }
                tokio::select! {
                    () = sleep(PAUSE) => {}
                    _ = intake.wait_for(|it| *it != Intake::Open) => return,
                }
            }
        }
    }
}

/// Wait until there is room for a connection of this listener, and of all. A proxy does
/// not count as a peer: there is room for its own once its header has been read.
async fn admit(
    peer: Endpoint,
    layers: &Layers,
    bucket: &mut Option<Bucket>,
    service: &Service,
) -> Result<SessionPermit, Refused> {
    let is_proxy = layers.may_be_proxy(&peer);
    if let Some(limits) = &layers.limits {
        limits.check_address(peer, is_proxy, service)?;
    }
    let of_peer = match peer.ip().filter(|_| !is_proxy) {
        Some(ip) => service.peer_permit(ip)?,
        None => None,
    };
    let of_listener = match &layers.limits {
        None => None,
        Some(limits) => limits.admit(bucket, service).await?,
    };
    service.admit(of_peer, of_listener).await
}

/// Start the connection's task, or reset the connection if it was refused.
fn start_or_reset(
    incoming: impl Incoming,
    admitted: Result<SessionPermit, Refused>,
    layers: &Arc<Layers>,
    service: &Arc<Service>,
) {
    match admitted {
        Ok(permit) => {
            Counters::count(&service.counters.accepted);
            let (layers, service) = (Arc::clone(layers), Arc::clone(service));
            tokio::spawn(serve(incoming, layers, service, permit));
        }
        Err(_) => incoming.reset(),
    }
}

/// A connection's task: the handshake, then the session.
fn serve(
    incoming: impl Incoming,
    layers: Arc<Layers>,
    service: Arc<Service>,
    permit: SessionPermit,
) -> impl Future<Output = ()> + Send {
    // Boxed, as the task would keep the room for it.
    let mut permit = Box::new(permit);
    async move {
        let peer = incoming.peer();
        let connected = match incoming.handshake() {
            Handshake::Done(connected) if layers.is_empty() => connected.ok().map(|connected| {
                let facts = layers.facts();
                Connected { facts, ..connected }
            }),
            handshake => Box::pin(in_time(handshake, &layers, &service, &mut permit, peer)).await,
        };
        if let Some(Connected {
            stream,
            local,
            peer,
            facts,
        }) = connected
        {
            let id = service.next_id();
            let info = ConnectionInfo { id, local, peer };
            let connection = ServedConnection { info, facts };
            let tls = layers.start_tls();
            // A connection needs no more of them than the TLS that it may begin: what it
            // holds lasts longer than the listener.
            drop(layers);
            session::serve(service, connection, stream, permit, tls).await;
        } else {
            service.counters.closed.count(session::HANDSHAKE);
        }
    }
}

/// The handshake and the layers, together under `--handshake-timeout`.
async fn in_time(
    handshake: Handshake,
    layers: &Layers,
    service: &Service,
    permit: &mut SessionPermit,
    peer: Endpoint,
) -> Option<Connected> {
    let until = Instant::now() + service.limits.load().handshake_timeout;
    let handshake = async {
        let connected = match handshake {
            Handshake::Done(connected) => connected,
            Handshake::Pending(handshake) => handshake.await,
        };
        layers.apply(connected?, service, permit, until).await
    };
    match timeout_at(until, handshake).await {
        Ok(connected) => connected.ok(),
        // Dropping the handshake has closed the socket.
        Err(_) => {
            let limit = Limit::HandshakeTimeout;
            if let Some(suppressed) = service.limit_counters.count_and_log(limit) {
                tracing::warn!(
                    kind = "limit",
                    limit = limit.name(),
                    %peer,
                    suppressed = suppressed.count(),
                    "connection from {peer} closed: its handshake timed out \
                     (--{}){suppressed}",
                    limit.name()
                );
            }
            None
        }
    }
}

/// Whether it is an error of the connection that was to be accepted, not of the
/// listener: accept(2) hands these on.
fn is_of_peer(error: &io::Error) -> bool {
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

fn describe(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => {
            "this process has no file descriptor left; raise `ulimit -n`, or lower --max-connections".to_owned()
        }
        Some(Errno::NFILE) => "the machine has no file descriptor left (fs.file-max)".to_owned(),
        _ => error.to_string(),
    }
}
