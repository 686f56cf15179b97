//! One client of the admin address, from its connection to its end.
//!
//! A client that the server waits for has a permit, which a newcomer may take, and
//! `--admin-lifetime`, after which its connection ends as soon as nothing of an answer is
//! left, or is cut. One that waits for the server (an action, or a stream of what happens)
//! has neither: it is [busy](Client::begin), which is bounded by whoever makes it so, and
//! its connection ends with that.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use hotsocket_sandbox::limit_counters::Limit;
use hotsocket_sandbox::{Endpoint, Stream};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};

use super::router;
use super::server::Shared;
use crate::control::admission::Permit;
use crate::listener::Connected;

/// Bytes of a request's head, and its fields.
pub const MAX_HEADER: usize = 16 << 10;
pub const MAX_FIELDS: usize = 64;

/// What a request knows of its client.
pub struct Client {
    /// The address that it has connected to.
    pub local: Endpoint,
    /// Since it began, until its connection has seen that.
    begun: Mutex<Option<Begun>>,
}

/// The client is busy until this is dropped.
pub struct Busy {
    reading: Arc<Reading>,
    _over: oneshot::Sender<Infallible>,
}

/// For whoever waits for a busy client.
pub struct BusyConnection(Arc<Reading>);

/// The connection's end of it.
struct Begun {
    reading: Arc<Reading>,
    /// Resolves when the client is busy no more.
    over: oneshot::Receiver<Infallible>,
}

/// Whether the client takes what is sent.
#[derive(Default)]
struct Reading {
    /// Since when it has not.
    unread: Mutex<Option<Instant>>,
    /// Notified when it is waited for no longer.
    given_up: Notify,
}

impl Busy {
    /// Whether the client has still to read something.
    pub fn set_unread(&self, is_unread: bool) {
        let mut since = self.reading.unread.lock();
        match is_unread {
            true => *since = since.or_else(|| Some(Instant::now())),
            false => *since = None,
        }
    }

    pub fn connection(&self) -> BusyConnection {
        BusyConnection(Arc::clone(&self.reading))
    }
}

impl BusyConnection {
    /// Close it, whatever the client has still to read.
    pub fn close(&self) {
        self.0.given_up.notify_one();
    }
}

impl Client {
    /// The client waits for the server from now on. The answer must be the last one of its
    /// connection.
    pub fn begin(&self) -> Busy {
        let reading = Arc::<Reading>::default();
        let (_over, over) = oneshot::channel();
        *self.begun.lock() = Some(Begun {
            reading: Arc::clone(&reading),
            over,
        });
        Busy { reading, _over }
    }

    /// Serve it until its connection is over, or it is busy.
    async fn step(
        &self,
        mut connection: Pin<&mut impl Future<Output = hyper::Result<()>>>,
    ) -> Step {
        poll_fn(|cx| match connection.as_mut().poll(cx) {
            Poll::Ready(over) => Poll::Ready(Step::Over(over)),
            Poll::Pending => match self.begun.lock().take() {
                Some(begun) => Poll::Ready(Step::Busy(begun)),
                None => Poll::Pending,
            },
        })
        .await
    }
}

/// What has become of a connection.
enum Step {
    Over(hyper::Result<()>),
    Busy(Begun),
}

/// Serve one client until it or the server ends.
pub(super) async fn serve(connected: Connected, permit: Permit, shared: Arc<Shared>) {
    let Connected { stream, local, .. } = connected;
    let client = Client {
        local,
        begun: Mutex::default(),
    };
    let limits = shared.limits();
    // Whoever waits for an answer has done its part.
    let is_working = AtomicBool::new(false);
    let has_asked = AtomicBool::new(false);
    let answer = service_fn(async |request| {
        is_working.store(true, Ordering::Relaxed);
        has_asked.store(true, Ordering::Relaxed);
        let answer = router::route(request, &client, &shared).await;
        is_working.store(false, Ordering::Relaxed);
        Ok::<_, Infallible>(answer)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.timeout)
        .max_header_size(MAX_HEADER)
        .max_headers(MAX_FIELDS)
        .serve_connection(TokioIo::new(stream as Stream), answer);
    let mut connection = pin!(connection);
    let waiting = async {
        let step = client.step(connection.as_mut());
        if let Ok(step) = timeout(limits.lifetime, step).await {
            return Ok(step);
        }
        if !has_asked.load(Ordering::Relaxed) {
            return Err(TooLong);
        }
        // A page that asks each second has done nothing wrong: between two answers its
        // connection ends here, and a browser takes another.
        connection.as_mut().graceful_shutdown();
        let step = client.step(connection.as_mut());
        timeout(limits.timeout, step).await.map_err(|_| TooLong)
    };
    let waited = permit
        .wait_for(waiting, || is_working.load(Ordering::Relaxed))
        .await;
    drop(permit);
    let served = match waited {
        Err(_evicted) => return shared.count(Limit::AdminClients),
        Ok(Err(TooLong)) => Err(TooLong),
        Ok(Ok(Step::Over(over))) => Ok(Some(over)),
        Ok(Ok(Step::Busy(begun))) => begun.wait_for(connection, limits.lifetime).await,
    };
    match served {
        Err(TooLong) => shared.count(Limit::AdminLifetime),
        // A browser keeps its connections; one without another request just ends.
        Ok(Some(Err(error))) if error.is_timeout() => {
            if !has_asked.load(Ordering::Relaxed) {
                shared.count(Limit::AdminTimeout);
            }
        }
        Ok(Some(Err(error))) if error.is_parse_too_large() => shared.count(Limit::AdminHeader),
        Ok(_) => {}
    }
}

/// The client has kept the server waiting for too long.
struct TooLong;

impl Begun {
    /// Wait for the end of the connection of a client that is busy; `None` if it was given up.
    async fn wait_for(
        mut self,
        mut connection: Pin<&mut impl Future<Output = hyper::Result<()>>>,
        lifetime: Duration,
    ) -> Result<Option<hyper::Result<()>>, TooLong> {
        loop {
            tokio::select! {
                biased;
                over = &mut connection => return Ok(Some(over)),
                () = self.reading.given_up.notified() => return Ok(None),
                _ = &mut self.over => {
                    // What is left of the answer may take as long as any.
                    let over = timeout(lifetime, connection).await;
                    return over.map(Some).map_err(|_| TooLong);
                }
                () = sleep(lifetime) => {
                    let since = *self.reading.unread.lock();
                    if since.is_some_and(|since| since.elapsed() >= lifetime) {
                        return Err(TooLong);
                    }
                }
            }
        }
    }
}
