//! One client of the admin address, from its connection to its end.
//!
//! A client that the server waits for has a permit, which a newcomer may take, and
//! `--admin-lifetime`. One that waits for the server (an action, or a stream of what happens)
//! has neither: it is [busy](Client::begin), which is bounded by whoever makes it so, and
//! its connection ends with that.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use hotsocket_sandbox::limit_counters::Limit;
use hotsocket_sandbox::{Endpoint, Stream};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

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
    /// Resolves when it is busy no more.
    busy: Mutex<Option<oneshot::Receiver<Infallible>>>,
}

/// The client is busy until this is dropped.
pub struct Busy {
    _over: oneshot::Sender<Infallible>,
}

impl Client {
    /// The client waits for the server from now on. The answer must be the last one of its
    /// connection.
    pub fn begin(&self) -> Busy {
        let (over, busy) = oneshot::channel();
        *self.busy.lock() = Some(busy);
        Busy { _over: over }
    }
}

/// What has become of a connection.
enum Step {
    Over(hyper::Result<()>),
    Busy(oneshot::Receiver<Infallible>),
}

/// Serve one client until it or the server ends.
pub(super) async fn serve(connected: Connected, permit: Permit, shared: Arc<Shared>) {
    let Connected { stream, local, .. } = connected;
    let client = Client {
        local,
        busy: Mutex::default(),
    };
    let limits = shared.limits();
    let answer = service_fn(async |request| {
        Ok::<_, Infallible>(router::route(request, &client, &shared).await)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.timeout)
        .max_header_size(MAX_HEADER)
        .max_headers(MAX_FIELDS)
        .serve_connection(TokioIo::new(stream as Stream), answer);
    let mut connection = pin!(connection);
    let waiting = poll_fn(|cx| match connection.as_mut().poll(cx) {
        Poll::Ready(over) => Poll::Ready(Step::Over(over)),
        Poll::Pending => match client.busy.lock().take() {
            Some(busy) => Poll::Ready(Step::Busy(busy)),
            None => Poll::Pending,
        },
    });
    let waited = permit
        .wait_for(timeout(limits.lifetime, waiting), || false)
        .await;
    drop(permit);
    let served = match waited {
        Err(_evicted) => return shared.count(Limit::AdminClients),
        Ok(Err(over)) => Err(over),
        Ok(Ok(Step::Over(over))) => Ok(over),
        Ok(Ok(Step::Busy(busy))) => tokio::select! {
            biased;
            over = &mut connection => Ok(over),
            // What is left of the answer may take as long as any.
            _ = busy => timeout(limits.lifetime, connection).await,
        },
    };
    match served {
        Err(_over) => shared.count(Limit::AdminLifetime),
        Ok(Err(error)) if error.is_timeout() => shared.count(Limit::AdminTimeout),
        Ok(Err(error)) if error.is_parse_too_large() => shared.count(Limit::AdminHeader),
        Ok(_) => {}
    }
}
