//! The thread of the admin address: its accept loop, and what bounds its clients.
//!
//! Besides [`AdminLimits`], a request's head has [`MAX_HEADER`] bytes and [`MAX_FIELDS`]
//! fields. How a client is evicted is up to [`crate::control::admission`].

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use hotsocket_sandbox::Stream;
use hotsocket_sandbox::limit_counters::{Limit, LimitCounters};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::router;
use super::{AdminLimits, AdminOptions};
use crate::control::admission::{Admission, Permit};
use crate::control::protocol::Status;
use crate::drain::Drain;
use crate::listener::{
    BindError, Bound, Connected, Handshake, Incoming, ListenAddress, Listener, Listening,
};
use crate::service::NamedService;
use crate::tap::{TapError, TapStream};

/// Bytes of a request's head, and its fields.
pub const MAX_HEADER: usize = 16 << 10;
pub const MAX_FIELDS: usize = 64;
/// After `accept` has failed, as it may fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the admin address needs of a node.
pub trait AdminNode: Send + Sync + 'static {
    fn services(&self) -> Vec<NamedService>;
    fn drain(&self) -> &Drain;
    /// Counts what clients do too much of.
    fn reached(&self) -> &LimitCounters;
    /// # Errors
    /// When the node stops.
    fn status(&self) -> Result<Status, String>;
    /// A tap on a connection, or on all connections of a service.
    ///
    /// # Errors
    /// When there is no such connection or service, or there are too many taps.
    fn open_tap(
        &self,
        service: Option<&str>,
        connection: Option<u64>,
    ) -> Result<TapStream, TapError>;
    /// Begin the lease of a tap again. False if there is none with this id.
    fn renew_tap(&self, id: &str) -> bool;
}

/// What all requests share.
pub struct Shared {
    /// Set once the node has started.
    node: OnceLock<Arc<dyn AdminNode>>,
    /// The runtime whose threads serve connections.
    serving: Handle,
    /// Host names that are answered besides those of this machine.
    hosts: Vec<String>,
    limits: AdminLimits,
}

impl Shared {
    pub fn node(&self) -> Option<&Arc<dyn AdminNode>> {
        self.node.get()
    }

    pub fn serving(&self) -> &Handle {
        &self.serving
    }

    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Nobody sees it before the node has started, when nothing else is counted either.
    fn count(&self, limit: Limit) {
        if let Some(node) = self.node() {
            node.reached().count(limit);
        }
    }
}

/// A running admin address. [`Admin::start`] it before anything takes long, and call
/// [`Self::set_node`] once there is something to show. It ends when it is dropped.
pub struct Admin {
    shared: Arc<Shared>,
    address: ListenAddress,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Start its thread. Call it within the runtime that serves connections.
    ///
    /// # Errors
    /// When it cannot listen, or there is no thread for it.
    pub fn start(bound: Bound, options: AdminOptions) -> Result<Self, AdminError> {
        let address = bound.address().clone();
        if !options.is_local() {
            tracing::warn!(
                kind = "admin",
                %address,
                "the admin address {address} can be reached from other machines: whoever can \
                 reads metrics and status"
            );
        }
        let shared = Arc::new(Shared {
            node: OnceLock::new(),
            serving: Handle::current(),
            hosts: options.hosts,
            limits: options.limits,
        });
        let (stop, stopped) = oneshot::channel();
        let (listens, listening) = std::sync::mpsc::sync_channel(1);
        let of_thread = Arc::clone(&shared);
        let work = move || {
            let started = Builder::new_current_thread().enable_all().build();
            let runtime = match started {
                Ok(runtime) => runtime,
                Err(error) => return drop(listens.send(Err(AdminError::Thread(error)))),
            };
            runtime.block_on(async {
                // The socket belongs to this runtime's driver.
                let socket = match bound.listen() {
                    Ok(socket) => socket,
                    Err(error) => return drop(listens.send(Err(error.into()))),
                };
                drop(listens.send(Ok(())));
                let serving = async {
                    match socket {
                        Listening::Tcp(tcp) => serve(tcp, of_thread).await,
                        Listening::Unix(unix) => serve(unix, of_thread).await,
                    }
                };
                tokio::select! {
                    () = serving => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(work)
            .map_err(AdminError::Thread)?;
        let admin = Admin {
            shared,
            address,
            stop: Some(stop),
            thread: Some(thread),
        };
        let panicked = |_| AdminError::Thread(io::Error::other("it has panicked"));
        listening.recv().map_err(panicked)??;
        let address = &admin.address;
        tracing::info!(kind = "admin", %address, "admin address {address}");
        Ok(admin)
    }

    /// Where it listens, with its real port.
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// The node has started.
    pub fn set_node(&self, node: Arc<dyn AdminNode>) {
        let _ = self.shared.node.set(node);
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It waits for nobody any more.
            let _ = thread.join();
        }
    }
}

/// Why there is no admin address.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("--admin: {0}")]
    Bind(#[from] BindError),
    #[error("--admin: no thread for it: {0}")]
    Thread(io::Error),
}

async fn serve(mut listener: impl Listener, shared: Arc<Shared>) {
    let admission = Admission::new(shared.limits.clients);
    loop {
        match listener.accept().await {
            Ok(incoming) => {
                let Some(permit) = admission.admit().await else {
                    return;
                };
                if let Handshake::Done(Ok(connected)) = incoming.handshake() {
                    tokio::spawn(serve_client(connected, permit, Arc::clone(&shared)));
                }
            }
            Err(error) => {
                tracing::debug!("admin address: accept failed: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serve one client until it or the server ends.
async fn serve_client(connected: Connected, permit: Permit, shared: Arc<Shared>) {
    let Connected { stream, local, .. } = connected;
    let answer = service_fn(async |request| {
        Ok::<_, Infallible>(router::route(request, &local, &shared).await)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.timeout)
        .max_header_size(MAX_HEADER)
        .max_headers(MAX_FIELDS)
        .serve_connection(TokioIo::new(stream as Stream), answer);
    let served = permit
        .wait_for(timeout(shared.limits.lifetime, connection), || false)
        .await;
    match served {
        Err(_evicted) => shared.count(Limit::AdminClients),
        Ok(Err(_over)) => shared.count(Limit::AdminLifetime),
        Ok(Ok(Err(error))) if error.is_timeout() => shared.count(Limit::AdminTimeout),
        Ok(Ok(Err(error))) if error.is_parse_too_large() => shared.count(Limit::AdminHeader),
        Ok(Ok(_)) => {}
    }
}
