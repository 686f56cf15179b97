//! The thread of the admin address: its accept loop, and what bounds its clients.
//!
//! What bounds one client is up to [`client`], and how one is evicted up to
//! [`crate::control::admission`].

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use hotsocket_sandbox::limit_counters::{Limit, LimitCounters};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::sleep;

use super::api::MAX_ACTIONS;
use super::client;
use super::link::{self, Reader};
use super::token::{Token, TokenError};
use super::token_file;
use super::{AdminLimits, AdminOptions};
use crate::control::admission::Admission;
use crate::control::protocol::{Answer, Request, Status};
use crate::control::receive::RequestBytes;
use crate::drain::Drain;
use crate::listener::{BindError, Bound, Handshake, Incoming, ListenAddress, Listener, Listening};
use crate::service::NamedService;
use crate::tap::{TapError, TapStream};

/// After `accept` has failed, as it may fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the admin address needs of a node.
pub trait AdminNode: Send + Sync + 'static {
    fn services(&self) -> Vec<NamedService>;
    fn drain(&self) -> &Drain;
    /// Counts what clients do too much of.
    fn reached(&self) -> &Arc<LimitCounters>;
    /// # Errors
    /// When the node stops.
    fn status(&self) -> Result<Status, String>;
    /// Size of the largest component that may be sent, in bytes.
    fn max_component(&self) -> usize;
    /// What the bodies of requests hold, wherever they come from.
    fn request_bytes(&self) -> &Arc<RequestBytes>;
    /// Carry out a request as the control socket does. Swaps and rollbacks must be carried
    /// out within the runtime that serves connections.
    fn execute(
        self: Arc<Self>,
        service: Option<String>,
        request: Request,
        body: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>>;
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
    token: ArcSwap<Token>,
    /// Sends when there is another token: what was begun with the one before ends.
    token_changes: watch::Sender<()>,
    /// A permit for each swap or rollback that may be under way.
    actions: Arc<Semaphore>,
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

    pub fn limits(&self) -> &AdminLimits {
        &self.limits
    }

    pub fn token(&self) -> Arc<Token> {
        self.token.load_full()
    }

    /// Whether it is another one than before.
    pub fn set_token(&self, token: Token) -> bool {
        let before = self.token.swap(Arc::new(token));
        let is_another = before.reveal() != self.token.load().reveal();
        if is_another {
            self.token_changes.send_replace(());
        }
        is_another
    }

    /// What resolves when there is another token than now.
    pub fn token_change(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut changes = self.token_changes.subscribe();
        async move {
            let _ = changes.changed().await;
        }
    }

    /// The right to a swap or rollback, unless too many are under way.
    pub fn begin_action(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.actions).try_acquire_owned().ok()
    }

    /// Nobody sees it before the node has started, when nothing else is counted either.
    pub fn count(&self, limit: Limit) {
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
        let token = match &options.token_file {
            Some(file) => {
                token_file::warn_if_readable(file);
                Token::read(file)?
            }
            None => Token::random()?,
        };
        if !options.is_local() {
            tracing::warn!(
                kind = "admin",
                %address,
                "the admin address {address} can be reached from other machines: whoever can \
                 reads metrics and status, with the addresses of all peers, and the token of \
                 whoever sends it"
            );
        }
        let shared = Arc::new(Shared {
            node: OnceLock::new(),
            serving: Handle::current(),
            hosts: options.hosts,
            limits: options.limits,
            token: ArcSwap::from_pointee(token),
            token_changes: watch::Sender::new(()),
            actions: Arc::new(Semaphore::new(MAX_ACTIONS)),
        });
        let (stop, stopped) = oneshot::channel();
        let (listens, listening) = std::sync::mpsc::sync_channel(1);
        let of_thread = Arc::clone(&shared);
        let token_file = options.token_file.clone();
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
                let following = async {
                    match token_file {
                        Some(file) => token_file::follow(file, &of_thread).await,
                        None => pending().await,
                    }
                };
                let serving = async {
                    match socket {
                        Listening::Tcp(tcp) => serve(tcp, Arc::clone(&of_thread)).await,
                        Listening::Unix(unix) => serve(unix, Arc::clone(&of_thread)).await,
                    }
                };
                tokio::select! {
                    () = serving => {}
                    never = following => match never {},
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
        if options.token_file.is_none()
            && let Some(link) = admin.access().link()
        {
            match Reader::of_this_process() {
                Reader::Person => {
                    tracing::info!(kind = "admin", "the inspector, with its token: {link}");
                }
                Reader::Recorder => tracing::info!(
                    kind = "admin",
                    "the inspector: `hotsocket open --print` prints its link, with the token"
                ),
                Reader::Program => {}
            }
        }
        Ok(admin)
    }

    /// Where it listens, with its real port.
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Who may know of it asks where it is, and for its token.
    pub fn access(&self) -> AdminAccess {
        AdminAccess {
            address: self.address.clone(),
            shared: Arc::clone(&self.shared),
        }
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

/// Where an admin address is, and its token: for the owner of the process only.
#[derive(Clone)]
pub struct AdminAccess {
    address: ListenAddress,
    shared: Arc<Shared>,
}

impl AdminAccess {
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    pub fn token(&self) -> Arc<Token> {
        self.shared.token()
    }

    /// What a browser opens; none where it can't reach the address.
    pub fn link(&self) -> Option<String> {
        Some(link::link(link::reachable(&self.address)?, &self.token()))
    }
}

/// Why there is no admin address.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("--admin: {0}")]
    Bind(#[from] BindError),
    #[error("--admin: no thread for it: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Token(#[from] TokenError),
}

async fn serve(mut listener: impl Listener, shared: Arc<Shared>) {
    let admission = Admission::new(shared.limits.clients);
    // Accepted already, to see whether there is another one.
    let mut next = None;
    loop {
        let accepted = match next.take() {
            Some(accepted) => accepted,
            None => listener.accept().await,
        };
        match accepted {
            Ok(incoming) => {
                let permit = match admission.try_admit() {
                    Some(permit) => Some(permit),
                    None => {
                        next = if_ready(listener.accept()).await;
                        admission.admit(next.is_some()).await
                    }
                };
                let Some(permit) = permit else {
                    return;
                };
                if let Handshake::Done(Ok(connected)) = incoming.handshake() {
                    tokio::spawn(client::serve(connected, permit, Arc::clone(&shared)));
                }
            }
            Err(error) => {
                tracing::debug!("admin address: accept failed: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What the future gives without waiting for anything. It is safe to cancel.
async fn if_ready<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(ready) => Poll::Ready(Some(ready)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
